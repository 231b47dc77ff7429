# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Rewards against cases whose arithmetic stands beside them."""

from __future__ import annotations

import time

import pytest
from roborefer_vlm.data.examples import KeyStep
from roborefer_vlm.exceptions import ConfigurationError, QueryError
from roborefer_vlm.training.rewards import NOTHING, Goal, RewardSettings, reward_of
from roborefer_vlm.types import PerceptionType

POSITION, ORIENTATION, SIZE = (
    PerceptionType.POSITION,
    PerceptionType.ORIENTATION,
    PerceptionType.SIZE,
)
# Measured at 960 x 540: the truth stands at (480, 270) from the corner.
GOAL = Goal(
    1920,
    1080,
    (0.5, 0.5),
    (
        KeyStep(POSITION, "the red mug", (0.25, 0.25)),
        KeyStep(ORIENTATION, "the handle of the red mug", (1.0, 0.0, 0.0)),
        KeyStep(SIZE, "the red mug", (0.20,)),
    ),
)
STEPS = (
    "[Position] [the red mug]: [(0.250, 0.250)]\n"
    "[Orientation] [the handle of the red mug]: (1.000, 0.000, 0.000)\n"
    "[Size] [the red mug]: 0.20"
)


def output(steps: str = STEPS, answer: str = "[(0.500, 0.500)]") -> str:
    return f"<think> {steps} </think><answer>{answer}</answer>"


def test_everything_right_earns_two_and_a_half() -> None:
    reward = reward_of(output(), GOAL)

    # 1 + 1 + 0.25 * 1 + 0.25 * 3/3
    assert reward.total == 2.5
    assert (reward.outcome_format, reward.point) == (1.0, 1.0)
    assert (reward.process_format, reward.step_accuracy) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("point", "earned"),
    [
        # |0.025| * 960 + |0.025| * 540 = 24 + 13.5 = 37.5 px
        ("(0.525, 0.475)", 1.0),
        # 0.051 * 960 = 48.96 px
        ("(0.551, 0.5)", 1.0),
        # 0.053 * 960 = 50.88 px
        ("(0.553, 0.5)", 0.0),
        # L1, not the straight line: 0.03 * 960 + 0.045 * 540 = 28.8 + 24.3 = 53.1 px, while the
        # straight line is 37.7 px.
        ("(0.53, 0.545)", 0.0),
    ],
)
def test_point_must_lie_within_50_pixels_of_a_960_pixel_picture(point: str, earned: float) -> None:
    assert reward_of(output(answer=f"[{point}]"), GOAL).point == earned


def test_own_pixels_are_measured_when_no_side_is_given() -> None:
    settings = RewardSettings(longer_side_px=0)

    # 0.025 * 1920 + 0 = 48 px, and 0.027 * 1920 = 51.84 px
    assert reward_of(output(answer="[(0.525, 0.5)]"), GOAL, settings).point == 1.0
    assert reward_of(output(answer="[(0.527, 0.5)]"), GOAL, settings).point == 0.0


@pytest.mark.parametrize(
    "answer",
    [
        "[(0.5, 0.5), (0.5, 0.5)]",
        "[]",
        "somewhere in the middle",
        "[(0.5, 0.5)",
        "[(1.5, 0.5)]",
        "[(nan, 0.5)]",
        "[(0.5, 0.5, 0.5)]",
        "__import__('os')",
        "",
    ],
)
def test_answer_that_is_not_one_point_earns_no_point(answer: str) -> None:
    reward = reward_of(output(answer=answer), GOAL)

    assert reward.point == 0.0
    # 1 + 0 + 0.25 + 0.25
    assert reward.total == 1.5


@pytest.mark.parametrize(
    "text",
    [
        "[(0.5, 0.5)]",
        "<answer>[(0.5, 0.5)]</answer>",
        "Well: " + output(),
        output() + " That is all.",
        output().replace("</answer>", ""),
        output() + output(),
        output("<think>" + STEPS),
        "<answer>[(0.5, 0.5)]</answer><think></think>",
        "",
    ],
)
def test_output_of_another_form_earns_nothing(text: str) -> None:
    assert reward_of(text, GOAL) == NOTHING


def test_white_space_around_and_between_the_blocks_is_no_other_form() -> None:
    text = output().replace("</think>", "</think>\n\n")

    assert reward_of(f"\n{text}\n", GOAL).total == 2.5


@pytest.mark.parametrize(
    "steps",
    [
        "",
        "I look at the red mug.",
        STEPS + "\nNow I know.",
        "[Colour] [the red mug]: red",
        "[Position] [the red mug] [(0.25, 0.25)]",
        "[Position] [the red mug]: somewhere",
        "[Position] [the red mug]: [(25, 25)]",
        "[Position] [the red mug]: [(0.2, 0.2, 0.2)]",
        "[Orientation] [the handle]: (3.0, 0.0, 0.0)",
        "[Size] [the red mug]: big",
        "[Position] [the red mug]: [(0.25, 0.25)] [Size] [the red mug]: 0.20",
    ],
)
def test_line_that_is_no_step_costs_the_process_format(steps: str) -> None:
    assert reward_of(output(steps), GOAL).process_format == 0.0


def test_order_of_steps_does_not_matter() -> None:
    reordered = "\n".join(reversed(STEPS.split("\n")))

    assert reward_of(output(reordered), GOAL).total == 2.5


@pytest.mark.parametrize(
    ("line", "earned"),
    [
        # (0.04 * 960) + (0.02 * 540) = 38.4 + 10.8 = 49.2 px
        ("[Position] [Red Mug]: [(0.29, 0.27)]", 1 / 3),
        # 38.4 + 0.025 * 540 = 51.9 px
        ("[Position] [the red mug]: [(0.29, 0.275)]", 0.0),
        # cosine with (1, 0, 0) is the first number; 0.8 itself is not enough.
        ("[Orientation] [the handle of the red mug]: (0.810, 0.586, 0.000)", 1 / 3),
        ("[Orientation] [the handle of the red mug]: (0.800, 0.600, 0.000)", 0.0),
        # 0.20 m +- 15 % is 0.17 to 0.23 m
        ("[Size] [the red mug]: 0.229", 1 / 3),
        ("[Size] [the red mug]: 0.171", 1 / 3),
        ("[Size] [the red mug]: 0.231", 0.0),
        ("[Size] [the red mug]: 0.169", 0.0),
        # Right value, but of another thing or another kind.
        ("[Position] [the blue mug]: [(0.25, 0.25)]", 0.0),
        ("[Size] [the handle of the red mug]: 0.20", 0.0),
    ],
)
def test_step_counts_by_the_metric_of_its_type(line: str, earned: float) -> None:
    reward = reward_of(output(line), GOAL)

    assert reward.step_accuracy == pytest.approx(earned)
    # 1 + 1 + 0.25 * 1 + 0.25 * earned
    assert reward.total == pytest.approx(2.25 + 0.25 * earned)


def test_second_guess_about_the_same_step_earns_nothing() -> None:
    guesses = "[Size] [the red mug]: 0.90\n[Size] [the red mug]: 0.20"

    assert reward_of(output(guesses), GOAL).step_accuracy == 0.0


def test_two_steps_wrong_and_one_line_no_step() -> None:
    steps = "[Position] [the red mug]: [(0.25, 0.25)]\nHm.\n[Size] [the red mug]: 1.0"

    reward = reward_of(output(steps, "[(0.9, 0.9)]"), GOAL)

    # 1 + 0 + 0.25 * 0 + 0.25 * 1/3
    assert reward.total == pytest.approx(1 + 1 / 12)


def test_question_without_key_steps_gives_no_accuracy() -> None:
    goal = Goal(960, 540, (0.5, 0.5))

    assert reward_of(output(), goal).total == 2.25


@pytest.mark.parametrize(
    "text",
    [
        output("[Position] " * 5_000),
        output("[Position] [a]: [(0.1, 0.1)]\n" * 2_000),
        output("[" * 60_000),
        output("", "(" * 60_000),
        output("", "[(0.5, " + "9" * 60_000 + ")]"),
        "<think>" * 9_000,
        output("\ud800"),
        output(" \t" * 30_000 + "x"),
        "x" * 10_000_000,
    ],
)
def test_huge_or_hostile_text_is_read_quickly_and_earns_no_step(text: str) -> None:
    start = time.process_time()

    reward = reward_of(text, GOAL)

    assert reward.process_format == reward.step_accuracy == 0.0
    # Each takes milliseconds; quadratic time would take minutes.
    assert time.process_time() - start < 2.0


@pytest.mark.parametrize(
    "values",
    [
        {"alpha": -1.0},
        {"position_px": 0.0},
        {"longer_side_px": -1},
        {"cosine": 1.0},
        {"size_share": float("nan")},
    ],
)
def test_settings_that_cannot_work_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(values))):
        RewardSettings(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("point", "steps"),
    [
        ((1.5, 0.5), ()),
        ((0.5, 0.5), (KeyStep(POSITION, "mug", (0.5,)),)),
        ((0.5, 0.5), (KeyStep(PerceptionType.OTHER, "mug", ()),)),
        ((0.5, 0.5), (KeyStep(SIZE, "mug", (float("inf"),)),)),
    ],
)
def test_goal_that_cannot_be_met_is_refused(
    point: tuple[float, float], steps: tuple[KeyStep, ...]
) -> None:
    with pytest.raises(QueryError):
        Goal(960, 540, point, steps)
