# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The camera's picture with what was referred to drawn on it, at its size and in its pixels.

A place is a ring with a dot at the very pixel, the outline of the region that was taken for the
same surface, and an arrow along its normal. Several candidates are amber and numbered. The words
stand in a bar at the bottom. All marks have a dark border, so that they show on any ground.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from roborefer_perception.core.camera import Camera
from roborefer_perception.core.types import Place

Picture = npt.NDArray[np.uint8]
Color = tuple[int, int, int]

_POINT: Color = (255, 64, 110)
_CANDIDATE: Color = (255, 176, 0)
_REGION: Color = (0, 230, 118)
_NORMAL: Color = (64, 170, 255)
_DARK: Color = (16, 18, 22)
_LIGHT: Color = (255, 255, 255)
_REFUSED: Color = (255, 120, 90)
# Length of the arrow along the normal, metres.
_ARROW_M = 0.05
# Drawn sizes are for this many rows and grow with the picture.
_ROWS = 480.0
_FONT = cv2.FONT_HERSHEY_SIMPLEX
# OpenCV draws at sub-pixel places in units of 1 / 2**_SHIFT.
_SHIFT = 4
_MOST_LINES = 3
_LONGEST_WORD = 40


@dataclass(frozen=True, eq=False)
class Mark:
    """One thing to show.

    Attributes:
        pixel: u and v.
        place: What lies there; None when only the pixel is known.
        number: Of a candidate, from 1; 0: the one that is meant.
        text: Beside the mark, or "".
    """

    pixel: tuple[float, float]
    place: Place | None = None
    number: int = 0
    text: str = ""


def annotate(
    rgb: Picture, camera: Camera, marks: Sequence[Mark], words: str, refused: str = ""
) -> Picture:
    """Return a copy of a picture with marks and words.

    Args:
        rgb: uint8, shape (height, width, 3).
        camera: Of the picture.
        marks: What to show, best first; the best is drawn last, on top.
        words: What was asked; data from outside, drawn as it is without control characters.
        refused: Why there is no answer, or "".
    """
    canvas = np.ascontiguousarray(rgb).copy()
    scale = max(0.5, canvas.shape[0] / _ROWS)
    # Nothing may hide a number, and the best is on top.
    for part in (_draw_region, _draw_spot, _draw_label):
        for mark in reversed(marks):
            part(canvas, camera, mark, scale)
    lines = [(line, _LIGHT) for line in _wrapped(words, canvas.shape[1], scale)]
    lines += [(line, _REFUSED) for line in _wrapped(refused, canvas.shape[1], scale)]
    if lines:
        _bar(canvas, lines, scale)
    return canvas


def _draw_region(canvas: Picture, camera: Camera, mark: Mark, scale: float) -> None:
    if mark.place is None:
        return
    thick = max(1, round(2 * scale))
    edges, _ = cv2.findContours(
        mark.place.region.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    cv2.drawContours(canvas, edges, -1, _DARK, thick + 2)
    cv2.drawContours(canvas, edges, -1, _REGION, thick)


def _draw_spot(canvas: Picture, camera: Camera, mark: Mark, scale: float) -> None:
    thick = max(1, round(2 * scale))
    if mark.place is not None:
        _arrow(canvas, camera, mark.place, thick)
    at, color = _fixed(mark.pixel), _color(mark)
    radius = round(9 * scale * 2**_SHIFT)
    for width, shade in ((thick + 2, _DARK), (thick, color)):
        cv2.circle(canvas, at, radius, shade, width, cv2.LINE_AA, _SHIFT)
    for part, shade in ((3.0, _DARK), (2.0, color)):
        cv2.circle(canvas, at, round(part * scale * 2**_SHIFT), shade, -1, cv2.LINE_AA, _SHIFT)


def _color(mark: Mark) -> Color:
    return _CANDIDATE if mark.number else _POINT


def _arrow(canvas: Picture, camera: Camera, place: Place, thick: int) -> None:
    tip = place.point + _ARROW_M * place.rotation[:, 2]
    ends = camera.project(np.stack([place.point, tip]))
    # A tip behind the camera has no pixel, one far outside the picture shows nothing.
    if not np.isfinite(ends).all() or np.abs(ends).max() > 4 * max(canvas.shape):
        return
    start, end = (_fixed((float(u), float(v))) for u, v in ends)
    for width, shade in ((thick + 2, _DARK), (thick, _NORMAL)):
        cv2.arrowedLine(canvas, start, end, shade, width, cv2.LINE_AA, _SHIFT, 0.25)


def _draw_label(canvas: Picture, camera: Camera, mark: Mark, scale: float) -> None:
    text = _plain(f"{mark.number} {mark.text}" if mark.number else mark.text)[:40]
    if not text:
        return
    pixel, color = mark.pixel, _color(mark)
    size = 0.5 * scale
    (wide, high), base = cv2.getTextSize(text, _FONT, size, max(1, round(scale)))
    height, width = canvas.shape[:2]
    gap = round(14 * scale)
    left = round(pixel[0]) + gap
    if left + wide + 4 > width:
        left = max(2, round(pixel[0]) - gap - wide)
    low = min(max(round(pixel[1]) + high // 2, high + 4), height - base - 2)
    cv2.rectangle(
        canvas, (left - 4, low - high - 4), (left + wide + 4, low + base), _DARK, cv2.FILLED
    )
    cv2.putText(canvas, text, (left, low), _FONT, size, color, max(1, round(scale)), cv2.LINE_AA)


def _bar(canvas: Picture, lines: Sequence[tuple[str, Color]], scale: float) -> None:
    step = round(22 * scale)
    top = max(0, canvas.shape[0] - step * len(lines) - round(6 * scale))
    # Darkened, not covered: what lies below can still be made out.
    canvas[top:] = canvas[top:] // 4
    for number, (line, color) in enumerate(lines, start=1):
        low = (round(8 * scale), top + step * number - round(4 * scale))
        cv2.putText(
            canvas, line, low, _FONT, 0.55 * scale, color, max(1, round(scale)), cv2.LINE_AA
        )


def _wrapped(text: str, width: int, scale: float) -> list[str]:
    """Lines that fit, at most so many; the last one says when something was left out."""

    def fits(line: str) -> bool:
        return cv2.getTextSize(line, _FONT, 0.55 * scale, 1)[0][0] < width - 16 * scale

    lines: list[str] = []
    for word in _plain(text).split():
        if lines and fits(f"{lines[-1]} {word}"):
            lines[-1] += " " + word
        else:
            lines.append(word[:_LONGEST_WORD])
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], lines[_MOST_LINES - 1][:-3] + "..."]
    return lines


def _plain(text: str) -> str:
    """The letters that OpenCV can draw; accents are dropped, other scripts become '?'."""
    spread = unicodedata.normalize("NFKD", text[:1000])
    kept = "".join(c for c in spread if not unicodedata.combining(c))
    return "".join(c if " " <= c <= "~" else " " if c.isspace() else "?" for c in kept)


def _fixed(pixel: tuple[float, float]) -> tuple[int, int]:
    return round(pixel[0] * 2**_SHIFT), round(pixel[1] * 2**_SHIFT)
