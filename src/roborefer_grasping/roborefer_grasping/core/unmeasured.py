# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The part of a thing that shows no depth: lids and floors that shine, openings that are dark.

A sensor loses whole faces of things, mostly level ones. A hole in the depth that a thing borders,
and nobody else, and that is not wider than the thing, belongs to it. Its rays meet the height of
the thing's top within the thing's outline, whether there is a lid or the opening of a bowl.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from roborefer_grasping.core.robot import Array
from roborefer_grasping.core.view import DepthView, Mask

# Around every edge a sensor measures nothing for some pixels; only wider holes are faces.
_FRINGE_PX = 3
_LEAST_PX = 60
# Of what borders a hole, at least so much is the thing and at most so much are other things; the
# front of a bowl may count as another one.
_LEAST_OWN, _MOST_OTHERS, _MOST_FRONT = 0.2, 0.15, 0.35
# The top is what lies this little below the highest point, metres.
_TOP_M = 0.015
# A hole may reach this far beyond the sides of the thing, metres, and make it at most so much
# deeper than wide.
_BEYOND_M, _MOST_DEEP = 0.018, 1.3
# Of the thing's width, a lid or an opening has at least so much.
_LEAST_WIDE = 0.6


@dataclass(frozen=True, eq=False)
class Unmeasured:
    """A part of a thing without depth.

    Attributes:
        mask: Its pixels, shape (height, width).
        points: Where their rays meet the height of the top, shape (N, 3), metres.
        is_top: Whether it borders the top, like a lid, and not the inside of a vessel.
    """

    mask: Mask
    points: Array
    is_top: bool

    def filled(self, view: DepthView) -> DepthView:
        """The same view with depth where this part is level and as high as the top."""
        if not self.is_top:
            return view
        depth = view.depth_m.copy()
        _, along = view.project(self.points)
        depth[self.mask] = along
        return DepthView(depth, view.fx, view.fy, view.cx, view.cy, view.t_base_optical)

    def joined(self, target: Mask) -> Mask:
        """The target with this part, where that is filled."""
        return np.asarray(target | self.mask) if self.is_top else target


NOTHING = Unmeasured(np.zeros((0, 0), bool), np.zeros((0, 3)), False)


def unmeasured_part(view: DepthView, target: Mask, others: Mask) -> Unmeasured:
    """Find the part of a thing that shows no depth; `NOTHING` if there is none.

    Args:
        view: The look.
        target: Pixels of the thing.
        others: Pixels of other things and of the robot.
    """
    known = view.measured & target
    if not known.any():
        return NOTHING
    specks = ndimage.binary_closing(np.pad(~view.measured, 2), np.ones((3, 3)))[2:-2, 2:-2]
    cores, count = ndimage.label(ndimage.binary_erosion(specks, iterations=_FRINGE_PX))
    near = ndimage.binary_dilation(known, iterations=2 * _FRINGE_PX)
    points = view.points[known]
    top = float(np.percentile(points[:, 2], 98))
    for number in range(1, count + 1):
        core = cores == number
        hole = ndimage.binary_dilation(core, iterations=_FRINGE_PX) & ~view.measured
        if hole.sum() < _LEAST_PX or not (hole & near).any():
            continue
        ring = ndimage.binary_dilation(hole, iterations=_FRINGE_PX) & view.measured
        own = ring & known
        shares = [float((ring & of).sum()) / max(1, int(ring.sum())) for of in (known, others)]
        if shares[0] < _LEAST_OWN:
            continue
        there, border = at_height(view, hole, top), view.points[own]
        lid = float(np.median(border[:, 2])) > top - _TOP_M
        if shares[1] > (_MOST_OTHERS if lid else _MOST_FRONT):
            continue
        if _fits(there, points, border, lid, view):
            return Unmeasured(hole, there, lid)
    return NOTHING


def at_height(view: DepthView, mask: Mask, height: float) -> Array:
    """Where the rays of pixels meet a level plane, shape (N, 3)."""
    rows, columns = np.nonzero(mask)
    rays = np.stack(
        [(columns - view.cx) / view.fx, (rows - view.cy) / view.fy, np.ones(len(rows))], axis=1
    )
    rays = rays @ view.t_base_optical[:3, :3].T
    eye = view.t_base_optical[:3, 3]
    with np.errstate(divide="ignore"):
        along = (height - eye[2]) / rays[:, 2]
    return np.asarray(eye + rays * along[:, None])


def _fits(there: Array, points: Array, border: Array, lid: bool, view: DepthView) -> bool:
    """Whether a part lies where a lid or an opening would, and not beside or beyond the thing."""
    ahead = points[:, :2].mean(axis=0) - view.t_base_optical[:2, 3]
    ahead = ahead / max(float(np.linalg.norm(ahead)), 1e-9)
    aside = np.array([-ahead[1], ahead[0]])
    low, high = np.percentile(points[:, :2] @ aside, [2, 98])
    here_low, here_high = np.percentile(there[:, :2] @ aside, [2, 98])
    if here_low < low - _BEYOND_M or here_high > high + _BEYOND_M:
        return False
    if here_high - here_low < _LEAST_WIDE * (high - low):
        return False
    # A lid begins at the front of the thing and an opening ends there.
    behind = float(np.median(there[:, :2] @ ahead) - np.median(border[:, :2] @ ahead))
    if (behind > 0) is not lid:
        return False
    wide = max(high, here_high) - min(low, here_low)
    tall = float(points[:, 2].max() - points[:, 2].min())
    if not lid and tall > wide:
        return False
    both = np.concatenate([points, there])[:, :2] @ ahead
    near, far = np.percentile(both, [2, 98])
    return bool(far - near < _MOST_DEEP * wide + _BEYOND_M)
