# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the pixel of the newest image that a reference means, or says why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from roborefer_grasping.core.motion import Look, Reason, TaskFailure
from roborefer_grasping.core.robot import Array
from roborefer_grasping.core.view import Mask

# The surface is looked for this far around the projected place, pixels.
SEARCH_PX = 8
# A camera that moved a little, noise and the slope of a surface together, metres.
DEPTH_TOLERANCE_M = 0.03


class Kind(IntEnum):
    """What a reference means, numbered as in `roborefer_msgs/SpatialReference`."""

    UNKNOWN = 0
    OBJECT = 1
    PART = 2
    FREE_SPACE = 3
    INSIDE = 4


@dataclass(frozen=True, eq=False)
class Reference:
    """A referred place.

    Attributes:
        position: On the visible surface, metres in the frame of the base, shape (3,); None when
            the reference has only a pixel.
        pixel: Column and row in the image of `stamp_ns`.
        size: Width and height of that image.
        stamp_ns: Time of the image that was referred to.
        identity: Of the reference, 16 bytes.
        label: Short name for people, or "".
        yaw_offset: Heading of its frame's x axis in the frame of the base, radians.
        kind: What it means.
    """

    position: Array | None
    pixel: tuple[float, float]
    size: tuple[int, int]
    stamp_ns: int
    identity: bytes = bytes(16)
    label: str = ""
    yaw_offset: float = 0.0
    kind: Kind = Kind.UNKNOWN


@dataclass(frozen=True, eq=False)
class Spot:
    """Where a reference lies in the newest image.

    Attributes:
        u: Column.
        v: Row.
        position: On the measured surface, metres in the frame of the base, shape (3,).
    """

    u: int
    v: int
    position: Array


def check_inside(position: Array, low: Array, high: Array) -> None:
    """Refuse a place outside the workspace.

    Raises:
        TaskFailure: OUTSIDE_WORKSPACE, with the distance.
    """
    outside = float(np.maximum(low - position, position - high).max())
    if outside > 0:
        raise TaskFailure(
            Reason.OUTSIDE_WORKSPACE,
            f"the place at {_text(position)} lies {outside:.3f} m outside the workspace"
            f" {_text(low)} to {_text(high)}; refer to a place inside",
        )


def find(reference: Reference, look: Look, robot: Mask, low: Array, high: Array) -> Spot:
    """Find a reference in an image.

    Args:
        reference: The referred place.
        look: The newest image.
        robot: Its pixels that show the robot.
        low: Lowest coordinates of the workspace, metres.
        high: Highest coordinates of the workspace, metres.

    Raises:
        TaskFailure: INVALID_GOAL, OUTSIDE_WORKSPACE, REFERENCE_ON_ROBOT or NOTHING_THERE.
    """
    view = look.view
    if reference.position is not None:
        check_inside(reference.position, low, high)
    height, width = view.depth_m.shape
    same_image = reference.stamp_ns == look.stamp_ns and reference.size == (width, height)
    if same_image or reference.position is None:
        if not same_image:
            raise TaskFailure(
                Reason.INVALID_GOAL,
                "the reference has no 3D pose and its image is not the newest one; refer again"
                " with depth",
            )
        u, v = reference.pixel
        expected = np.nan
    else:
        pixels, depth = view.project(reference.position[None])
        (u, v), expected = pixels[0], float(depth[0])
    if not (np.isfinite([u, v]).all() and -0.5 <= u < width - 0.5 and -0.5 <= v < height - 0.5):
        raise TaskFailure(
            Reason.NOTHING_THERE,
            "the place lies outside what the camera sees; move it into view or refer again",
        )
    row, column = round(v), round(u)
    if robot[row, column]:
        raise TaskFailure(
            Reason.REFERENCE_ON_ROBOT,
            f"pixel ({u:.0f}, {v:.0f}) shows the robot or is hidden by it; refer to something else"
            " or move the arm away",
        )
    spot = _surface_near(look, robot, u, v, expected)
    check_inside(spot.position, low, high)
    return spot


def _surface_near(look: Look, robot: Mask, u: float, v: float, expected: float) -> Spot:
    """The nearest measured pixel whose depth fits what is expected; NaN expects nothing."""
    view = look.view
    row, column = round(v), round(u)
    window = np.s_[
        max(0, row - SEARCH_PX) : row + SEARCH_PX + 1,
        max(0, column - SEARCH_PX) : column + SEARCH_PX + 1,
    ]
    usable = view.measured[window] & ~robot[window]
    if not usable.any():
        raise TaskFailure(
            Reason.NOTHING_THERE,
            f"no depth was measured around pixel ({u:.0f}, {v:.0f}); refer to another spot",
        )
    depth = view.depth_m[window]
    fits = usable
    if np.isfinite(expected):
        fits = usable & (np.abs(depth - expected) < DEPTH_TOLERANCE_M)
    if not fits.any():
        seen = float(np.median(depth[usable]))
        where = "behind" if seen > expected else "before"
        raise TaskFailure(
            Reason.NOTHING_THERE,
            f"the surface seen at pixel ({u:.0f}, {v:.0f}) lies {abs(seen - expected):.3f} m"
            f" {where} the referred place; refer again",
        )
    rows, columns = np.nonzero(fits)
    rows, columns = rows + window[0].start, columns + window[1].start
    best = int(np.hypot(rows - v, columns - u).argmin())
    y, x = int(rows[best]), int(columns[best])
    return Spot(x, y, view.points[y, x])


def _text(position: Array) -> str:
    return "(" + ", ".join(f"{value:.3f}" for value in position) + ")"
