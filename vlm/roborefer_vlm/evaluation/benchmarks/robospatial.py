# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""RoboSpatial-Home (chanhee-luke/RoboSpatial-Home): context, compatibility and configuration.

Either annotations.json beside images/, or parquet with a split per category. Context questions ask
for points and come with a polygon, and in some copies with a mask; the others are answered yes or
no. Depth pictures come without a unit and without intrinsics, so they go along only when the user
states their unit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from roborefer_vlm.evaluation.benchmarks.layout import choose_parts, table_files, table_records
from roborefer_vlm.evaluation.reading import Record, json_records
from roborefer_vlm.evaluation.records import Area, DepthMap, Question, Word

PARTS = ("context", "compatibility", "configuration")
_NUMBER = r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?"
_CORNER = re.compile(rf"[(\[]\s*({_NUMBER})\s*,\s*({_NUMBER})\s*[)\]]")
_POLYGON = re.compile(rf"\s*\[\s*{_CORNER.pattern}(?:\s*,\s*{_CORNER.pattern})*\s*,?\s*\]\s*")


def load(directory: Path, parts: Sequence[str], depth_scale_m: float | None) -> list[Question]:
    """Return the questions of the wanted categories.

    Raises:
        ConfigurationError: A wanted category is not there.
        RecordError: A record or picture cannot be used.
    """
    annotations = directory / "annotations.json"
    if annotations.is_file():
        by_part: dict[str, list[Record]] = {part: [] for part in PARTS}
        for record in json_records(annotations, id_field=None):
            by_part[_category(record)].append(record)
        found = [part for part in PARTS if by_part[part]]
    else:
        tables = table_files(directory, PARTS)
        found = list(tables)
        by_part = {part: table_records(files, None) for part, files in tables.items()}
    return [
        _question(part, record, depth_scale_m)
        for part in choose_parts(directory, found, parts)
        for record in by_part[part]
    ]


def _category(record: Record) -> str:
    category = record.text("category").lower()
    if category not in PARTS:
        raise record.error("category", f"'{category}' is given; {', '.join(PARTS)} are known")
    return category


def _question(part: str, record: Record, depth_scale_m: float | None) -> Question:
    picture = record.picture("img")
    truth: Area | Word
    if part == "context":
        truth = Area(polygon=_polygon(record))
        if record.fields.get("mask") is not None:
            mask = record.picture("mask")
            record.check_shape("mask", mask, picture)
            truth = replace(truth, mask=mask)
    else:
        truth = Word(_word(record))
    depth = None
    if depth_scale_m is not None and record.fields.get("depth_image") is not None:
        depth = DepthMap(record.picture("depth_image"), depth_scale_m)
    return Question(
        id=f"{part}/{record.id}",
        category=part,
        prompt=record.text("question"),
        picture=picture,
        truth=truth,
        depth=depth,
    )


def _word(record: Record) -> str:
    word = record.text("answer").strip().lower()
    if word not in ("yes", "no"):
        raise record.error("answer", f"'{word[:40]}' is given; yes or no is needed")
    return word


def _polygon(record: Record) -> tuple[tuple[float, float], ...]:
    text = record.text("answer")
    if not _POLYGON.fullmatch(text):
        raise record.error("answer", f"'{text[:40]}' is given; a list of (x, y) is needed")
    corners = tuple((float(x), float(y)) for x, y in _CORNER.findall(text))
    if len(corners) < 3:
        raise record.error("answer", f"{len(corners)} corners are given; at least 3 are needed")
    return corners
