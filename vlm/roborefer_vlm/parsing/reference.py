# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How the evaluator of the paper reads answers, quirks included.

For scores that compare with published ones; nothing that moves a robot may read an answer this
way. What it does, and what our own grammar does instead, see `tuples`:

- A tuple of two integers is in pixels already, even beside tuples that are not.
- Coordinates are truncated towards zero, and may lie outside the picture.
- A tuple of four numbers is a box, and every pixel in it is a point; boxes are always scaled.
- All tuples of a text count, those of its reasoning too.

Where the evaluator fails with a Python error, and so leaves the question out of its mean, these
functions raise AnswerError.
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from roborefer_vlm.exceptions import AnswerError

# A larger box does not fit into memory on most machines, and the evaluator fails there too.
MOST_BOX_PIXELS = 1 << 26

# int64 or float64, or object where an integer is too large for these.
Points = npt.NDArray[Any]

# Digits of any script, which Python converts; possessive, so that reading takes linear time.
_NUMBER = r"[-+]?+\d++(?:\.\d*+)?+"
_TUPLE = re.compile(rf"\(({_NUMBER}(?:,\s*+{_NUMBER})*+)\)")
_XML_PAIR = re.compile(r'x\d++="(-?+\d++(?:\.\d*+)?+)"\s++y\d++="(-?+\d++(?:\.\d*+)?+)"')
_FENCE = re.compile(r"```\w*\n(.*?)```", re.DOTALL)


def read_tuples(text: str | None, width: int, height: int, *, absolute: bool = False) -> Points:
    """Return the points that the evaluator reads from a list of tuples.

    Args:
        text: The answer; None for one that is missing.
        width: Columns of the mask.
        height: Rows of it.
        absolute: Coordinates are pixels and stay as they are.

    Returns:
        Array of (x, y), shape (N, 2), in pixels of the mask.

    Raises:
        AnswerError: The evaluator fails on this text.
    """
    if text is None:
        raise AnswerError("the answer is missing")
    points: list[npt.NDArray[Any]] = []
    for found in _TUPLE.findall(text):
        numbers = [_number(part) for part in found.split(",")]
        if len(numbers) == 2:
            decimal = any(isinstance(number, float) for number in numbers)
            if decimal and not absolute:
                numbers = _scaled(numbers, width, height)
            points.append(np.array([numbers]))
        elif len(numbers) == 4:
            points.append(_box(numbers if absolute else _scaled(numbers, width, height)))
    return np.concatenate(points) if points else np.empty((0, 2), dtype=np.int64)


def read_xml(text: str, width: int, height: int) -> Points:
    """Return the points that the evaluator reads from Molmo's tags (percent, x1= y1= only)."""
    pairs = _XML_PAIR.findall(text)
    return _array([_parts((float(x), float(y)), 100.0, width, height) for x, y in pairs])


def read_json(text: str, width: int, height: int) -> Points:
    """Return the points that the evaluator reads from Gemini's fenced JSON ([y, x] of 1000).

    Raises:
        AnswerError: The evaluator fails on this text.
    """
    fence = _FENCE.search(text)
    if fence is None:
        return _array([])
    try:
        items = json.loads(fence.group(1).strip())
    except json.JSONDecodeError:
        return _array([])
    except (RecursionError, ValueError) as error:
        raise AnswerError(f"the fenced JSON cannot be read: {error}") from error
    points = []
    try:
        for item in items:
            if "point" in item and isinstance(item["point"], list) and len(item["point"]) == 2:
                y, x = item["point"]
                points.append(_parts((x, y), 1000, width, height))
    except TypeError as error:
        raise AnswerError(f"the fenced JSON is no list of objects: {error}") from error
    return _array(points)


def _number(text: str) -> float | int:
    try:
        return float(text) if "." in text else int(text)
    except ValueError as error:  # An integer of thousands of digits.
        raise AnswerError(str(error)) from error


def _truncated(value: float) -> int:
    try:
        return int(value)
    except (OverflowError, ValueError) as error:
        raise AnswerError(f"{value} is no coordinate") from error


def _scaled(numbers: list[float | int], width: int, height: int) -> list[float | int]:
    try:
        return [
            _truncated(number * side)
            for number, side in zip(numbers, (width, height) * 2, strict=False)
        ]
    except OverflowError as error:
        raise AnswerError(str(error)) from error


def _parts(point: tuple[Any, Any], span: float, width: int, height: int) -> tuple[int, int]:
    x, y = point
    return _truncated(x / span * width), _truncated(y / span * height)


def _box(corners: list[float | int]) -> npt.NDArray[np.int64]:
    if not all(isinstance(corner, int) for corner in corners):
        raise AnswerError(f"box {corners} has corners between pixels")
    left, top, right, bottom = map(int, corners)
    if right < left or bottom < top:
        raise AnswerError(f"the corners of box {corners} are in the wrong order")
    if (right - left) * (bottom - top) > MOST_BOX_PIXELS:
        raise AnswerError(f"box {corners} has more than {MOST_BOX_PIXELS} pixels")
    rows, columns = np.mgrid[top:bottom, left:right]
    return np.stack([columns.ravel(), rows.ravel()], axis=1)


def _array(points: list[tuple[int, int]]) -> Points:
    # Without a dtype: a coordinate that fits no integer type is far outside, and no error.
    return np.array(points) if points else np.empty((0, 2), dtype=np.int64)
