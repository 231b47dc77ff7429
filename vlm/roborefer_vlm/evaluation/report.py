# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The files that a run leaves: report.json for programs and report.html for people."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from roborefer_vlm.evaluation.gallery import gallery
from roborefer_vlm.evaluation.results import result_to_json
from roborefer_vlm.evaluation.scoring.score import Scored

JSON_NAME = "report.json"
HTML_NAME = "report.html"


def write_report(
    directory: Path,
    title: str,
    scored: Sequence[Scored],
    summary: Mapping[str, Any],
    config: Mapping[str, Any],
) -> None:
    """Write report.json and report.html.

    Equal results give equal files, whatever the order in which they came in; a reader never sees
    half a file.

    Raises:
        PictureError: A picture or mask cannot be decoded.
        OSError: A file cannot be written.
    """
    report = {
        "title": title,
        "config": dict(config),
        "summary": dict(summary),
        "results": [_row(item) for item in scored],
    }
    text = json.dumps(report, indent=1, ensure_ascii=False)
    _replace(directory / JSON_NAME, text)
    _replace(directory / HTML_NAME, gallery(title, scored, summary, config))


def _row(item: Scored) -> dict[str, Any]:
    question = item.question
    return {
        "question": question.id,
        "category": question.category,
        "step": question.step,
        "scene": question.scene,
        "prompt": question.prompt,
        "strict": item.strict,
        "protocol": item.protocol,
        "verdict": item.verdict.value,
        "result": result_to_json(item.result),
    }


def _replace(path: Path, text: str) -> None:
    part = path.with_suffix(path.suffix + ".part")
    # What a model wrote may hold halves of surrogate pairs, which have no UTF-8.
    part.write_bytes(text.encode("utf-8", "backslashreplace"))
    os.replace(part, path)
