# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From the measured points of a thing to its gravity-aligned box."""

from __future__ import annotations

import cv2
import numpy as np

from roborefer_vlm.scenes.graph import Array, OrientedBox
from roborefer_vlm.types import FloatArray

# Share of the points at either end of each axis that may be noise.
TRIMMED = 0.01
THINNEST_M = 0.002


def upright_box(points: FloatArray, floor: float | None = None) -> OrientedBox:
    """Return the box around points with its third axis up.

    Args:
        points: Of the scene's frame, shape (N, 3), N >= 1.
        floor: z of what the thing stands on; the box is extended down to it, as the foot of a
            thing is hidden when it is seen from above or behind others.

    Returns:
        The box of the smallest footprint; its first axis is the longer horizontal one, and
        points away from the viewer or to the left.
    """
    low, high = np.quantile(points[:, 2], [TRIMMED, 1 - TRIMMED])
    if floor is not None:
        low = min(floor, high)
    center, size, yaw = _rectangle(points[:, :2])
    rotation = np.eye(3)
    rotation[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    return OrientedBox(
        np.array([*center, (low + high) / 2]),
        rotation,
        np.maximum([*size, high - low], THINNEST_M),
    )


def _rectangle(footprint: FloatArray) -> tuple[Array, Array, float]:
    """Return centre, lengths (longer first) and yaw of the smallest rectangle."""
    footprint = np.ascontiguousarray(footprint, np.float32)
    inner = _without_fringe(footprint)
    _, (first, second), degrees = cv2.minAreaRect(inner if len(inner) >= 3 else footprint)
    yaw = np.deg2rad(degrees) + (np.pi / 2 if second > first else 0.0)
    # Half a turn gives the same box: keep its first axis within a quarter turn of x.
    yaw = float((yaw + np.pi / 2) % np.pi - np.pi / 2)
    axes = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
    along = footprint @ axes.T
    low, high = np.quantile(along, [TRIMMED, 1 - TRIMMED], axis=0)
    return np.asarray((low + high) / 2 @ axes), np.asarray(high - low), yaw


def _without_fringe(footprint: FloatArray) -> FloatArray:
    """Drop the points farthest from the middle, which else would turn the rectangle."""
    distance = np.linalg.norm(footprint - np.median(footprint, axis=0), axis=1)
    return np.asarray(footprint[distance <= np.quantile(distance, 1 - TRIMMED)])
