# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A page that shows hits and misses: one file that needs nothing else, also from file://.

What models wrote goes in as escaped text. Besides, the page allows no other script than its own
(by hash), and no request to anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from string import Template
from typing import Any

from roborefer_vlm.drawing import draw_answer, encode_jpeg, one_line
from roborefer_vlm.evaluation.prompts import Wording, worded
from roborefer_vlm.evaluation.records import Area
from roborefer_vlm.evaluation.scoring.score import Scored
from roborefer_vlm.evaluation.scoring.strict import Verdict
from roborefer_vlm.evaluation.scoring.truth import DecodedArea
from roborefer_vlm.picture_files import read_rgb
from roborefer_vlm.types import Answer, BoolArray

THUMBNAIL = 440
_LONGEST_TEXT = 4000
_HEADINGS = {
    "by_category": "By category",
    "by_category_and_step": "By category and step",
    "by_step": "By step",
    "by_scene": "By scene",
}


def gallery(
    title: str, scored: Sequence[Scored], summary: Mapping[str, Any], config: Mapping[str, Any]
) -> str:
    """Return the page as HTML.

    Args:
        title: Heading.
        scored: What to show, in this order.
        summary: The figures, see evaluation.summary.
        config: The configuration of the run, see evaluation.runner.

    Raises:
        PictureError: A picture or mask cannot be decoded.
    """
    template = resources.files(__package__).joinpath("gallery.html").read_text("utf-8")
    wording = Wording(config["wording"])
    engine = config["engine"]
    subtitle = f"{engine['name']} · {engine['model']} · {engine['device']}"
    return Template(template).substitute(
        policy=_policy(template),
        title=escape(title),
        subtitle=escape(subtitle),
        figures=_figures(summary),
        tables=_tables(summary),
        more_tables=_more_tables(summary, config),
        filters=_filters(scored),
        cards="\n".join(_card(item, wording) for item in scored),
    )


def _policy(template: str) -> str:
    def digest(tag: str) -> str:
        found = re.search(rf"<{tag}>(.*?)</{tag}>", template, re.DOTALL)
        text = found[1] if found else ""
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest('style')}';"
        f" script-src 'sha256-{digest('script')}'; base-uri 'none'; form-action 'none'"
    )


def _figures(summary: Mapping[str, Any]) -> str:
    if not summary["answered"]:
        return _figure("no answers", "nothing was asked yet")
    strict, protocol = summary["strict"], summary["protocol"]
    wrong = summary["answered"] - summary["verdicts"].get(Verdict.HIT.value, 0)
    figures = [
        _figure(
            _percent(strict["mean"]),
            f"strict, 95 % interval {_interval(strict)}",
        ),
        _figure(
            _percent(protocol["mean"]),
            f"{protocol['name']}; {protocol['evaluated']} of {protocol['total']} evaluated",
        ),
        _figure(
            f"{summary['answered']} of {summary['questions']}", f"asked; {wrong} not fully right"
        ),
    ]
    if wall := summary["latency"].get("wall"):
        figures.append(
            _figure(
                f"{wall['p50_s']:.2f} s", f"median time; 95th percentile {wall['p95_s']:.2f} s"
            )
        )
    return "".join(figures)


def _figure(value: str, words: str) -> str:
    caption = f'<span class="muted">{escape(words)}</span>'
    return f'<div class="figure"><b>{escape(value)}</b>{caption}</div>'


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.1f} %"


def _interval(estimate: Mapping[str, float]) -> str:
    return f"{100 * estimate['low']:.1f} to {100 * estimate['high']:.1f} %"


def _tables(summary: Mapping[str, Any]) -> str:
    parts = [_score_table(summary, key) for key in ("by_category", "by_category_and_step")]
    if verdicts := summary.get("verdicts"):
        counts = [(name, str(count)) for name, count in verdicts.items()]
        parts.append(_table("What came of it", ("", "n"), counts, bars=summary["answered"]))
    return "".join(parts)


def _more_tables(summary: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    parts = [_score_table(summary, key) for key in ("by_step", "by_scene")]
    if times := summary.get("latency"):
        stages = [
            (name, f"{t['p50_s']:.3f}", f"{t['p95_s']:.3f}", f"{t['mean_s']:.3f}")
            for name, t in times.items()
        ]
        parts.append(_table("Seconds", ("", "median", "95th", "mean"), stages))
    settings = [(name, str(value)) for name, value in config.items() if name != "engine"]
    parts.append(_table("Run", ("", ""), settings))
    return "".join(parts)


def _score_table(summary: Mapping[str, Any], key: str) -> str:
    groups = summary.get(key)
    if not groups:
        return ""
    rows = [
        (
            name,
            str(group["strict"]["count"]),
            _percent(group["strict"]["mean"]),
            _interval(group["strict"]),
            _percent(group["protocol"]["mean"]),
        )
        for name, group in groups.items()
    ]
    return _table(_HEADINGS[key], ("", "n", "strict", "95 %", "protocol"), rows)


def _table(heading: str, head: Sequence[str], rows: Sequence[Sequence[str]], bars: int = 0) -> str:
    """Return a table; with bars, the last column is also shown as a share of that number."""
    titles = "".join(f"<th>{escape(name)}</th>" for name in (*head, *([""] if bars else [])))
    body = ""
    for row in rows:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row)
        if bars:
            cells += f'<td><meter max="{bars}" value="{int(row[-1])}"></meter></td>'
        body += f"<tr>{cells}</tr>"
    return (
        f'<section class="table"><h2>{escape(heading)}</h2><table><thead><tr>{titles}</tr></thead>'
        f"<tbody>{body}</tbody></table></section>"
    )


def _filters(scored: Sequence[Scored]) -> str:
    values = {
        "result": ["hit", "partly", "miss"],
        "verdict": [v.value for v in Verdict if any(s.verdict is v for s in scored)],
        "category": list(dict.fromkeys(s.question.category for s in scored)),
        "step": [str(n) for n in sorted({s.question.step for s in scored if s.question.step})],
        "scene": sorted({s.question.scene for s in scored if s.question.scene}),
    }
    selects = ""
    for name, options in values.items():
        if len(options) > 1:
            inner = "".join(f"<option>{escape(option)}</option>" for option in options)
            selects += (
                f'<select name="{name}" aria-label="{name}">'
                f'<option value="">any {name}</option>{inner}</select>\n'
            )
    return selects


def _result(item: Scored) -> str:
    return {Verdict.HIT: "hit", Verdict.PARTLY: "partly"}.get(item.verdict, "miss")


def _card(item: Scored, wording: Wording) -> str:
    question, answer = item.question, item.result.answer
    image = read_rgb(question.picture)
    truth = _outline(item, image.shape[1], image.shape[0])
    picture = draw_answer(image, answer, truth=truth, longest_side=THUMBNAIL)
    data = base64.b64encode(encode_jpeg(picture)).decode()
    facts = [question.category]
    facts += [f"step {question.step}"] if question.step else []
    facts += [question.scene] if question.scene else []
    facts.append(f"{item.result.wall_s:.2f} s")
    protocol = "left out" if item.protocol is None else f"{item.protocol:.2f}"
    attributes = {
        "result": _result(item),
        "verdict": item.verdict.value,
        "category": question.category,
        "step": str(question.step or ""),
        "scene": question.scene,
    }
    marks = "".join(f' data-{name}="{escape(value)}"' for name, value in attributes.items())
    expected = "" if isinstance(question.truth, Area) else f"right: {question.truth.word}"
    return (
        f'<article class="card {_result(item)}"{marks}>'
        f'<img src="data:image/jpeg;base64,{data}" width="{picture.shape[1]}"'
        f' height="{picture.shape[0]}" alt="{escape(question.prompt)}">'
        f'<div class="body"><p><span class="badge">{escape(item.verdict.value)}</span>'
        f' <span class="muted">strict {item.strict:.2f}, protocol {protocol}</span></p>'
        f"<p>{escape(question.prompt)}</p>"
        f'<p class="muted">{escape(question.id)} · {escape(" · ".join(facts))} {expected}</p>'
        f"{_said(item, answer)}"
        f"<details><summary>sent and received</summary>"
        f"<pre>{escape(worded(question, wording))}</pre>"
        f"<pre>{escape(_received(item, answer))}</pre></details></div></article>"
    )


def _said(item: Scored, answer: Answer | None) -> str:
    if answer is None:
        return f"<p>{escape(one_line(item.result.message))}</p>"
    lines = [
        f"{kind} {number} {point.label} {point.reason}".strip()
        for kind, points in (("point", answer.points), ("candidate", answer.candidates))
        for number, point in enumerate(points, start=1)
        if point.label or point.reason
    ]
    lines += [f"s{n} {step.text}" for n, step in enumerate(answer.reasoning, start=1)]
    return "".join(f"<p>{escape(one_line(line))}</p>" for line in lines[:16])


def _received(item: Scored, answer: Answer | None) -> str:
    if answer is None:
        return f"{item.result.failure}: {item.result.message}"[:_LONGEST_TEXT]
    points = ", ".join(f"({p.pixel.u:.1f}, {p.pixel.v:.1f})" for p in answer.points)
    return f"{answer.outcome.value} [{points}]\n{answer.text}"[:_LONGEST_TEXT]


def _outline(item: Scored, width: int, height: int) -> BoolArray | None:
    truth = item.question.truth
    return DecodedArea.read(truth, width, height).pixels() if isinstance(truth, Area) else None
