# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Markers and camera messages to what the 3D view of the console draws."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from sensor_msgs.msg import CameraInfo
from visualization_msgs.msg import Marker, MarkerArray

from roborefer_operator.core.console.cloud import Pinhole
from roborefer_operator.core.console.shapes import Array, Form, Shape

_FORMS = {
    Marker.CUBE: Form.BOX, Marker.SPHERE: Form.SPHERE, Marker.CYLINDER: Form.CYLINDER,
    Marker.LINE_LIST: Form.LINES, Marker.LINE_STRIP: Form.LINES, Marker.ARROW: Form.LINES,
    Marker.TEXT_VIEW_FACING: Form.TEXT,
}  # fmt: skip
_MOST = 500

# Name space and number to what is drawn.
Kept = dict[tuple[str, int], Shape]


def take_markers(kept: Kept, message: MarkerArray) -> Kept:
    """Return what is to be drawn after a message; kinds that are not known are left out."""
    after = dict(kept)
    for marker in message.markers:
        if marker.action == Marker.DELETEALL:
            after.clear()
            continue
        after.pop((marker.ns, marker.id), None)
        if marker.action == Marker.ADD and marker.type in _FORMS and len(after) < _MOST:
            after[marker.ns, marker.id] = _shape(marker)
    return after


def _shape(marker: Marker) -> Shape:
    at, turn = marker.pose.position, marker.pose.orientation
    xyzw = np.array([turn.x, turn.y, turn.z, turn.w])
    length = float(np.linalg.norm(xyzw))
    size, color = marker.scale, marker.color
    ends = _ends(marker)
    thickness = size.x if marker.type != Marker.ARROW or not marker.points else size.y
    return Shape(
        _FORMS[marker.type],
        marker.header.frame_id,
        np.array([at.x, at.y, at.z]),
        xyzw / length if length > 0.0 else np.array([0.0, 0.0, 0.0, 1.0]),
        (size.x, size.y, size.z) if marker.type != Marker.ARROW else (thickness, 0.0, 0.0),
        (color.r, color.g, color.b),
        color.a,
        points=ends,
        text=marker.text[:100],
    )


def _ends(marker: Marker) -> Array:
    """Return the ends of the marker's lines, shape (2 n, 3)."""
    points = _rows((p.x, p.y, p.z) for p in marker.points)
    if marker.type == Marker.LINE_STRIP and len(points) > 1:
        return np.repeat(points, 2, axis=0)[1:-1]
    if marker.type == Marker.ARROW and len(points) < 2:
        return np.array([[0.0, 0.0, 0.0], [marker.scale.x, 0.0, 0.0]])
    return points[: len(points) // 2 * 2]


def _rows(points: Iterable[tuple[float, float, float]]) -> Array:
    return np.array(list(points), float).reshape(-1, 3)


def pinhole_of(info: CameraInfo) -> Pinhole:
    """Take over focal lengths and principal point."""
    return Pinhole(info.k[0], info.k[4], info.k[2], info.k[5])
