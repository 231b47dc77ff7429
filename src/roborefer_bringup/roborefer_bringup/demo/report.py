# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The report of the demo: one HTML file with words, steps, pictures, timings and verdicts."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from roborefer_common.times import nanoseconds

from roborefer_bringup.demo.story import Act, Check
from roborefer_bringup.demo.witness import PHASES, STATES, Watched, words_of
from roborefer_msgs.msg import TaskStatus, TaskStep

_NS = 1e9
# A larger video is linked, not embedded.
_LARGEST_EMBEDDED = 12_000_000
_STEP_STATES = {
    TaskStep.PENDING: "not begun", TaskStep.RUNNING: "running", TaskStep.SUCCEEDED: "done",
    TaskStep.FAILED: "failed", TaskStep.SKIPPED: "skipped", TaskStep.UNDONE: "undone",
}  # fmt: skip
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1c1e21; background: #fff }
h1, h2 { line-height: 1.2 } h2 { margin-top: 2.5rem }
video, img { max-width: 100%; border-radius: 6px }
.pictures { display: grid; gap: .6rem;
  grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)) }
table { border-collapse: collapse; width: 100%; margin: .8rem 0; font-size: .9rem }
td, th { border-bottom: 1px solid #ddd; padding: .3rem .5rem; text-align: left;
  vertical-align: top }
.good { color: #0a7a36 } .bad { color: #b3261e } .quiet { color: #666 }
blockquote { margin: .5rem 0; padding-left: 1rem; border-left: 4px solid #ff406e;
  font-size: 1.1rem }
@media (prefers-color-scheme: dark) { body { color: #e6e6e6; background: #18191b }
  td, th { border-color: #444 } .quiet { color: #aaa }
  .good { color: #5fd38d } .bad { color: #ff8a80 } }
"""


@dataclass(eq=False)
class Played:
    """One act as it went.

    Attributes:
        act: What was asked.
        watched: What was seen.
        error: Why it failed before the judge, or "".
        checks: Of the judge.
        wall_s: Seconds of real time.
        heard: Whether the words came as sound.
        remark: What was done otherwise than the act says, or "".
    """

    act: Act
    watched: Watched
    error: str = ""
    checks: list[Check] = field(default_factory=list)
    wall_s: float = 0.0
    heard: bool = False
    remark: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether the robot said so and the truth agrees."""
        return not self.error and bool(self.checks) and all(c.passed for c in self.checks)


def write_report(
    file: Path, played: Sequence[Played], facts: Sequence[tuple[str, str]], video: Path | None
) -> None:
    """Write the report.

    Args:
        file: Where to.
        played: The acts.
        facts: Names and values that hold for the whole run.
        video: The film, or None.
    """
    good = sum(p.succeeded for p in played)
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>RoboRefer demo</title><style>{_STYLE}</style>",
        "<h1>One sentence, one robot</h1>",
        f'<p class="{"good" if good == len(played) else "bad"}">{good} of {len(played)} sentences'
        " carried out, judged by the simulator's ground truth.</p>",
        _video(video),
        _table([(escape(name), escape(value)) for name, value in facts]),
    ]
    for number, each in enumerate(played, 1):
        parts.append(_act(number, each))
    file.write_text("\n".join(parts) + "</html>\n", encoding="utf-8")


def _video(video: Path | None) -> str:
    if video is None:
        return '<p class="quiet">No video could be written.</p>'
    source = escape(video.name)
    if video.stat().st_size <= _LARGEST_EMBEDDED:
        source = "data:video/mp4;base64," + b64encode(video.read_bytes()).decode()
    return f'<video controls muted src="{source}"></video>'


def _act(number: int, played: Played) -> str:
    act, watched = played.act, played.watched
    verdict = "done" if played.succeeded else "not done"
    parts = [
        f"<h2>{number}. {escape(act.title)}: "
        f'<span class="{"good" if played.succeeded else "bad"}">{verdict}</span></h2>',
        *(f"<blockquote>{escape(words)}</blockquote>" for words in watched.said),
    ]
    if played.remark:
        parts.append(f'<p class="quiet">{escape(played.remark)}</p>')
    if played.error:
        parts.append(f'<p class="bad">{escape(played.error)}</p>')
    parts.append("<ul>")
    for check in played.checks:
        mark, kind = ("✓", "good") if check.passed else ("✗", "bad")
        parts.append(f'<li><span class="{kind}">{mark}</span> {escape(check.text)}</li>')
    parts.append(f'</ul><p class="quiet">{played.wall_s:.0f} s of real time</p>')
    for task in watched.tasks.values():
        parts.append(_task(task))
    parts.append('<div class="pictures">')
    for picture in watched.pictures:
        data = b64encode(picture).decode()
        parts.append(f'<img alt="what was referred to" src="data:image/jpeg;base64,{data}">')
    return "\n".join(parts) + "</div>"


def _task(task: TaskStatus) -> str:
    said = f"“{escape(task.instruction)}”: {escape(STATES[task.state])}"
    if task.error_msg:
        said += f", {escape(task.error_msg)}"
    if task.source == TaskStatus.SPOKEN:
        said += f' <span class="quiet">(heard with {task.words_confidence:.2f})</span>'
    rows = [("<b>step</b>", "<b>state</b>", "<b>time</b>", "<b>why there</b>")]
    for step in task.steps:
        seconds = (nanoseconds(step.ended) - nanoseconds(step.started)) / _NS
        state = _STEP_STATES[step.state]
        if step.error_msg:
            state += f" ({step.error_msg}; {PHASES.get(step.phase, '')})"
        if step.attempts > 1:
            state += f", {step.attempts} attempts"
        thoughts = step.reference.reasoning if step.has_reference else []
        rows.append(
            (
                escape(words_of(step)), escape(state), f"{seconds:.1f} s" if seconds > 0 else "",
                "<br>".join(escape(thought.text) for thought in thoughts),
            )
        )  # fmt: skip
    return f"<p>{said}</p>" + _table(rows)


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    lines = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"
