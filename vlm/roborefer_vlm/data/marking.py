# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Marks that a question speaks of, drawn into its picture: coloured boxes with a letter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from roborefer_vlm.types import UInt8Array

_WHITE = (255, 255, 255)


def draw_marks(rgb: UInt8Array, marks: Sequence[Mapping[str, Any]]) -> UInt8Array:
    """Return a copy of a picture with marks in it.

    Args:
        rgb: uint8, shape (height, width, 3).
        marks: Each with `box` (left, top, right, bottom; pixels), `color` (red, green, blue) and
            `label`, a few letters that stand at the box's upper left corner, or "".
    """
    canvas = np.ascontiguousarray(rgb).copy()
    thick = max(2, round(min(canvas.shape[:2]) / 160))
    scale = thick / 3.5
    for mark in marks:
        left, top, right, bottom = (round(float(value)) for value in mark["box"])
        color = tuple(int(value) for value in mark["color"])
        cv2.rectangle(canvas, (left, top), (right, bottom), color, thick)
        label = str(mark.get("label", ""))
        if not label:
            continue
        (wide, high), below = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
        # Inside the picture, and above the box where there is room.
        x = min(max(left, 0), canvas.shape[1] - wide - 4)
        y = top - below - 2 if top > high + below + 4 else top + high + 4
        cv2.rectangle(canvas, (x, y - high - 3), (x + wide + 4, y + below), color, -1)
        cv2.putText(
            canvas, label, (x + 2, y), cv2.FONT_HERSHEY_SIMPLEX, scale, _WHITE, thick, cv2.LINE_AA
        )
    return canvas
