# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From the text that a model wrote to places in the picture, or to a refusal.

The final answer alone says where to point: what stands in <answer>…</answer>, else what comes
after </think>, after the last reasoning step or after the last "Answer:", else the whole text.
There, everything that looks like coordinates must follow the grammar of the model's family and
lie in the picture; one bad point refuses the whole answer, because a guess at what was meant
would move a robot. A coordinate of exactly the far border (1.0) means the last pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roborefer_vlm.exceptions import AnswerError, QueryError
from roborefer_vlm.parsing.families import Family, Format, Order, family_named
from roborefer_vlm.parsing.json_points import read_json
from roborefer_vlm.parsing.marks import LONGEST_ANSWER, MOST_POINTS, Mark
from roborefer_vlm.parsing.steps import read_steps, split_answer
from roborefer_vlm.parsing.tuples import read_tuples
from roborefer_vlm.parsing.xml_points import read_xml
from roborefer_vlm.types import Pixel, ReasoningStep


@dataclass(frozen=True)
class ParsedAnswer:
    """What a model's text says.

    Attributes:
        points: Places in the picture in the order of the text; empty for an answer in words and
            for an empty list.
        steps: The reasoning steps before the answer.
        answer_text: The part of the text that the points were read from.
        labels: Per point the model's name for it, or "".
        depths_m: Per point the model's distance in metres; empty when the family has none.
        nothing: The answer is an empty list: the model says that nothing fits.
    """

    points: tuple[Pixel, ...]
    steps: tuple[ReasoningStep, ...]
    answer_text: str
    labels: tuple[str, ...] = ()
    depths_m: tuple[float, ...] = ()
    nothing: bool = False


def parse_points(
    text: str,
    width: int,
    height: int,
    family: Family | str = "roborefer",
    *,
    sent_size: tuple[int, int] | None = None,
) -> ParsedAnswer:
    """Read the points and reasoning steps of an answer.

    Args:
        text: What the model wrote; data, never executed.
        width: Columns of the picture that the points are wanted in.
        height: Rows of it.
        family: How the model writes points, or the name of its family.
        sent_size: (width, height) of the picture that was sent, if it was resized before; matters
            for families that answer in pixels.

    Returns:
        Points in pixels of the picture; a box gives its centre. No points if the answer is in
        words, without anything that looks like coordinates.

    Raises:
        AnswerError: The text is empty or too long, breaks off, follows no grammar, or has a point
            outside the picture.
        QueryError: The picture has no pixels.
        ConfigurationError: The family is not known.
    """
    if width < 1 or height < 1:
        raise QueryError(f"the picture is {width} x {height}; both sides must be at least 1")
    convention = family_named(family) if isinstance(family, str) else family
    if not text.strip():
        raise AnswerError("the answer is empty")
    if len(text) > LONGEST_ANSWER:
        raise AnswerError(f"the answer has {len(text)} characters; {LONGEST_ANSWER} are allowed")

    border = convention.span(*(sent_size or (width, height)))

    def to_pixel(mark: Mark) -> Pixel:
        return _pixel(mark, width, height, border, convention)

    def numbers_to_pixel(numbers: tuple[float, ...]) -> Pixel:
        return to_pixel(Mark.of_numbers(numbers, convention.numbers == 3))

    reasoning, answer = split_answer(text)
    steps = read_steps(reasoning, numbers_to_pixel)
    marks = _read(answer, convention)
    if marks is None:
        return ParsedAnswer((), steps, answer)
    points = tuple(to_pixel(mark) for mark in marks)
    return ParsedAnswer(
        points,
        steps,
        answer,
        labels=tuple(mark.label for mark in marks),
        depths_m=tuple(mark.depth_m for mark in marks if mark.depth_m is not None),
        nothing=not points,
    )


def _read(answer: str, family: Family) -> Sequence[Mark] | None:
    match family.format:
        case Format.TUPLES:
            marks = read_tuples(answer, family.numbers)
        case Format.XML:
            marks = read_xml(answer)
        case Format.JSON:
            marks = read_json(answer)
    if marks is not None and len(marks) > MOST_POINTS:
        raise AnswerError(f"the answer has {len(marks)} points; {MOST_POINTS} are allowed")
    return marks


def _pixel(
    mark: Mark, width: int, height: int, border: tuple[float, float], family: Family
) -> Pixel:
    x, y = mark.first, mark.second
    if family.order is Order.YX:
        x, y = y, x
    right, bottom = border
    if not (0 <= x <= right and 0 <= y <= bottom):
        raise AnswerError(
            f"point ({x:g}, {y:g}) lies outside the picture; 0 to {right:g} and 0 to {bottom:g}"
            f" are right for family '{family.name}'"
        )
    pixel = Pixel.from_normalised(x / right, y / bottom, width, height)
    return Pixel(width - 1.0 if x == right else pixel.u, height - 1.0 if y == bottom else pixel.v)
