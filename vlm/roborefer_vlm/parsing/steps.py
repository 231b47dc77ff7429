# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Reasoning steps, and where they end and the final answer begins.

    step  = ["Step" digits (":" | ".")] "[" type "]" "[" target "]" [":"] [word [":"]] value
    type  = "Position" | "Referring"      value = "(x, y)" or "[(x, y)]", as points of the family
          | "Orientation"                 value = "(x, y, z)" or "[(x, y, z)]", a unit vector
          | "Size" | "Measuring"          value = number ["m"], metres

after RoboRefer (arXiv 2506.04308) and RoboTracer (arXiv 2512.13660), whose texts print
"[Position] [mug]: [(0.245, 0.147)]" and whose figures print "[Position] [mug] Point (0.2, 0.1)".
Steps explain and do not move anything, so one whose value follows no grammar, or which is of a
type not listed (with "Step 3:" before it), keeps its text and has no value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import hypot

from roborefer_vlm.exceptions import AnswerError
from roborefer_vlm.parsing.scanner import Scanner
from roborefer_vlm.types import PerceptionType, Pixel, ReasoningStep

MOST_STEPS = 64
# Three decimals of a unit vector are off by less; further off it is no direction.
LENGTH_TOLERANCE = 0.05

_TYPES = {
    "position": PerceptionType.POSITION,
    "referring": PerceptionType.POSITION,
    "orientation": PerceptionType.ORIENTATION,
    "size": PerceptionType.SIZE,
    "measuring": PerceptionType.SIZE,
}
_HEADER = re.compile(
    r"(Step[ \t]{0,4}+[0-9]{1,4}+[ \t]{0,4}+[:.][ \t]{0,4}+)?+"
    r"\[[ \t]{0,4}+([A-Za-z][A-Za-z ]{0,30}+)\][ \t]{0,4}+:?+[ \t]{0,4}+"
    r"\[[ \t]{0,4}+([^\[\]\n]{1,200}+)\]",
    re.IGNORECASE,
)
_VALUE_WORD = re.compile(
    r"[ \t]*+:?+[ \t]*+(?:(?:points?|vector|size|value)\b[ \t]*+:?+)?+", re.IGNORECASE
)
_METRES = re.compile(
    r"[ \t]*+\[?+([0-9]{1,6}+(?:\.[0-9]{1,12}+)?+)[ \t]*+(?:met(?:er|re)s?+|m)?+(?![0-9A-Za-z_])"
    r"(?!\.[0-9])\]?+",
    re.IGNORECASE,
)
_ANSWER_IS = re.compile(r"\banswer(?:[ \t]{1,4}+is)?+[ \t]{0,4}+:", re.IGNORECASE)


@dataclass(frozen=True)
class _Span:
    """Where a step stands in a text, and what it holds."""

    start: int
    end: int
    perception: PerceptionType
    target: str
    numbers: tuple[float, ...] = ()


# From coordinates of the family to a pixel; raises AnswerError outside the picture.
ToPixel = Callable[[tuple[float, ...]], Pixel]


def split_answer(text: str) -> tuple[str, str]:
    """Cut a text into its reasoning and its final answer.

    Raises:
        AnswerError: A block is not closed or stands twice, or nothing follows the reasoning.
    """
    if "<answer>" in text or "</answer>" in text:
        reasoning, _, rest = text.partition("<answer>")
        answer = rest.partition("</answer>")[0]
        if not text.count("<answer>") == text.count("</answer>") == 1 or "</answer>" not in rest:
            raise AnswerError("one <answer> block, closed by </answer>, is right")
    elif "<think>" in text or "</think>" in text:
        reasoning, _, answer = text.partition("</think>")
        if text.count("</think>") != 1 or "<think>" in answer:
            raise AnswerError("one <think> block, closed by </think>, is right")
    else:
        end = max((span.end for span in _spans(text)), default=0)
        end = max((marker.end() for marker in _ANSWER_IS.finditer(text, end)), default=end)
        # The full stop of the last step is no part of the answer.
        reasoning, answer = text[:end], text[end:].lstrip(" .;") if end else text
    if not answer.strip():
        raise AnswerError("no answer follows the reasoning")
    return reasoning, answer


def read_steps(reasoning: str, to_pixel: ToPixel) -> tuple[ReasoningStep, ...]:
    """Return the steps of a text in their order.

    Args:
        reasoning: What stands before the final answer.
        to_pixel: Takes the numbers of a point to a pixel.

    Raises:
        AnswerError: There are more than MOST_STEPS.
    """
    spans = _spans(reasoning)
    if len(spans) > MOST_STEPS:
        raise AnswerError(f"the answer has {len(spans)} steps; {MOST_STEPS} are allowed")
    return tuple(_step(reasoning[span.start : span.end].strip(), span, to_pixel) for span in spans)


def _spans(text: str) -> list[_Span]:
    """Find the steps; each ends with its value, or else with its line or before the next one."""
    headers = [
        header
        for header in _HEADER.finditer(text)
        if header.group(1) or header.group(2).strip().lower() in _TYPES
    ]
    spans: list[_Span] = []
    for header, following in zip(headers, [*headers[1:], None], strict=False):
        perception = _TYPES.get(header.group(2).strip().lower(), PerceptionType.OTHER)
        limit = following.start() if following else len(text)
        value = _value(Scanner(text, header.end()), perception)
        if value is not None and value[1] <= limit:
            numbers, end = value
        else:
            line = text.find("\n", header.end(), limit)
            numbers, end = (), line if line >= 0 else limit
        spans.append(_Span(header.start(), end, perception, header.group(3).strip(), numbers))
    return spans


def _value(scanner: Scanner, perception: PerceptionType) -> tuple[tuple[float, ...], int] | None:
    """Return the numbers that stand here and where they end, or None."""
    word = _VALUE_WORD.match(scanner.text, scanner.at)
    assert word is not None  # An empty match counts.
    scanner.at = word.end()
    if perception is PerceptionType.OTHER:
        return None
    if perception is PerceptionType.SIZE:
        metres = _METRES.match(scanner.text, scanner.at)
        return ((float(metres.group(1)),), metres.end()) if metres else None
    bracket = scanner.take("[")
    try:
        numbers = scanner.numbers(")") if scanner.take("(") else ()
    except AnswerError:
        return None
    if not numbers or (bracket and not scanner.take("]")):
        return None
    return numbers, scanner.at


def _step(text: str, span: _Span, to_pixel: ToPixel) -> ReasoningStep:
    plain = ReasoningStep(text, PerceptionType.OTHER, span.target)
    if not span.numbers:
        return plain
    perception, target = span.perception, span.target
    if perception is PerceptionType.POSITION:
        try:
            return ReasoningStep(text, perception, target, pixel=to_pixel(span.numbers))
        except AnswerError:
            return plain
    if perception is PerceptionType.SIZE:
        return ReasoningStep(text, perception, target, size_m=span.numbers[0])
    length = hypot(*span.numbers)
    if len(span.numbers) != 3 or abs(length - 1) > LENGTH_TOLERANCE:
        return plain
    x, y, z = (number / length for number in span.numbers)
    return ReasoningStep(text, perception, target, direction=(x, y, z))
