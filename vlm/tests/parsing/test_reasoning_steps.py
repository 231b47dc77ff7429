# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Steps are read in all forms that the papers print, and never mistaken for the answer."""

from __future__ import annotations

import pytest
from roborefer_vlm.exceptions import AnswerError
from roborefer_vlm.parsing.points import ParsedAnswer, parse_points
from roborefer_vlm.types import PerceptionType, Pixel

ANSWER = Pixel(59.5, 39.5)


def parse(text: str, family: str = "roborefer") -> ParsedAnswer:
    return parse_points(text, 120, 80, family)


@pytest.mark.parametrize(
    "text",
    [
        "Step1: [Position] [the left clock] Point (0.125, 0.625). [(0.5, 0.5)]",
        "Step 1. [Position] [the left clock]: (0.125, 0.625)\n[(0.5, 0.5)]",
        "[Position] [the left clock]: [(0.125, 0.625)] [(0.5, 0.5)]",
        "[position] [ the left clock ] [(0.125,0.625)]; (0.5, 0.5)",
        "[Position]: [the left clock]: Point: (0.125, 0.625)\nAnswer: [(0.5, 0.5)]",
        "<think>[Position] [the left clock] Point (0.125, 0.625)</think> [(0.5, 0.5)]",
        "<think>\n[Position] [the left clock]: [(0.125, 0.625)]\n</think>\n"
        "<answer>[(0.5, 0.5)]</answer>",
    ],
)
def test_position_step_has_its_pixel_and_does_not_count_as_answer(text: str) -> None:
    parsed = parse(text)

    assert parsed.points == (ANSWER,)
    (step,) = parsed.steps
    assert step.perception is PerceptionType.POSITION
    assert step.target == "the left clock"
    assert step.pixel == Pixel(14.5, 49.5)
    assert step.text in text


def test_three_steps_on_one_line_are_three_steps() -> None:
    parsed = parse(
        "Step1: [Position] [cup] Point (0.25, 0.5). Step2: [Orientation] [handle] Vector"
        " (0.6, 0.0, 0.8). Step3: [Size] [cup] 0.12. Answer: [(0.5, 0.5)]"
    )

    assert [step.perception for step in parsed.steps] == [
        PerceptionType.POSITION,
        PerceptionType.ORIENTATION,
        PerceptionType.SIZE,
    ]
    assert parsed.steps[1].direction == pytest.approx((0.6, 0.0, 0.8))
    assert parsed.steps[2].size_m == 0.12
    assert parsed.points == (ANSWER,)


@pytest.mark.parametrize("value", ["0.12", ": 0.12m", "Size: 0.12 m", ": [0.12]", "0.12 meters."])
def test_size_is_read_in_metres(value: str) -> None:
    (step,) = parse(f"[Size] [cup] {value}\n[(0.5, 0.5)]").steps

    assert step.size_m == 0.12


def test_steps_of_traces_use_the_scale_of_their_family() -> None:
    parsed = parse(
        "[Scale] [Scene] 2.406\n[Referring] [cup] (250, 500, 0.9)\n[Measuring] [cup] 0.104m\n"
        "[(500, 500, 1.0)]",
        "robotracer",
    )

    assert [step.pixel for step in parsed.steps] == [Pixel(29.5, 39.5), None]
    assert parsed.steps[1].size_m == 0.104
    assert parsed.points == (ANSWER,)


@pytest.mark.parametrize(
    "step",
    [
        "[Position] [cup] Point (1.5, 0.5)",
        "[Position] [cup] Point (0.5",
        "[Position] [cup] [(nan, 0.5)]",
        "[Orientation] [cup] (3.0, 0.0, 0.0)",
        "[Orientation] [cup] (0.0, 0.0, 0.0)",
        "[Orientation] [cup] (1.0, 0.0)",
        "[Size] [cup] 1e3",
        "[Size] [cup] large",
        "Step 7: [Colour] [cup] red (0.2, 0.2)",
    ],
)
def test_step_without_readable_value_keeps_its_text_only(step: str) -> None:
    parsed = parse(f"{step}\n[(0.5, 0.5)]")

    assert parsed.points == (ANSWER,)
    (read,) = parsed.steps
    assert read.text == step
    assert read.target == "cup"
    assert read.perception is PerceptionType.OTHER
    assert (read.pixel, read.direction, read.size_m) == (None, None, None)


@pytest.mark.parametrize(
    "text",
    [
        "<answer>[(0.5, 0.5)]",
        "[(0.5, 0.5)]</answer>",
        "<answer>[(0.5, 0.5)]</answer><answer>[(0.1, 0.1)]</answer>",
        "</answer>[(0.5, 0.5)]<answer>",
        "<answer></answer>",
        "<think>[(0.5, 0.5)]",
        "<think>a</think>",
        "<think>a</think><think>b</think>[(0.5, 0.5)]",
        "Step1: [Position] [cup] Point (0.25, 0.5).",
        "The answer is:",
        "[Position] [a] (0.1, 0.1) " * 70 + "[(0.5, 0.5)]",
    ],
)
def test_reasoning_that_does_not_end_in_one_answer_is_refused(text: str) -> None:
    with pytest.raises(AnswerError):
        parse(text)


def test_points_of_the_thinking_do_not_count() -> None:
    parsed = parse("<think>(0.1, 0.2)</think><answer>[(0.5, 0.5)]</answer>")

    assert parsed.points == (ANSWER,)


def test_last_answer_marker_counts() -> None:
    assert parse("Cup at (0.2, 0.3). Final answer: [(0.5, 0.5)]").points == (ANSWER,)
