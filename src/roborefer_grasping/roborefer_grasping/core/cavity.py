# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Joins the front of an open vessel with its inside, which a sensor may show as two things.

The rim of a cup is thin and surrounded by depth edges, where a sensor measures nothing. What is
left is the outer wall in front and the inner wall behind it. A piece is the inside of another one
when it is seen over that one's upper edge, ends at the same height, lies between its sides, and
curves away from the camera in its middle, as no thing that stands behind would.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from roborefer_grasping.core.robot import Array
from roborefer_grasping.core.view import DepthView, Mask

Labels = npt.NDArray[np.int32]
# Widest band without depth between the two walls, pixels.
_RIM_PX = 9
_LEAST_NEIGHBOURS = 15
# How much the two may differ in height, and how far the inside may reach beyond the outside at
# either side of the rim, metres; and how much of its width it must have.
_SAME_HEIGHT_M, _SAME_SIDE_M, _LEAST_WIDTH = 0.015, 0.010, 0.6
_RIM_M = 0.018
# The band below the upper edge in which the curve is looked at, and its least depth, metres.
_BAND_M, _LEAST_CURVE_M = 0.030, 0.004


def other_wall(view: DepthView, labels: Labels, label: int) -> int:
    """Number of the piece that is the inside of a piece, or whose inside it is; 0 if none.

    Args:
        view: The look.
        labels: Pieces from 1, shape (height, width).
        label: The piece.
    """
    own = labels == label
    near = labels[ndimage.binary_dilation(own, iterations=_RIM_PX)]
    counts = np.bincount(near[(near > 0) & (near != label)])
    for other in np.flatnonzero(counts >= _LEAST_NEIGHBOURS):
        piece = labels == other
        if _is_inside_of(view, piece, own) or _is_inside_of(view, own, piece):
            return int(other)
    return 0


def _is_inside_of(view: DepthView, inner: Mask, outer: Mask) -> bool:
    inside, outside = (view.points[mask & view.valid] for mask in (inner, outer))
    if min(len(inside), len(outside)) < 20:
        return False
    ahead = inside[:, :2].mean(axis=0) - view.t_base_optical[:2, 3]
    ahead = ahead / max(float(np.linalg.norm(ahead)), 1e-9)
    aside = np.array([-ahead[1], ahead[0]])
    if (inside[:, :2] @ ahead).mean() < (outside[:, :2] @ ahead).mean():
        return False
    tops = [float(np.percentile(points[:, 2], 98)) for points in (inside, outside)]
    if abs(tops[0] - tops[1]) > _SAME_HEIGHT_M:
        return False
    # Handles start below the rim.
    rim = outside[outside[:, 2] > tops[1] - _RIM_M]
    low, high = np.percentile(inside[:, :2] @ aside, [3, 97])
    rim_low, rim_high = np.percentile(rim[:, :2] @ aside, [3, 97])
    if low < rim_low - _SAME_SIDE_M or high > rim_high + _SAME_SIDE_M:
        return False
    if high - low < _LEAST_WIDTH * (rim_high - rim_low):
        return False
    return _curves_away(inside[inside[:, 2] > tops[0] - _BAND_M], ahead, aside)


def _curves_away(points: Array, ahead: Array, aside: Array) -> bool:
    """Whether the middle of a wall is farther away than its sides."""
    across, along = points[:, :2] @ aside, points[:, :2] @ ahead
    quarters = np.percentile(across, [0, 25, 35, 65, 75, 100])
    middle = along[(across > quarters[2]) & (across < quarters[3])]
    left, right = along[across < quarters[1]], along[across > quarters[4]]
    if min(len(middle), len(left), len(right)) < 5:
        return False
    ends = (float(np.median(left)) + float(np.median(right))) / 2
    return float(np.median(middle)) - ends > _LEAST_CURVE_M
