# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a page may ask for: strict reading of what comes in over its connection."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from roborefer_operator.exceptions import ConsoleError

_LONGEST_TEXT, _LONGEST_NAME = 2000, 200
# One piece of sound is at most two seconds of 16000 samples.
_MOST_SAMPLES = 32000
_WAYS = ("no", "yes", "candidate", "words", "pixel")


@dataclass(frozen=True)
class Instruct:
    """Begin a task."""

    text: str
    confirm: bool


@dataclass(frozen=True)
class Answer:
    """Answer an open question; way is the index of AnswerQuestion's constants."""

    task: str
    question: str
    way: int
    candidate: int
    text: str
    pixel: tuple[float, float]


@dataclass(frozen=True)
class Correct:
    """Tell what a reference should have been; pixel None: nothing in the image."""

    reference: str
    pixel: tuple[float, float] | None


@dataclass(frozen=True)
class Stop:
    """Set the stop of the whole robot, or release it."""

    on: bool


@dataclass(frozen=True)
class Cancel:
    """End a task; "" ends all."""

    task: str


@dataclass(frozen=True, eq=False)
class Sound:
    """A piece of speech, shape (n,), 16000 samples per second."""

    samples: npt.NDArray[np.int16]
    last: bool


Order = Instruct | Answer | Correct | Stop | Cancel | Sound


def read_order(data: str | bytes) -> tuple[int, Order]:
    """Read what a page sent.

    Args:
        data: JSON with do, id and the fields of the order; or sound: one byte that is 1 on the
            last piece, then samples, 16 bit, little endian.

    Returns:
        The page's number of it, to be repeated in the reply (0 for sound), and the order.

    Raises:
        ConsoleError: It is something else.
    """
    if isinstance(data, bytes):
        return 0, _sound(data)
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConsoleError(f"an order must be JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ConsoleError("an order must be a JSON object")
    read = _READERS.get(str(fields.get("do")))
    if read is None:
        raise ConsoleError(f"do is {fields.get('do')!r}; it must be one of {sorted(_READERS)}")
    number = _whole(fields, "id")
    return number, read(fields)


def _instruct(fields: dict[str, Any]) -> Order:
    text = _text(fields, "text", _LONGEST_TEXT).strip()
    if not text:
        raise ConsoleError("the sentence is empty; type what shall be done")
    return Instruct(text, _flag(fields, "confirm"))


def _answer(fields: dict[str, Any]) -> Order:
    way = _text(fields, "answer", _LONGEST_NAME)
    if way not in _WAYS:
        raise ConsoleError(f"answer is {way!r}; it must be one of {', '.join(_WAYS)}")
    return Answer(
        _text(fields, "task", _LONGEST_NAME),
        _text(fields, "question", _LONGEST_NAME),
        _WAYS.index(way),
        _whole(fields, "candidate") if way == "candidate" else 0,
        _text(fields, "text", _LONGEST_TEXT) if way == "words" else "",
        _pixel(fields) if way == "pixel" else (0.0, 0.0),
    )


def _correct(fields: dict[str, Any]) -> Order:
    reference = _text(fields, "reference", _LONGEST_NAME)
    try:
        right = len(bytes.fromhex(reference)) == 16
    except ValueError:
        right = False
    if not right:
        raise ConsoleError("reference must be 32 hexadecimal digits")
    return Correct(reference, _pixel(fields) if _flag(fields, "in_image") else None)


def _sound(data: bytes) -> Sound:
    if len(data) % 2 == 0 or len(data) > 1 + 2 * _MOST_SAMPLES or data[0] > 1:
        raise ConsoleError(f"{len(data)} bytes are no piece of sound")
    return Sound(np.frombuffer(data[1:], "<i2").astype(np.int16), data[0] == 1)


def _pixel(fields: dict[str, Any]) -> tuple[float, float]:
    u, v = (_field(fields, name, (int, float)) for name in ("u", "v"))
    if isinstance(u, bool) or isinstance(v, bool) or not (math.isfinite(u) and math.isfinite(v)):
        raise ConsoleError(f"pixel ({u}, {v}) is none; two finite numbers are needed")
    return float(u), float(v)


def _text(fields: dict[str, Any], name: str, longest: int) -> str:
    text: str = _field(fields, name, (str,))
    if len(text) > longest:
        raise ConsoleError(f"{name} has {len(text)} letters; at most {longest} are taken")
    return text


def _flag(fields: dict[str, Any], name: str) -> bool:
    flag: bool = _field(fields, name, (bool,))
    return flag


def _whole(fields: dict[str, Any], name: str) -> int:
    number: int = _field(fields, name, (int,))
    if isinstance(number, bool) or not 0 <= number < 2**16:
        raise ConsoleError(f"{name} is {number}; a whole number from 0 to 65535 is needed")
    return number


def _field(fields: dict[str, Any], name: str, kinds: tuple[type, ...]) -> Any:
    value = fields.get(name)
    if not isinstance(value, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise ConsoleError(f"{name} is {value!r}; {names} is needed")
    return value


_READERS: dict[str, Callable[[dict[str, Any]], Order]] = {
    "instruct": _instruct,
    "answer": _answer,
    "correct": _correct,
    "stop": lambda fields: Stop(_flag(fields, "on")),
    "cancel": lambda fields: Cancel(_text(fields, "task", _LONGEST_NAME)),
}
