# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Where2Place (wentao-yuan/where2place): free space in homes and offices.

images/, masks/NN.jpg (NN is the place of the question in the file) and point_questions.jsonl with
{question_id, image, text, category} per line. Masks are soft: grey values from a JPEG.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from roborefer_vlm.evaluation.benchmarks.layout import choose_parts
from roborefer_vlm.evaluation.reading import Record, as_records
from roborefer_vlm.evaluation.records import Area, Question
from roborefer_vlm.exceptions import ConfigurationError, PictureError, RecordError
from roborefer_vlm.picture_files import Source, picture_size

FILE = "point_questions.jsonl"
_FORMAT_REQUEST = " Your answer should be formatted as"


def load(directory: Path, parts: Sequence[str], _depth_scale_m: float | None) -> list[Question]:
    """Return the questions of the wanted categories.

    Raises:
        ConfigurationError: There is no file of questions, or a wanted category is not there.
        RecordError: A record or picture cannot be used.
    """
    path = directory / FILE
    if not path.is_file():
        raise ConfigurationError(f"{directory} has no {FILE}")
    questions = [
        _question(record, directory, place) for place, record in enumerate(_records(path))
    ]
    found = list(dict.fromkeys(question.category for question in questions))
    chosen = choose_parts(directory, found, parts)
    return [question for question in questions if question.category in chosen]


def _records(path: Path) -> list[Record]:
    rows: list[object] = []
    for number, line in enumerate(path.read_text("utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise RecordError(str(path), f"line {number}", "", f"no JSON ({error})") from error
    return as_records(str(path), path.parent, rows, "question_id")


def _question(record: Record, directory: Path, place: int) -> Question:
    name = record.text("image")
    path = directory / "images" / name
    if not path.is_file():
        path = record.path("image")
    picture = _picture(record, "image", path)
    mask = _picture(record, "mask", directory / "masks" / f"{place:02d}.jpg")
    record.check_shape("mask", mask, picture)
    text = record.text("text")
    cut = text.rfind(_FORMAT_REQUEST)
    return Question(
        id=record.id,
        category=record.text("category", "free_space").lower(),
        # Joined by one blank, the two give the sentence of the file again.
        prompt=text[:cut] if cut > 0 else text,
        suffix=text[cut + 1 :] if cut > 0 else "",
        picture=picture,
        truth=Area(mask, soft=True),
    )


def _picture(record: Record, field: str, path: Path) -> Source:
    if not path.is_file():
        raise record.error(field, f"there is no file {path}")
    source = Source.of(path)
    try:
        picture_size(source)
    except PictureError as error:
        raise record.error(field, str(error)) from error
    return source
