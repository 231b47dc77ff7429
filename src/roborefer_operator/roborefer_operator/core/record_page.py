# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A record as one page that needs nothing else to be looked at."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_STYLE = (
    "body{font:15px system-ui,sans-serif;margin:2em auto;max-width:60em;padding:0 1em;"
    "color:#1b1f24;background:#fff}table{border-collapse:collapse;width:100%}"
    "td{border-top:1px solid #ddd;padding:.35em .6em;vertical-align:top}"
    "td:first-child{text-align:right;color:#667;white-space:nowrap}"
    ".succeeded{color:#117a37}.failed,.partly_done,.canceled{color:#b3261e}"
    "img{max-width:48%;margin:.4em .4em 0 0}code{background:#f2f3f5;padding:.1em .3em}"
)


def page(lines: Sequence[Mapping[str, Any]], pictures: Sequence[Path]) -> str:
    """Return the HTML of a record.

    Args:
        lines: Of record.jsonl.
        pictures: Annotated pictures, JPEG.
    """
    words = next((line["words"] for line in reversed(lines) if line["event"] == "words"), "")
    end = next((line for line in reversed(lines) if line["event"] == "ended"), None)
    state = str(end["state"]) if end else "under way"
    outcome = str(end["message"]) if end else ""
    rows = "\n".join(
        f"<tr><td>{float(line['at_s']):.2f} s</td><td><b>{_text(line['event'])}</b></td>"
        f"<td>{_text(describe(line))}</td></tr>"
        for line in lines
    )
    images = "\n".join(
        f'<img alt="{_text(path.stem)}" src="data:image/jpeg;base64,'
        f'{base64.b64encode(path.read_bytes()).decode()}">'
        for path in pictures
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{_text(words)}</title><style>{_STYLE}</style></head><body>\n"
        f'<h1>{_text(words) or "&nbsp;"}</h1>\n<p class="{_text(state)}">'
        f"{_text(state.replace('_', ' '))}: {_text(outcome)}</p>\n{images}\n"
        f"<table>\n{rows}\n</table>\n</body></html>\n"
    )


def describe(line: Mapping[str, Any]) -> str:
    """Return an event of a record in one line of text."""
    match line["event"]:
        case "accepted":
            return f"task {line['task']}, {line['source']}"
        case "words":
            return f"'{line['words']}', confidence {line['words_confidence']}"
        case "read":
            return _reading(line["reading"])
        case "steps":
            return _steps(line["steps"])
        case "reference":
            return f"step {line['step'] + 1}: {_reference(line['reference'])}"
        case "question":
            listed = "; ".join(_reference(c) for c in line["candidates"])
            return f"{line['text']} {listed}".strip()
        case "answer":
            said = line["text"] or (f"number {line['candidate']}" if line["candidate"] else "")
            return f"{line['kind']} {said or line['pixel'] or ''}".strip()
        case "step":
            news = (f"{name} {line[name]}" for name in line if name not in _COMMON and line[name])
            return f"step {line['step'] + 1}: {', '.join(news)}"
        case "ended":
            return f"{line['state']}, code {line['code']}: {line['message']}"
    rest = (f"{name} {value}" for name, value in line.items() if name not in _COMMON)
    return ", ".join(rest)


_COMMON = ("at_s", "event", "step")


def _reading(reading: Mapping[str, Any]) -> str:
    if "control" in reading:
        return str(reading["control"])
    if "steps" in reading:
        others = len(reading["others"])
        return _steps(reading["steps"]) + (f" (or {others} other readings)" if others else "")
    return f"a correction: {reading['target'] or reading['place'] or 'a new command'}"


def _steps(steps: Sequence[Sequence[str]]) -> str:
    return ", ".join(f"{verb} '{phrase}'" if phrase else verb for verb, phrase in steps)


def _reference(found: Mapping[str, Any]) -> str:
    u, v = found["pixel"]
    place = ""
    if found["position"]:
        x, y, z = found["position"]
        place = f", at ({x:.3f}, {y:.3f}, {z:.3f}) m in {found['frame']}"
    reasons = "; ".join(str(text) for text in found.get("reasoning") or ())
    sure = f", confidence {found['confidence']:.2f}" if found["confidence"] is not None else ""
    return (
        f"'{found['words'] or found['label']}' is {found['label']} at pixel ({u:.1f}, {v:.1f})"
        f"{place}{sure}" + (f" because {reasons}" if reasons else "")
    )


def _text(value: object) -> str:
    return html.escape(str(value))
