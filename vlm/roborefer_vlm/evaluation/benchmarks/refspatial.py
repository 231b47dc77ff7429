# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""RefSpatial-Bench and RefSpatial-Expand-Bench (BAAI, JingkunAn; arXiv 2506.04308).

Raw: `Location/`, `Placement/`, `Unseen/`, each with question.json, image/ and mask/. Hub: parquet
with pictures inside, a file per split (Bench) or per configuration (Expand, with `scene`, which is
"indoor" or "outdoor"). Where a directory holds both forms, the raw folders are read.
The benchmark has no depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from roborefer_vlm.evaluation.benchmarks.layout import choose_parts, table_files, table_records
from roborefer_vlm.evaluation.reading import Record, json_records
from roborefer_vlm.evaluation.records import Area, Question

PARTS = ("location", "placement", "unseen")


def load(directory: Path, parts: Sequence[str], _depth_scale_m: float | None) -> list[Question]:
    """Return the questions of the wanted parts.

    Raises:
        ConfigurationError: A wanted part is not there.
        RecordError: A record or picture cannot be used.
    """
    raw = raw_folders(directory)
    if raw:
        return [
            raw_question(part, record)
            for part in choose_parts(directory, [p for p in PARTS if p in raw], parts)
            for record in json_records(raw[part] / "question.json")
        ]
    tables = table_files(directory, PARTS)
    return [
        _question(part, record, "image", "mask")
        for part in choose_parts(directory, list(tables), parts)
        for record in table_records(tables[part], "id")
    ]


def raw_folders(directory: Path) -> dict[str, Path]:
    """Return the folders with a question.json, by their name in lower case, in order."""
    return {
        path.parent.name.lower(): path.parent for path in sorted(directory.glob("*/question.json"))
    }


def raw_question(part: str, record: Record) -> Question:
    """Return a question of a raw folder."""
    return _question(part, record, "rgb_path", "mask_path")


def _question(part: str, record: Record, picture_field: str, mask_field: str) -> Question:
    picture, mask = record.picture(picture_field), record.picture(mask_field)
    record.check_shape(mask_field, mask, picture)
    return Question(
        id=f"{part}/{record.id}",
        category=part,
        prompt=record.text("prompt"),
        suffix=record.text("suffix", ""),
        object=record.text("object", ""),
        step=record.step(),
        scene=record.text("scene", ""),
        picture=picture,
        truth=Area(mask),
    )
