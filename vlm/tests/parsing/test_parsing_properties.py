# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""For all points parse(render(points)) = points; any text is answered or refused, quickly."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roborefer_vlm.exceptions import AnswerError, QueryError
from roborefer_vlm.parsing.families import families
from roborefer_vlm.parsing.marks import LONGEST_ANSWER
from roborefer_vlm.parsing.points import parse_points
from roborefer_vlm.parsing.rendering import render_points
from roborefer_vlm.types import Pixel

FAMILIES = list(families())
SIZES = st.tuples(st.integers(1, 4000), st.integers(1, 4000))
UNIT = st.floats(0, 1, exclude_max=True)
# Pieces that the grammars are made of, so that texts come near to what they accept.
PIECES = st.sampled_from(
    ["(", ")", "[", "]", ",", " ", "\n", "0.5", "1", "-", "+", ".", "e", "nan", "٣", "(0.5, 0.5)",
     "<point", "x=", '"', "'", "/>", ">", "</point>", "<points", ' x1="5"', ' y1="5"', "[500, 5]",
     "```", "json", "{", "}", ":", '"point_2d"', "<answer>", "</answer>", "<think>", "</think>",
     "Step1:", "[Position]", "[cup]", "[Size]", "Answer:", "\\", "\x00", "\ud800"]
)  # fmt: skip


@given(st.sampled_from(FAMILIES), SIZES, st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=9))
@settings(max_examples=150, deadline=None)
def test_rendered_points_come_back_within_rounding(
    name: str, size: tuple[int, int], places: list[tuple[float, float]]
) -> None:
    points = [Pixel.from_normalised(x, y, *size) for x, y in places]
    family = families()[name]
    depths = [1.5] * len(points) if family.numbers == 3 else []

    parsed = parse_points(render_points(points, *size, name, depths_m=depths), *size, name)

    # Half of the last digit written, in pixels, and half a pixel at the far border.
    digit = 0.0005 if family.scale == "unit" else 0.05
    slack = [
        0.5 + 1e-6 + digit * side / span
        for side, span in zip(size, family.span(*size), strict=True)
    ]
    assert len(parsed.points) == len(points)
    for point, back in zip(points, parsed.points, strict=True):
        assert back.inside(*size)
        assert abs(back.u - point.u) <= slack[0]
        assert abs(back.v - point.v) <= slack[1]


@given(st.sampled_from(FAMILIES), st.lists(PIECES, max_size=60).map("".join))
@settings(max_examples=400, deadline=None)
def test_any_text_gives_points_in_the_picture_or_an_answer_error(name: str, text: str) -> None:
    try:
        parsed = parse_points(text, 120, 80, name)
    except AnswerError:
        return

    assert all(point.inside(120, 80) for point in parsed.points)
    assert all(step.pixel is None or step.pixel.inside(120, 80) for step in parsed.steps)


@given(st.sampled_from(FAMILIES), st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_foreign_text_never_fails_in_another_way(name: str, text: str) -> None:
    with suppress(AnswerError):
        parse_points(text, 120, 80, name)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    "piece",
    ["(", "[", "{", "<", "```", "[Position] [", "[Position] [a] ", "Step1: [", "<point ", "1",
     "(1", "[(", "(1,", "[[", '<point x="', "answer: ", "<points x1='1' ", "[ ", "(-",
     "Step 1: [a] [b] (1,",
     "\n", " ", '{"a":', "<answer>", "</think>", "[Position] [a] (1, "]
)  # fmt: skip
def test_hostile_repetition_takes_bounded_time(name: str, piece: str) -> None:
    text = piece * (LONGEST_ANSWER // len(piece))

    start = time.perf_counter()
    with suppress(AnswerError):
        parse_points(text, 120, 80, name)

    # Quadratic reading of 65,536 characters would take minutes; a busy machine gets a second.
    assert time.perf_counter() - start < 1.0


def test_place_outside_the_picture_is_not_rendered() -> None:
    with pytest.raises(QueryError, match="outside"):
        render_points([Pixel(120, 0)], 120, 80)
