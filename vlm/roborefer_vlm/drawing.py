# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures with what an answer says drawn on them: the same look wherever answers are shown.

Points are numbered rings with a dot at the very place, candidates are amber, the places of
reasoning steps are small blue squares, the right area (where it is known) is outlined in green.
Every mark has a dark and a light border, so that it shows on any ground. Equal input gives equal
pixels.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from math import ceil, hypot

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from roborefer_vlm.types import Answer, BoolArray, Outcome, Pixel, ReferredPoint, UInt8Array

Color = tuple[int, int, int]
POINT: Color = (255, 64, 110)
CANDIDATE: Color = (255, 176, 0)
STEP: Color = (64, 170, 255)
TRUTH: Color = (0, 230, 118)
_DARK: Color = (16, 18, 22)
_LIGHT: Color = (255, 255, 255)
_MUTED: Color = (170, 178, 190)
# Legends of narrower pictures would be a column of single words.
_NARROWEST = 360
_LONGEST_LINE = 400
_MOST_STEPS = 12
# OpenCV draws at sub-pixel places in units of 1 / 2**_SHIFT.
_SHIFT = 4

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_Box = tuple[int, int, int, int]


def draw_answer(
    image: UInt8Array,
    answer: Answer | None,
    *,
    truth: BoolArray | None = None,
    longest_side: int | None = None,
) -> UInt8Array:
    """Return a copy of a picture with the marks of an answer.

    Args:
        image: RGB, uint8, shape (height, width, 3).
        answer: What to draw; None draws no marks.
        truth: The right area, shape (rows, columns) of any resolution, or None.
        longest_side: Shrink the picture to this many pixels before drawing, so that marks and
            numbers stay readable; None, or a larger number than the picture has: as it is.

    Returns:
        RGB, uint8; of the size of image unless it was shrunk.
    """
    height, width = image.shape[:2]
    scale = min(1.0, (longest_side or max(width, height)) / max(width, height))
    canvas = _scaled(image, scale)
    if truth is not None:
        _outline(canvas, truth)
    if answer is not None:
        _draw_marks(canvas, answer, scale)
    return canvas


def annotate(
    image: UInt8Array, text: str, answer: Answer, *, truth: BoolArray | None = None
) -> UInt8Array:
    """Return a picture with the marks of an answer and a legend below that explains them.

    Args:
        image: RGB, uint8, shape (height, width, 3). A picture narrower than 360 pixels is enlarged
            by a whole factor.
        text: What was asked.
        answer: What to draw and explain.
        truth: The right area, or None.

    Returns:
        RGB, uint8; as wide as the (enlarged) picture, and higher by the legend.
    """
    factor = -(-_NARROWEST // image.shape[1])
    canvas = _scaled(image, float(factor))
    if truth is not None:
        _outline(canvas, truth)
    _draw_marks(canvas, answer, float(factor))
    return np.concatenate([canvas, _legend(canvas.shape[1], text, answer)])


def encode_png(image: UInt8Array) -> bytes:
    """Return a picture, RGB, as PNG."""
    return _encode(image, ".png", [cv2.IMWRITE_PNG_COMPRESSION, 6])


def encode_jpeg(image: UInt8Array, quality: int = 82) -> bytes:
    """Return a picture, RGB, as JPEG."""
    return _encode(image, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])


def one_line(text: str, longest: int = _LONGEST_LINE) -> str:
    """Return text without line breaks and control characters, cut to a length."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * longest]).split())
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def _encode(image: UInt8Array, ending: str, options: Sequence[int]) -> bytes:
    _, data = cv2.imencode(ending, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    return data.tobytes()


def _scaled(image: UInt8Array, scale: float) -> UInt8Array:
    if scale == 1:
        return image.copy()
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(image, size, interpolation=way), np.uint8)


def _outline(canvas: UInt8Array, truth: BoolArray) -> None:
    height, width = canvas.shape[:2]
    area = cv2.resize(truth.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(area, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, contours, -1, _DARK, 4, cv2.LINE_AA)
    cv2.drawContours(canvas, contours, -1, TRUTH, 2, cv2.LINE_AA)


def _radius(canvas: UInt8Array) -> int:
    return int(np.clip(min(canvas.shape[:2]) / 45, 5, 16))


def _draw_marks(canvas: UInt8Array, answer: Answer, scale: float) -> None:
    """Draw steps, then candidates, then points, so that what matters most lies on top."""
    height, width = canvas.shape[:2]
    radius = _radius(canvas)
    taken: list[_Box] = []

    def placed(pixel: Pixel) -> Pixel | None:
        moved = Pixel((pixel.u + 0.5) * scale - 0.5, (pixel.v + 0.5) * scale - 0.5)
        return moved if moved.inside(width, height) else None

    marks: list[tuple[Pixel, Color, str]] = []
    rings = [place for p in (*answer.points, *answer.candidates) if (place := placed(p.pixel))]
    for number, step in enumerate(answer.reasoning[:_MOST_STEPS], start=1):
        if step.pixel is not None and (place := placed(step.pixel)) is not None:
            # A square under a ring would only blur it; its number stands beside it all the same.
            if all(hypot(place.u - ring.u, place.v - ring.v) > radius for ring in rings):
                _square(canvas, place, max(3, radius // 2))
            taken.append(_around(place, radius // 2))
            marks.append((place, STEP, f"s{number}"))
    for points, color in ((answer.candidates, CANDIDATE), (answer.points, POINT)):
        for number, point in enumerate(points, start=1):
            if (place := placed(point.pixel)) is not None:
                _ring(canvas, place, radius, color)
                taken.append(_around(place, radius + 2))
                marks.append((place, color, _caption(number, point)))
    for place, color, caption in reversed(marks):
        taken.append(_tag(canvas, place, radius, color, caption, taken))


def _around(place: Pixel, radius: int) -> _Box:
    u, v = round(place.u), round(place.v)
    return u - radius, v - radius, u + radius, v + radius


def _caption(number: int, point: ReferredPoint) -> str:
    label = one_line(point.label, 28)
    return f"{number} {label}" if label else str(number)


def _ring(canvas: UInt8Array, place: Pixel, radius: int, color: Color) -> None:
    center = (round(place.u * 2**_SHIFT), round(place.v * 2**_SHIFT))
    width = max(2, radius // 4)
    for paint, extra in ((_DARK, 8), (_LIGHT, 4), (color, 0)):
        ring = radius << _SHIFT
        cv2.circle(canvas, center, ring, paint, width + extra, cv2.LINE_AA, _SHIFT)
    dot = max(1, radius // 5)
    cv2.circle(canvas, center, (dot + 1) << _SHIFT, _LIGHT, -1, cv2.LINE_AA, _SHIFT)
    cv2.circle(canvas, center, dot << _SHIFT, color, -1, cv2.LINE_AA, _SHIFT)
    # The very pixel keeps the pure colour, whatever smoothing does around it.
    canvas[round(place.v), round(place.u)] = color


def _square(canvas: UInt8Array, place: Pixel, half: int) -> None:
    u, v = round(place.u), round(place.v)
    for paint, grow in ((_DARK, 2), (_LIGHT, 1), (STEP, 0)):
        reach = half + grow
        cv2.rectangle(canvas, (u - reach, v - reach), (u + reach, v + reach), paint, -1)


@cache
def _font(size: int) -> _Font:
    return ImageFont.load_default(size)


def _tag(
    canvas: UInt8Array,
    place: Pixel,
    radius: int,
    color: Color,
    caption: str,
    taken: Sequence[_Box],
) -> _Box:
    """Write a caption where it covers least, and return the box it fills."""
    height, width = canvas.shape[:2]
    font = _font(max(11, round(radius * 1.5)))
    left, top, right, bottom = map(round, font.getbbox(caption))
    wide, high = right - left + 8, bottom - top + 6
    gap = radius + 5
    u, v = round(place.u), round(place.v)
    columns = (u + gap, u - gap - wide, u - wide // 2)
    rows = (v - gap - high, v + gap, v - high // 2)
    spots = [(x, y) for y in rows for x in columns if (x, y) != (columns[2], rows[2])]
    boxes = [
        (x, y, x + wide, y + high)
        for x, y in (
            (int(np.clip(x, 0, max(0, width - wide))), int(np.clip(y, 0, max(0, height - high))))
            for x, y in spots
        )
    ]
    own = _around(place, radius)
    box = min(boxes, key=lambda b: sum(_overlap(b, t) for t in (*taken, own)))
    drawn = Image.fromarray(canvas)
    pen = ImageDraw.Draw(drawn)
    pen.rounded_rectangle((box[0], box[1], box[2] - 1, box[3] - 1), 4, _DARK, color, 2)
    pen.text((box[0] + 4 - left, box[1] + 3 - top), caption, _LIGHT, font)
    canvas[:] = np.asarray(drawn)
    return box


def _overlap(a: _Box, b: _Box) -> int:
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    return wide * high if wide > 0 and high > 0 else 0


def _legend(width: int, text: str, answer: Answer) -> npt.NDArray[np.uint8]:
    """Return the legend as a picture of this width."""
    size = int(np.clip(width / 45, 12, 22))
    font, margin, leading = _font(size), size // 2 + 4, round(size * 1.4)
    lines: list[tuple[str, Color]] = []
    for line, color in _legend_lines(text, answer):
        lines += [(part, color) for part in _wrapped(one_line(line), font, width - 2 * margin)]
    strip = Image.new("RGB", (width, 2 * margin + leading * len(lines)), _DARK)
    pen = ImageDraw.Draw(strip)
    for row, (line, color) in enumerate(lines):
        pen.text((margin, margin + row * leading), line, color, font)
    return np.array(strip)


def _legend_lines(text: str, answer: Answer) -> list[tuple[str, Color]]:
    lines = [(f"“{one_line(text, 240)}”", _LIGHT)]
    if answer.outcome is not Outcome.OK:
        words = f": {answer.text}" if answer.text else ""
        lines.append((f"{answer.outcome.replace('_', ' ')}{words}", CANDIDATE))
    for points, color in ((answer.points, POINT), (answer.candidates, CANDIDATE)):
        for number, point in enumerate(points, start=1):
            reason = f": {point.reason}" if point.reason else ""
            label = point.label or "point"
            lines.append((f"{number} {label} ({point.confidence:.2f}){reason}", color))
    for number, step in enumerate(answer.reasoning[:_MOST_STEPS], start=1):
        lines.append((f"s{number} {step.text}", STEP))
    if len(answer.reasoning) > _MOST_STEPS:
        lines.append((f"… {len(answer.reasoning) - _MOST_STEPS} more steps", STEP))
    if answer.engine:
        lines.append((f"{answer.engine}, {answer.latency.total_s * 1000:.0f} ms", _MUTED))
    return lines


def _wrapped(line: str, font: _Font, width: int) -> list[str]:
    """Break a line at blanks, and inside words that are wider than the picture."""
    length = font.getlength
    rows: list[str] = []
    row = ""
    for word in line.split(" "):
        longer = f"{row} {word}" if row else word
        if length(longer) <= width:
            row = longer
            continue
        if row:
            rows.append(row)
        while length(word) > width and len(word) > 1:
            fits = bisect_right(range(len(word)), width, key=lambda n: ceil(length(word[: n + 1])))
            fits = max(1, fits)
            rows.append(word[:fits])
            word = word[fits:]
        row = word
    return [*rows, row]
