# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Directions: left, right, in front, behind, above and below, wide, narrow and metric."""

from __future__ import annotations

import numpy as np

from roborefer_vlm.scenes.graph import Array
from roborefer_vlm.scenes.relations.case import Case
from roborefer_vlm.scenes.relations.grading import decaying, falling, weaken
from roborefer_vlm.scenes.relations.thresholds import value


def left(case: Case) -> Array:
    """To the left of the anchor: within a cone around the frame's left."""
    return toward(case, case.axes.left)


def right(case: Case) -> Array:
    """To the right of the anchor: within a cone around the frame's right."""
    return toward(case, -case.axes.left)


def front(case: Case) -> Array:
    """In front of the anchor: nearer to the viewer, or where the anchor's own face looks."""
    return toward(case, case.axes.front)


def behind(case: Case) -> Array:
    """Behind the anchor: farther from the viewer, or at the anchor's own back."""
    return toward(case, -case.axes.front)


def toward(case: Case, direction: Array, *, narrow: bool = False) -> Array:
    """Score how well the subjects lie in a horizontal direction from the anchor.

    The angle is that of the mean of two displacements, from centre to centre and from side to
    side, as people use both (Regier and Carlson, "Grounding spatial language in perception",
    2001). The score falls with the angle, is 0.5 at the cone's border and 0 at a right angle.
    Where the two overlap along the direction it is at most 0.5 if the centre of one still lies
    within the other. Of those that hold, near ones get more.

    Args:
        case: With one anchor.
        direction: Horizontal unit vector, shape (3,).
        narrow: Take the cone of "directly".
    """
    alignment, gap = _alignment(case, direction, narrow)
    weight = value("narrow_proximity_weight" if narrow else "proximity_weight")
    return weaken(alignment, weight, decaying(gap, case.reach))


def _alignment(case: Case, direction: Array, narrow: bool) -> tuple[Array, Array]:
    across = np.cross(direction, case.axes.up)
    centers, sides = case.apart(direction)
    centers_across, sides_across = case.apart(across)
    angle = np.arctan2(np.abs(centers_across + sides_across), centers + sides)
    score = falling(angle, value("narrow_cone" if narrow else "cone"), np.pi / 2)
    return np.minimum(score, _apartness(case, direction)), np.hypot(sides, sides_across)


def _apartness(case: Case, direction: Array) -> Array:
    """Return 1 where two things are apart along a direction, 0.5 where a centre meets a side."""
    centers, _ = case.apart(direction)
    mine, theirs = case.subjects.half_extents(direction), case.marks.half_extents(direction)[0]
    larger, smaller = np.maximum(mine, theirs), np.minimum(mine, theirs)
    inner = 0.5 * centers / np.maximum(larger, 1e-9)
    outer = 0.5 + 0.5 * (centers - larger) / np.maximum(smaller, 1e-9)
    return np.asarray(np.clip(np.where(centers <= larger, np.minimum(inner, 0.5), outer), 0, 1))
