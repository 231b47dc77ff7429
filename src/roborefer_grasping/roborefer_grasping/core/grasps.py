# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Proposes grasps of a parallel jaw for a target of which one side was seen.

The jaw is slid over the target as it looks from above, at many headings and depths: wherever a
part of the target lies between two places that are free for the fingers, there is a grasp. So
whole things, rims and handles are found by the same rule. Each grasp from above has tilted
variants, for reach and for walls that are not upright. Whether the hand as a whole fits is the
business of the collision checker, whether the arm gets there that of the planner.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import cos, hypot, pi, sin

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from roborefer_grasping.core.columns import CELL_M, Columns
from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.robot import Array

HEADINGS = 16
# How far the finger tips go below the highest point between them, metres.
DEPTHS_M = (0.012, 0.020, 0.030, 0.042)
# Tips stay this far above what the target stands on, metres.
TIP_CLEARANCE_M = 0.004
# Less than this between the fingers' tips and the top of the target is no hold, metres.
LEAST_HOLD_M = 0.009
# Worse grasps are not worth trying.
LEAST_QUALITY = 0.06
# A closing jaw turns a thing until it is narrowest between the pads. Grasps this close to each
# other (metres) are compared; so much more width is nothing, and so much more is hopeless, metres.
_COMPARED_M, _SAME_WIDTH_M, _HOPELESS_WIDTH_M = 0.012, 0.005, 0.016
# Leaning of the approach about the closing axis, radians.
TILTS_RAD = (0.0, -0.35, 0.35, -0.7, 0.7)
_TILT_COST = 0.12
# A side that rises this much within the first cell is as good as upright, metres.
_UPRIGHT_M = 0.010
# Two grasps closer than this (metres, radians) are the same one.
_SAME_M, _SAME_RAD = 0.010, 0.2


@dataclass(frozen=True, eq=False)
class Grasp:
    """Where to close the jaw.

    Attributes:
        pose: Of the TCP in the frame of the base, shape (4, 4): z towards the target, the jaw
            closes along y.
        width: Of what is between the pads, metres.
        opening: Distance of the pads on the way there, metres.
        quality: 0 to 1, without regard to whether the arm reaches it.
        in_shadow: A finger goes where only the target hides the view.
    """

    pose: Array
    width: float
    opening: float
    quality: float
    in_shadow: bool = False


def propose_grasps(columns: Columns, gripper: Gripper, most: int = 24) -> list[Grasp]:
    """Return grasps from above that differ, best first; empty when the jaw fits nowhere."""
    found: list[Grasp] = []
    for heading in range(HEADINGS):
        yaw = pi * heading / HEADINGS
        found += _at_heading(columns, gripper, yaw)
    found = [g for g in _stable(found) if g.quality >= LEAST_QUALITY]
    return _different(sorted(found, key=lambda g: -g.quality), most)


def narrowest_width(columns: Columns) -> float:
    """Least distance of two parallel lines that hold the whole target, from above, metres."""
    cells = CELL_M * np.argwhere(np.isfinite(columns.target)).astype(float)
    headings = pi * np.arange(HEADINGS) / HEADINGS
    along = cells @ np.stack([np.cos(headings), np.sin(headings)])
    return float((along.max(axis=0) - along.min(axis=0)).min()) + CELL_M


def with_tilts(grasp: Grasp, tilts: tuple[float, ...] = TILTS_RAD) -> Iterator[Grasp]:
    """Variants of a grasp whose approach leans about the closing axis, and turned half around.

    A parallel jaw is symmetric, so each is as good with the hand turned by half.
    """
    half_turn = np.diag([-1.0, -1.0, 1.0, 1.0])
    for tilt in tilts:
        lean = np.eye(4)
        lean[[0, 2], [0, 2]], lean[0, 2], lean[2, 0] = cos(tilt), sin(tilt), -sin(tilt)
        quality = grasp.quality * (1 - _TILT_COST * abs(tilt) / 0.35)
        leaning = replace(grasp, pose=grasp.pose @ lean, quality=quality)
        yield leaning
        yield replace(leaning, pose=leaning.pose @ half_turn)


def _stable(grasps: list[Grasp]) -> list[Grasp]:
    """Lower the quality of those between whose pads the thing would turn."""
    if not grasps:
        return []
    places = np.array([grasp.pose[:3, 3] for grasp in grasps])
    widths = np.array([grasp.width for grasp in grasps])
    steady = []
    for grasp, place in zip(grasps, places, strict=True):
        near = (np.abs(places - place) < _COMPARED_M).all(axis=1)
        excess = grasp.width - float(widths[near].min()) - _SAME_WIDTH_M
        share = float(np.clip(1 - excess / _HOPELESS_WIDTH_M, 0.05, 1.0))
        steady.append(replace(grasp, quality=grasp.quality * share))
    return steady


def _at_heading(columns: Columns, gripper: Gripper, yaw: float) -> list[Grasp]:
    target, other, shadow, x, y = columns.turned(yaw)
    # What a pad of this width meets: the highest in a band across the closing direction.
    band = max(1, round(gripper.pad_width / CELL_M))
    size = (1, band)
    top = ndimage.maximum_filter(target, size, mode="constant", cval=-np.inf)
    blocked = ndimage.maximum_filter(np.maximum(target, other), size, mode="constant", cval=np.inf)
    hidden = ndimage.maximum_filter(shadow, size, mode="constant", cval=-np.inf)
    seen = np.isfinite(target)
    middle = columns.middle
    reach = max(0.02, float(np.hypot(x[seen] - middle[0], y[seen] - middle[1]).max()))
    found = []
    for row in np.flatnonzero(seen.any(axis=0)):
        for begin, end, tip in _holds(top[:, row], columns.support):
            hold = _judge(top[:, row], blocked[:, row], hidden[:, row], begin, end, tip, gripper)
            if hold is None:
                continue
            quality, width, in_shadow = hold
            between = target[begin : end + 1, max(0, row - band // 2) : row + band // 2 + 1]
            quality *= _squareness(between > tip)
            place = (begin + end) / 2
            px = float(np.interp(place, np.arange(len(x)), x[:, row]))
            py = float(np.interp(place, np.arange(len(y)), y[:, row]))
            aside = hypot(px - middle[0], py - middle[1]) / reach
            pose = _pose_from_above(px, py, tip + gripper.finger_reach, yaw)
            opening = min(gripper.opening, width + 6 * gripper.clearance)
            found.append(
                Grasp(pose, width, opening, quality * (1 - 0.5 * min(1.0, aside) ** 2), in_shadow)
            )
    return found


def _holds(top: Array, support: float) -> Iterator[tuple[int, int, float]]:
    """Runs of cells that rise above the finger tips, with the height of the tips."""
    known = np.isfinite(top)
    for first, last in _runs(known):
        highest = float(top[first : last + 1].max())
        tips = {max(highest - depth, support + TIP_CLEARANCE_M) for depth in DEPTHS_M}
        for tip in sorted(tips):
            if highest - tip < LEAST_HOLD_M:
                continue
            for begin, end in _runs(top > tip + 0.002):
                if begin >= first and end <= last:
                    yield begin, end, tip


def _runs(cells: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of each run of set cells."""
    edges = np.diff(np.concatenate([[0], cells.astype(np.int8), [0]]))
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    return list(zip(begins.tolist(), ends.tolist(), strict=True))


def _judge(
    top: Array, blocked: Array, hidden: Array, begin: int, end: int, tip: float, gripper: Gripper
) -> tuple[float, float, bool] | None:
    """Quality, width and whether a finger is in the shadow; None when the jaw does not fit."""
    width = (end - begin + 1) * CELL_M
    if width > gripper.widest:
        return None
    gap = max(1, round(gripper.clearance / CELL_M))
    thick = max(1, int(np.ceil(gripper.finger_thickness / CELL_M)))
    left = slice(begin - gap - thick, begin - gap)
    right = slice(end + gap + 1, end + gap + 1 + thick)
    if left.start < 0 or right.stop > len(top):
        return None
    if max(blocked[left].max(), blocked[right].max()) > tip - 0.001:
        return None
    in_shadow = bool(max(hidden[left].max(), hidden[right].max()) > tip)
    rise = min(top[begin], top[end])
    upright = float(np.clip((rise - tip) / _UPRIGHT_M, 0, 1))
    depth = float(np.clip((top[begin : end + 1].max() - tip) / 0.030, 0, 1))
    margin = float(np.clip((gripper.widest - width) / 0.02, 0, 1))
    # Sides that still widen below the pads push a thing out of the jaw, however deep they are.
    quality = (0.10 + 0.90 * upright) * (0.60 + 0.25 * depth + 0.15 * margin)
    return quality * (0.9 if in_shadow else 1.0), width, in_shadow


def _squareness(between: npt.NDArray[np.bool_]) -> float:
    """How square the pads meet the sides of what is between them, 0.05 to 1.

    Args:
        between: Cells that rise above the tips, first axis along the closing direction.
    """
    rows = np.flatnonzero(between.any(axis=0))
    if len(rows) < between.shape[1] / 2:
        return 0.05
    first = between.argmax(axis=0)[rows]
    last = between.shape[0] - 1 - between[::-1].argmax(axis=0)[rows]
    if len(rows) < 3:
        return 0.5
    across = rows - rows.mean()
    slopes = [abs(float(across @ side) / float(across @ across)) for side in (first, last)]
    # Friction holds up to some 30 degrees between a pad and what it meets; half of it is safe.
    angle = float(np.arctan(max(slopes)))
    share = len(rows) / between.shape[1]
    return float(share * min(1.0, max(0.05, (0.55 - angle) / 0.40)))


def _pose_from_above(x: float, y: float, z: float, yaw: float) -> Array:
    closing = np.array([cos(yaw), sin(yaw), 0.0])
    down = np.array([0.0, 0.0, -1.0])
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2] = np.cross(closing, down), closing, down
    pose[:3, 3] = (x, y, z)
    return pose


def _different(grasps: list[Grasp], most: int) -> list[Grasp]:
    kept: list[Grasp] = []
    for grasp in grasps:
        if all(not _same(grasp, other) for other in kept):
            kept.append(grasp)
            if len(kept) == most:
                break
    return kept


def _same(a: Grasp, b: Grasp) -> bool:
    near = float(np.linalg.norm(a.pose[:3, 3] - b.pose[:3, 3])) < _SAME_M
    turned = abs(float(a.pose[:3, 1] @ b.pose[:3, 1])) > cos(_SAME_RAD)
    return near and turned
