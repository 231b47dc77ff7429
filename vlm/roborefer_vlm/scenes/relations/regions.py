# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Places that several things, or the outline of one, mark out."""

from __future__ import annotations

import numpy as np

from roborefer_vlm.scenes.graph import Array
from roborefer_vlm.scenes.places import UP
from roborefer_vlm.scenes.relations.case import Case
from roborefer_vlm.scenes.relations.grading import falling
from roborefer_vlm.scenes.relations.thresholds import value


def between(case: Case) -> Array:
    """Between two anchors: in the lane that joins them, past the inner side of neither.

    The lane is as wide as the anchors (the hull of both), at least a share of their distance.
    Best is the middle of the lane. For things on top of each other the lane is upright.
    """
    first, second = case.marks.centers
    line = second - first
    if np.hypot(*line[:2]) >= abs(line[2]):
        line = line * (1, 1, 0)
    length = float(np.linalg.norm(line))
    if length < 1e-9:
        return np.zeros(len(case.subjects))
    along = line / length
    reach_first, reach_second = case.marks.half_extents(along)
    begin, end = min(reach_first, length / 2), max(length - reach_second, length / 2)
    # Anchors that touch or overlap leave no lane; the seam between them still is between them.
    short = max(0.2 * length - (end - begin), 0) / 2
    begin, end = begin - short, end + short
    offset = case.subjects.centers - first
    position = offset @ along
    half = (end - begin) / 2
    lengthwise = falling(np.abs(position - (begin + end) / 2), half, 2 * half)

    across = np.cross(along, UP) if along[2] == 0 else np.array([1.0, 0.0, 0.0])
    rest = offset - position[:, None] * along
    if along[2] == 0:
        rest = rest * (1, 1, 0)
    widths = case.marks.half_extents(across / np.linalg.norm(across))
    width = np.interp(position / length, [0, 1], widths)
    width = np.maximum(width, value("between_width") * length)
    return np.minimum(lengthwise, falling(np.linalg.norm(rest, axis=1), width, 2 * width))
