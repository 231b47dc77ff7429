# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The filter report: what was asked, what was not and why; as JSON and as a page to read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from roborefer_vlm.data.archives import write_whole
from roborefer_vlm.data.tally import Tally
from roborefer_vlm.exceptions import ConfigurationError

REPORT = "report.json"
PAGE = "report.md"


def write_report(out: Path, tally: Tally, run: Mapping[str, Any]) -> None:
    """Write both forms; the JSON is written last, and its presence says that a run is finished.

    Args:
        out: Folder of the data set.
        tally: What was counted.
        run: What the run depended on.
    """
    write_whole(out / PAGE, page(tally, run).encode())
    text = json.dumps({"run": run, "counts": tally.to_json()}, indent=2, ensure_ascii=False)
    write_whole(out / REPORT, f"{text}\n".encode())


def read_report(out: Path) -> Tally:
    """Read the counts of a finished data set.

    Raises:
        ConfigurationError: There is no report, or it cannot be read.
    """
    return Tally(read_report_file(out)["counts"])


def read_report_file(out: Path) -> dict[str, Any]:
    """Read the report of a finished data set: `run` and `counts`.

    Raises:
        ConfigurationError: There is none, or it cannot be read.
    """
    path = out / REPORT
    try:
        report = json.loads(path.read_text("utf-8"))
        if not isinstance(report["run"], dict):
            raise TypeError("'run' shall be an object")
        for labels in report["counts"].values():
            if not all(type(count) is int for count in labels.values()):
                raise TypeError("'counts' shall hold whole numbers by name and label")
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{out} has no {REPORT}, so it is no finished data set;"
            " the command that began it finishes it"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error!r}") from error
    return dict(report)


def page(tally: Tally, run: Mapping[str, Any]) -> str:
    """Return the report as Markdown."""
    counts = tally.counts
    shots, examples = counts.get("shots", Counter()), counts.get("examples", Counter())
    lines = [
        f"# Data from {run.get('source', 'several runs')}",
        "",
        f"{sum(examples.values())} questions from {sum(shots.values())} shots"
        f" ({shots['failed']} failed, {shots['without questions']} without questions).",
        "",
        "## Questions by kind",
        "",
    ]
    by_kind = {
        name: _by_kind(counts.get(name, {}))
        for name in ("rejected", "answers", "words", "skipped", "phrasings")
    }
    kinds = sorted({*examples, *by_kind["rejected"], *by_kind["skipped"]})
    rows = []
    for kind in kinds:
        refused = sum(by_kind["rejected"].get(kind, {}).values())
        thought = refused + examples[kind]
        rows.append(
            (
                kind,
                examples[kind],
                refused,
                _percent(examples[kind], thought),
                _words(by_kind["words"].get(kind, {})),
                len(by_kind["phrasings"].get(kind, {})),
                _shares(by_kind["answers"].get(kind, {})),
            )
        )
    lines += _table(
        ("kind", "asked", "rejected", "kept", "words (mean, most)", "wordings", "answers"), rows
    )
    for name, title in (("relations", "Relations"), ("frames", "Frames")):
        lines += _matrix(title, _by_kind(counts.get(name, {})))
    lines += _list("Steps of chains", counts.get("steps", {}), "steps")
    lines += _list("What steps perceive", counts.get("perceptions", {}), "perception")
    refusals = [
        (kind, reason, count)
        for kind in kinds
        for reason, count in Counter(by_kind["rejected"].get(kind, {})).most_common()
    ]
    if refusals:
        lines += ["", "## Why questions were rejected", ""]
        lines += _table(("kind", "reason", "times"), refusals)
    passed = [
        (kind, missing, count)
        for kind in kinds
        for missing, count in by_kind["skipped"].get(kind, {}).items()
    ]
    if passed:
        lines += ["", "## Kinds that were not tried: the source does not vouch for", ""]
        lines += _table(("kind", "facts", "shots"), passed)
    lines += _list("Why shots failed", counts.get("errors", {}), "reason")
    lines += ["", "## The run", "", "```json", json.dumps(run, indent=2), "```", ""]
    return "\n".join(lines)


def _by_kind(labels: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Split labels such as "location/left of" at the first slash."""
    result: dict[str, dict[str, int]] = {}
    for label, count in labels.items():
        kind, _, rest = label.partition("/")
        result.setdefault(kind, {})[rest] = count
    return result


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "–"


def _words(lengths: Mapping[str, int]) -> str:
    total = sum(lengths.values())
    if not total:
        return "–"
    mean = sum(int(length) * count for length, count in lengths.items()) / total
    return f"{mean:.1f}, {max(map(int, lengths))}"


def _shares(labels: Mapping[str, int]) -> str:
    total = sum(labels.values())
    return ", ".join(
        f"{label} {_percent(count, total)}" for label, count in Counter(labels).most_common()
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]
    return lines


def _cell(value: object) -> str:
    return " ".join(str(value).replace("|", "\\|").split())


def _matrix(title: str, by_kind: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return a table of labels by kinds."""
    if not by_kind:
        return []
    kinds = sorted(by_kind)
    totals: Counter[str] = Counter()
    for labels in by_kind.values():
        totals.update(labels)
    rows = [
        (label, *(by_kind[kind].get(label, 0) or "–" for kind in kinds), total)
        for label, total in totals.most_common()
    ]
    return ["", f"## {title}", "", *_table((title.lower()[:-1], *kinds, "all"), rows)]


def _list(title: str, labels: Mapping[str, int], head: str) -> list[str]:
    if not labels:
        return []
    return ["", f"## {title}", "", *_table((head, "times"), Counter(labels).most_common())]
