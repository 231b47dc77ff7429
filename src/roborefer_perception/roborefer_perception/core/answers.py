# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the referring server answers: strict types, and a parser that believes nothing.

Whatever decides where a robot moves has to be right, or the whole answer is refused: outcome,
kind, points, confidences and the size of the picture. What is only shown to people is reduced
instead: texts are freed of control characters and cut, a reasoning step loses a value that cannot
be, a latency that cannot be counts as zero.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from math import hypot, isfinite
from typing import NoReturn, TypeVar

from roborefer_perception.core.types import Kind
from roborefer_perception.exceptions import Reason, ReferFailure

Item = TypeVar("Item")

# More than anybody looks at, and far less than what would keep a robot busy.
MOST_POINTS = 64
MOST_SAMPLES = 32
MOST_STEPS = 256
LONGEST_LABEL = 200
LONGEST_TEXT = 8000
# How far the length of a direction may be from 1.
_UNIT = 1e-2


class Outcome(StrEnum):
    """How the model ended; only OK comes with points."""

    OK = "ok"
    # The question was answered in words; text holds them.
    TEXT = "text"
    NOTHING_FOUND = "nothing_found"
    # Several things fit; candidates lists them, best first.
    AMBIGUOUS = "ambiguous"
    NOT_UNDERSTOOD = "not_understood"
    # The model wrote what the server could not read.
    INVALID_ANSWER = "invalid_answer"


class Perception(IntEnum):
    """What a step perceives: the constants of roborefer_msgs/ReasoningStep."""

    OTHER = 0
    POSITION = 1
    ORIENTATION = 2
    SIZE = 3


@dataclass(frozen=True)
class AnsweredPoint:
    """A place in the picture that the words may mean.

    Attributes:
        u: Column, sub-pixel; 0 is the centre of the first one. Inside the picture.
        v: Row, as u.
        confidence: 0 (guess) to 1 (sure).
        label: Short name for people, or "".
        reason: Why this place fits, or "".
    """

    u: float
    v: float
    confidence: float = 1.0
    label: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Step:
    """One step of the reasoning.

    Attributes:
        text: As the model wrote it; for people, never executed.
        perception: Decides which one of the values below may be there.
        target: Words for what the step is about, or "".
        pixel: POSITION: u and v inside the picture.
        direction: ORIENTATION: unit vector in the optical frame.
        size_m: SIZE: metres.
    """

    text: str
    perception: Perception = Perception.OTHER
    target: str = ""
    pixel: tuple[float, float] | None = None
    direction: tuple[float, float, float] | None = None
    size_m: float | None = None


@dataclass(frozen=True)
class Latency:
    """Where the time of one answer went, seconds.

    Attributes:
        queue_s: In the queue of the server.
        model_s: The engine, as the server measured it.
        transport_s: Encoding, carrying and decoding of question and answer, and repetitions.
        total_s: From question to answer, as measured here.
    """

    queue_s: float = 0.0
    model_s: float = 0.0
    transport_s: float = 0.0
    total_s: float = 0.0


@dataclass(frozen=True)
class Answer:
    """What the model makes of a question.

    Attributes:
        outcome: How it ended.
        points: OK: the places meant, best first; at least one. Else empty.
        kind: What the points lie on.
        confidence: Of the first point, 0 (guess) to 1 (sure).
        candidates: AMBIGUOUS: what could be meant, best first; at least two. Else empty.
        samples: Per drawn answer its points; no points where that one was of no use.
        reasoning: The steps, in order.
        text: What the model wrote, or one sentence for people.
        engine: Engine and checkpoint, such as "roborefer:RoboRefer-2B-SFT".
        latency: Where the time went.
    """

    outcome: Outcome
    points: tuple[AnsweredPoint, ...] = ()
    kind: Kind = Kind.UNKNOWN
    confidence: float = 0.0
    candidates: tuple[AnsweredPoint, ...] = ()
    samples: tuple[tuple[AnsweredPoint, ...], ...] = ()
    reasoning: tuple[Step, ...] = ()
    text: str = ""
    engine: str = ""
    latency: Latency = field(default_factory=Latency)


def parse_json(data: bytes | str) -> object:
    """Return what a JSON text holds.

    Raises:
        ReferFailure: ANSWER_INVALID: no JSON, not UTF-8, NaN or infinity, nested too deeply.
    """
    try:
        return json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        # The text itself may be long and is the server's; only what is wrong with it is told.
        raise _invalid(f"it is no JSON: {clean(str(error), LONGEST_LABEL)}") from None


def parse_answer(body: object, size: tuple[int, int], most_samples: int = MOST_SAMPLES) -> Answer:
    """Check an answer.

    Args:
        body: Parsed JSON.
        size: Width and height of the picture that was asked about, pixels.
        most_samples: How many samples were asked for.

    Returns:
        It, with only the server's part of the latency: queue_s, model_s, and total_s on the
        server.

    Raises:
        ReferFailure: ANSWER_INVALID; the message names the field.
    """
    answer = _Reader(body, "the answer")
    image = answer.inner("image")
    if (width := image.field("width"), height := image.field("height")) != size:
        raise _invalid(
            f"it is about a picture of {_show(width)} x {_show(height)} pixels; the one asked"
            f" about has {size[0]} x {size[1]}"
        )
    outcome = answer.choice("outcome", {one.value: one for one in Outcome})
    points = _points(answer, "points", size)
    candidates = _points(answer, "candidates", size)
    if (outcome is Outcome.OK) != bool(points):
        raise _invalid(f"the outcome is '{outcome}' with {len(points)} points")
    if (outcome is Outcome.AMBIGUOUS) != (len(candidates) > 1):
        raise _invalid(f"the outcome is '{outcome}' with {len(candidates)} candidates")
    samples = answer.many("samples", most_samples, lambda owner, name: _points(owner, name, size))
    return Answer(
        outcome=outcome,
        points=points,
        kind=answer.choice("kind", {one.name.lower(): one for one in Kind}),
        confidence=answer.share("confidence"),
        candidates=candidates,
        samples=samples,
        reasoning=answer.many("reasoning", MOST_STEPS, lambda a, n: _step(a.inner(n), size)),
        text=answer.text("text", LONGEST_TEXT),
        engine=answer.text("engine", LONGEST_LABEL),
        latency=_latency(answer),
    )


def clean(text: str, longest: int = LONGEST_TEXT) -> str:
    """Make a text of a stranger fit to be shown and logged.

    Args:
        text: Any characters.
        longest: Most characters that are kept; what is cut off is marked by "…".

    Returns:
        The text without control and formatting characters; line ends and tabs stay.
    """
    # Cut first: no work is done for what is not kept.
    cut = text[:longest]
    kept = "".join(
        c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn") else " "
        for c in cut
    )
    return kept if len(text) <= longest else kept[: longest - 1] + "…"


class _Reader:
    """One JSON object; reads its fields by what they have to be, and names them if they are not.

    The items of a list are read as the fields of an object, so that they have names too.
    """

    def __init__(self, body: object, name: str) -> None:
        if not isinstance(body, dict):
            raise _invalid(f"{name} is {_show(body)}; an object is needed")
        self._body, self._name = body, name

    def field(self, name: str) -> object:
        if name not in self._body:
            raise _invalid(f"{self._where(name)} is missing")
        return self._body[name]

    def inner(self, name: str) -> _Reader:
        return _Reader(self.field(name), self._where(name))

    def number(self, name: str) -> float:
        value = self.field(name)
        number = _number(value)
        if number is None:
            raise _invalid(f"{self._where(name)} is {_show(value)}; a finite number is needed")
        return number

    def share(self, name: str) -> float:
        value = self.number(name)
        if not 0 <= value <= 1:
            raise _invalid(f"{self._where(name)} is {value:g}; 0 to 1 is possible")
        return value

    def text(self, name: str, longest: int) -> str:
        value = self.field(name)
        if not isinstance(value, str):
            raise _invalid(f"{self._where(name)} is {_show(value)}; a string is needed")
        return clean(value, longest)

    def choice(self, name: str, choices: dict[str, Item]) -> Item:
        value = self.field(name)
        if not isinstance(value, str) or value not in choices:
            raise _invalid(
                f"{self._where(name)} is {_show(value)}; {', '.join(choices)} are possible"
            )
        return choices[value]

    def many(self, name: str, most: int, read: Callable[[_Reader, str], Item]) -> tuple[Item, ...]:
        value = self.field(name)
        if not isinstance(value, list) or len(value) > most:
            raise _invalid(
                f"{self._where(name)} is {_show(value)}; a list of {most} or fewer is needed"
            )
        items = _Reader({str(at): item for at, item in enumerate(value)}, self._where(name))
        return tuple(read(items, str(at)) for at in range(len(value)))

    def _where(self, name: str) -> str:
        return f"{self._name}.{name}"


def _points(owner: _Reader, name: str, size: tuple[int, int]) -> tuple[AnsweredPoint, ...]:
    return owner.many(name, MOST_POINTS, lambda items, at: _point(items.inner(at), size))


def _point(body: _Reader, size: tuple[int, int]) -> AnsweredPoint:
    # x and y say the same again; only u and v count.
    u, v = body.number("u"), body.number("v")
    if not _inside(u, v, size):
        raise _invalid(f"the point ({u:g}, {v:g}) is outside the {size[0]} x {size[1]} picture")
    label, reason = body.text("label", LONGEST_LABEL), body.text("reason", LONGEST_TEXT)
    return AnsweredPoint(u, v, body.share("confidence"), label, reason)


def _step(body: _Reader, size: tuple[int, int]) -> Step:
    perception = body.choice("perception", {one.name.lower(): one for one in Perception})
    pixel, direction, size_m = None, None, None
    if perception is Perception.POSITION:
        pixel = _pixel(body.field("pixel"), size)
    elif perception is Perception.ORIENTATION:
        direction = _direction(body.field("direction"))
    elif perception is Perception.SIZE:
        length = _number(body.field("size_m"))
        size_m = length if length is not None and length >= 0 else None
    text, target = body.text("text", LONGEST_TEXT), body.text("target", LONGEST_LABEL)
    return Step(text, perception, target, pixel, direction, size_m)


def _pixel(value: object, size: tuple[int, int]) -> tuple[float, float] | None:
    if not isinstance(value, dict):
        return None
    u, v = _number(value.get("u")), _number(value.get("v"))
    return (u, v) if u is not None and v is not None and _inside(u, v, size) else None


def _direction(value: object) -> tuple[float, float, float] | None:
    if not isinstance(value, list) or len(value) != 3:
        return None
    x, y, z = (_number(item) for item in value)
    if x is None or y is None or z is None or abs(hypot(x, y, z) - 1) > _UNIT:
        return None
    return x, y, z


def _latency(answer: _Reader) -> Latency:
    value = answer.field("latency")
    if not isinstance(value, dict):
        return Latency()
    queue_s, total_s = (max(0.0, _number(value.get(n)) or 0.0) for n in ("queue_s", "total_s"))
    return Latency(queue_s=queue_s, model_s=max(0.0, total_s - queue_s), total_s=total_s)


def _inside(u: float, v: float, size: tuple[int, int]) -> bool:
    return -0.5 <= u < size[0] - 0.5 and -0.5 <= v < size[1] - 0.5


def _number(value: object) -> float | None:
    """Return a finite number, or None; True and "1" are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def _show(value: object) -> str:
    """Say what a value is, briefly."""
    if isinstance(value, list | dict):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 64:
        return "a huge integer"
    return clean(repr(value[:40] if isinstance(value, str) else value), 60)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _invalid(what: str) -> ReferFailure:
    return ReferFailure(
        Reason.ANSWER_INVALID,
        f"the referring server's answer cannot be used: {what}; ask again, or check the server",
    )
