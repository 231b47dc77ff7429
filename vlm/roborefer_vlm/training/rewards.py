# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What an answer earns in reinforcement fine-tuning (RoboRefer, arXiv 2506.04308, RFT).

    <think> [Position] [the red mug]: [(0.245, 0.147)]
    [Size] [the red mug]: 0.12 </think><answer>[(0.412, 0.520)]</answer>

    reward = outcome format + point + alpha * (process format + step accuracy)

Each of the four is 0 to 1. What the model wrote is data: it is read by the grammars of
`roborefer_vlm.parsing`, in linear time, and whatever they refuse earns nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import hypot, isfinite

from roborefer_vlm.data.examples import KeyStep
from roborefer_vlm.exceptions import AnswerError, ConfigurationError, QueryError
from roborefer_vlm.parsing.marks import LONGEST_ANSWER
from roborefer_vlm.parsing.points import parse_points
from roborefer_vlm.parsing.steps import MOST_STEPS, read_steps
from roborefer_vlm.types import PerceptionType, Pixel, ReasoningStep

_TAGS = ("<think>", "</think>", "<answer>", "</answer>")
_OUTPUT = re.compile(r"<think>(.*)</think>\s*+<answer>(.*)</answer>", re.DOTALL)
# What stands before the value; the value itself is read by `read_steps`.
_STEP_LINE = re.compile(r"\[(?:Position|Orientation|Size)\] \[[^\[\]\n]{1,200}+\]: \S")
_NO_WORD = re.compile(r"[^0-9a-z]+")
_ARTICLES = ("the ", "a ", "an ")
# How much each perception type says.
_NUMBERS = {PerceptionType.POSITION: 2, PerceptionType.ORIENTATION: 3, PerceptionType.SIZE: 1}


@dataclass(frozen=True)
class RewardSettings:
    """When something counts as right; the defaults are those of the paper.

    Attributes:
        alpha: Weight of the two process rewards.
        position_px: A point is right nearer than this, by the sum of the distances across and
            down (L1).
        longer_side_px: Distances are measured in the picture scaled so that its longer side has
            this many pixels, and so do not depend on the resolution it is stored in. 960 is the
            width of RefSpatial's rendered pictures; the paper names no size. 0 measures in the
            picture's own pixels.
        cosine: An orientation is right above this cosine of the angle to the truth.
        size_share: A size is right up to this share of the truth off.
    """

    alpha: float = 0.25
    position_px: float = 50.0
    longer_side_px: int = 960
    cosine: float = 0.8
    size_share: float = 0.15

    def __post_init__(self) -> None:
        if not (isfinite(self.alpha) and self.alpha >= 0):
            raise ConfigurationError(f"alpha is {self.alpha}; 0 or more is needed")
        if not (isfinite(self.position_px) and self.position_px > 0):
            raise ConfigurationError(f"position_px is {self.position_px}; use more than 0")
        if self.longer_side_px < 0:
            raise ConfigurationError(f"longer_side_px is {self.longer_side_px}; use 0 or more")
        if not -1 <= self.cosine < 1:
            raise ConfigurationError(f"cosine is {self.cosine}; use -1 to below 1")
        if not 0 <= self.size_share < 1:
            raise ConfigurationError(f"size_share is {self.size_share}; use 0 to below 1")


@dataclass(frozen=True)
class Goal:
    """What a right answer would say.

    Attributes:
        width: Columns of the picture.
        height: Rows of it.
        point: x and y, 0 to 1.
        steps: Key steps on the way; their order does not matter.
    """

    width: int
    height: int
    point: tuple[float, float]
    steps: tuple[KeyStep, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise QueryError(
                f"the picture is {self.width} x {self.height}; both must be 1 or more"
            )
        if not all(0 <= value <= 1 for value in self.point):
            raise QueryError(f"the point is {self.point}; x and y from 0 to 1 are needed")
        for step in self.steps:
            needed = _NUMBERS.get(step.perception)
            if needed is None or len(step.value) != needed or not all(map(isfinite, step.value)):
                raise QueryError(
                    f"step {step} is none; position of 2, orientation of 3 or size of 1 finite"
                    " numbers is needed"
                )


@dataclass(frozen=True)
class Reward:
    """What one answer earned.

    Attributes:
        outcome_format: 1 if the whole output is one block of thoughts and one answer.
        point: 1 if the answer is one point and near enough.
        process_format: 1 if every line of the thoughts is a step, and there is one at least.
        step_accuracy: Share of the key steps that were found, with a right value.
        total: The sum, processes weighted.
    """

    outcome_format: float
    point: float
    process_format: float
    step_accuracy: float
    total: float


NOTHING = Reward(0.0, 0.0, 0.0, 0.0, 0.0)


def reward_of(text: str, goal: Goal, settings: RewardSettings | None = None) -> Reward:
    """Tell what an answer earns; text of any kind and length is possible.

    Without the form of the whole output nothing else can be read, so nothing else is earned.

    Args:
        text: What the model wrote.
        goal: What is right.
        settings: When something counts as right.
    """
    settings = settings or RewardSettings()
    parts = split_output(text)
    if parts is None:
        return NOTHING
    thoughts, answer = parts
    size = _measured_size(goal, settings)
    steps = _read_lines(thoughts, size)
    right = _point_is_right(answer, goal, size, settings)
    process_format = float(bool(steps) and None not in steps)
    found = [step for step in steps if step is not None]
    accuracy = step_accuracy(found, goal, settings)
    total = 1.0 + right + settings.alpha * (process_format + accuracy)
    return Reward(1.0, float(right), process_format, accuracy, total)


def split_output(text: str) -> tuple[str, str] | None:
    """Return thoughts and answer of an output that has both, each once, and nothing else.

    White space may surround the whole, and stand between the two.
    """
    if len(text) > LONGEST_ANSWER or any(text.count(tag) != 1 for tag in _TAGS):
        return None
    match = _OUTPUT.fullmatch(text.strip())
    return (match[1], match[2]) if match else None


def step_accuracy(
    steps: Sequence[ReasoningStep], goal: Goal, settings: RewardSettings | None = None
) -> float:
    """Return the share of the key steps that are among the steps, with a right value.

    Steps are matched by perception type and target; case, punctuation and a leading article do
    not matter. Of several steps about the same, the first counts, so guessing often helps
    nothing. Without key steps there is nothing to earn.

    Args:
        steps: What was read; pixels of the picture at the size that `settings` measure in.
        goal: What is right.
        settings: When something counts as right.
    """
    settings = settings or RewardSettings()
    waiting: dict[tuple[PerceptionType, str], list[ReasoningStep]] = {}
    for step in steps:
        waiting.setdefault((step.perception, _plain(step.target)), []).append(step)
    size = _measured_size(goal, settings)
    right = 0
    for wanted in goal.steps:
        same = waiting.get((wanted.perception, _plain(wanted.target)))
        if same:
            right += _step_is_right(same.pop(0), wanted, size, settings)
    return right / len(goal.steps) if goal.steps else 0.0


def _measured_size(goal: Goal, settings: RewardSettings) -> tuple[int, int]:
    """Return width and height of the picture in which distances are measured."""
    if not settings.longer_side_px:
        return goal.width, goal.height
    scale = settings.longer_side_px / max(goal.width, goal.height)
    return max(1, round(goal.width * scale)), max(1, round(goal.height * scale))


def _read_lines(thoughts: str, size: tuple[int, int]) -> list[ReasoningStep | None]:
    """Return the step of each line that is not empty; None for a line that is none."""

    def to_pixel(numbers: tuple[float, ...]) -> Pixel:
        if len(numbers) != 2 or not all(0 <= number <= 1 for number in numbers):
            raise AnswerError(f"{numbers[:5]} is no place; x and y from 0 to 1 are right")
        return Pixel.from_normalised(numbers[0], numbers[1], *size)

    lines = [line for line in map(str.strip, thoughts.split("\n")) if line]
    if len(lines) > MOST_STEPS:
        return [None]
    read: list[ReasoningStep | None] = []
    for line in lines:
        steps = read_steps(line, to_pixel) if _STEP_LINE.match(line) else ()
        whole = len(steps) == 1 and steps[0].text == line
        read.append(steps[0] if whole and steps[0].perception in _NUMBERS else None)
    return read


def _point_is_right(
    answer: str, goal: Goal, size: tuple[int, int], settings: RewardSettings
) -> bool:
    try:
        points = parse_points(answer, *size).points
    except AnswerError:
        return False
    # Several points would be several guesses.
    return len(points) == 1 and _near(points[0], goal.point, size, settings)


def _near(
    pixel: Pixel, place: Sequence[float], size: tuple[int, int], settings: RewardSettings
) -> bool:
    wanted = Pixel.from_normalised(place[0], place[1], *size)
    return abs(pixel.u - wanted.u) + abs(pixel.v - wanted.v) < settings.position_px


def _step_is_right(
    step: ReasoningStep, wanted: KeyStep, size: tuple[int, int], settings: RewardSettings
) -> bool:
    if step.pixel is not None:
        return _near(step.pixel, wanted.value, size, settings)
    if step.direction is not None:
        product = sum(a * b for a, b in zip(step.direction, wanted.value, strict=True))
        return product > settings.cosine * hypot(*wanted.value)
    if step.size_m is not None:
        truth = wanted.value[0]
        return abs(step.size_m - truth) <= settings.size_share * truth
    return False


def _plain(target: str) -> str:
    """Return a target without what does not matter, such as "red mug" for "The red-mug"."""
    words = _NO_WORD.sub(" ", target.casefold()).strip()
    return next((words[len(a) :] for a in _ARTICLES if words.startswith(a)), words)
