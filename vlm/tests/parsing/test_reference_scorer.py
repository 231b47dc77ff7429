# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The reading that compares with published scores equals the recorded tables of the original."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from roborefer_vlm.exceptions import AnswerError
from roborefer_vlm.parsing import reference

GOLDEN = json.loads(
    (
        Path(__file__).parents[1] / "golden" / "roborefer_tiny" / "scoring" / "scoring.json"
    ).read_text(encoding="utf-8")
)
SIZE = GOLDEN["width"], GOLDEN["height"]


def rows(table: str) -> Any:
    return pytest.mark.parametrize("row", GOLDEN[table], ids=lambda row: repr(row["text"])[:60])


def check(row: dict[str, Any], read: Any) -> None:
    if "error" in row:
        with pytest.raises(AnswerError):
            read()
        return

    points = read()

    if "points" in row:
        assert points.tolist() == row["points"]
    else:
        assert len(points) == row["n"]
        assert points[0].tolist() == row["first"]
        assert points[-1].tolist() == row["last"]
        assert points.sum(axis=0).tolist() == row["sum"]


@rows("normalised")
def test_tuples_are_read_as_the_original_does(row: dict[str, Any]) -> None:
    check(row, lambda: reference.read_tuples(row["text"], *SIZE))


@rows("absolute")
def test_tuples_in_pixels_are_read_as_the_original_does(row: dict[str, Any]) -> None:
    check(row, lambda: reference.read_tuples(row["text"], *SIZE, absolute=True))


@rows("xml")
def test_tags_are_read_as_the_original_does(row: dict[str, Any]) -> None:
    check(row, lambda: reference.read_xml(row["text"], *SIZE))


@rows("json_fence")
def test_fenced_json_is_read_as_the_original_does(row: dict[str, Any]) -> None:
    check(row, lambda: reference.read_json(row["text"], *SIZE))


@pytest.mark.parametrize(
    "text",
    [
        "[(0, 0, 999999, 999999)]",
        "[(" + "9" * 5000 + ", 1)]",
        "[(" + "9" * 400 + ".0, 1)]",
        "```json\n[1, 2]\n```",
        "```json\n" + "[" * 50_000 + "\n```",
        '```json\n[{"point": [NaN, 1]}]\n```',
        '```json\n[{"point": ["a", 1]}]\n```',
    ],
    ids=lambda text: text[:24],
)
def test_what_breaks_the_original_is_an_answer_error(text: str) -> None:
    read = reference.read_json if text.startswith("`") else reference.read_tuples

    with pytest.raises(AnswerError):
        read(text, 640, 480)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (reference.read_tuples, "[(99999999999999999999, 5), (0.5, 0.5)]"),
        (reference.read_tuples, "[(99999999999999999999.5, 5), (0.5, 0.5)]"),
        (reference.read_json, '```\n[{"point": [5, 1e30]}, {"point": [500, 500]}]\n```'),
        (reference.read_xml, '<points x1="9' + "9" * 40 + '" y1="5"/> <points x2="50" y2="50"/>'),
    ],
)
def test_coordinates_of_any_size_are_points_outside(read: Any, text: str) -> None:
    points = read(text, *SIZE)

    inside = ((points >= 0) & (points < SIZE)).all(axis=1)
    assert inside.tolist() == [False, True]


def test_long_runs_of_digits_take_linear_time() -> None:
    text = "(" * 10 + ("(" + "1" * 60_000) * 5 + "(0.5, 0.5)"

    points = reference.read_tuples(text, *SIZE)

    assert np.array_equal(points, [[60, 40]])
