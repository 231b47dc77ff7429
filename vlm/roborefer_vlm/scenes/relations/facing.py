# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Where things look, and how far something has to turn to face them."""

from __future__ import annotations

import numpy as np

from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.frames import front_of
from roborefer_vlm.scenes.graph import Array
from roborefer_vlm.scenes.places import describe
from roborefer_vlm.scenes.relations.case import Case
from roborefer_vlm.scenes.relations.grading import falling
from roborefer_vlm.scenes.relations.thresholds import value

# Metres; between places this near to each other there is no direction, only rounding.
_SAME_PLACE = 1e-6


def face(case: Case) -> Array:
    """Facing the anchor, or the viewer without one: its front points there, seen from above.

    What has no front, or one that looks straight up or down, faces nothing.
    """
    return _facing(case, 1)


def back(case: Case) -> Array:
    """With its back to the anchor, or to the viewer without one, seen from above."""
    return _facing(case, -1)


def angle(case: Case) -> Array:
    """At an angle to the anchor: their fronts differ by as much as the sentence says."""
    return _as_named(case, angle_value(case))


def angle_value(case: Case) -> Array:
    """Return the angle between the fronts of subject and anchor, 0 to pi, (N,); NaN: no front."""
    cosine = _fronts(case) @ _anchor_front(case)
    return np.asarray(np.arccos(np.clip(cosine, -1, 1)))


def rotation_horizontal(case: Case) -> Array:
    """To be turned to: who turns left or right by the named angle faces the subject."""
    return _as_named(case, rotation_horizontal_value(case), full_turn=True)


def rotation_horizontal_value(case: Case) -> Array:
    """Return by how much the anchor turns to face the subject, left is positive, (-pi, pi].

    Without an anchor the viewer turns. Shape (N,).
    """
    front, origin = _looker(case)
    to = case.subjects.centers - origin
    turn = np.arctan2(to[:, 1], to[:, 0]) - np.arctan2(front[1], front[0])
    turn = -np.remainder(-turn + np.pi, 2 * np.pi) + np.pi
    # Straight above or below there is nothing to turn to.
    return np.where(np.hypot(to[:, 0], to[:, 1]) < _SAME_PLACE, 0.0, turn)


def rotation_vertical(case: Case) -> Array:
    """To be raised to: who looks up or down by the named angle faces the subject."""
    return _as_named(case, rotation_vertical_value(case))


def rotation_vertical_value(case: Case) -> Array:
    """Return by how much the anchor, or the viewer, looks up (positive) to face it, rad, (N,)."""
    front, origin = _looker(case)
    to = case.subjects.centers - origin
    elevation = np.arctan2(to[:, 2], np.hypot(to[:, 0], to[:, 1]))
    raised = elevation - np.arctan2(front[2], np.hypot(front[0], front[1]))
    return np.where(np.linalg.norm(to, axis=1) < _SAME_PLACE, 0.0, raised)


def _looker(case: Case) -> tuple[Array, Array]:
    """Return where who turns looks to and stands."""
    if case.anchors:
        return _anchor_front(case), case.marks.centers[0]
    return case.scene.camera.t_scene_optical[:3, 2], case.scene.camera.position


def _facing(case: Case, sign: int) -> Array:
    target = case.marks.centers[0] if case.anchors else case.scene.camera.position
    fronts, to = sign * _fronts(case)[:, :2], (target - case.subjects.centers)[:, :2]
    length = np.linalg.norm(fronts, axis=1) * np.linalg.norm(to, axis=1)
    cosine = (fronts * to).sum(axis=1) / np.where(length > 1e-6, length, np.nan)
    off = np.arccos(np.clip(cosine, -1, 1))
    return falling(off, value("facing"), 2 * value("facing"))


def _fronts(case: Case) -> Array:
    """Return the front of each subject, NaN where there is none, shape (N, 3)."""
    fronts = np.full((len(case.subjects), 3), np.nan)
    for i, thing in enumerate(case.subjects.things):
        front = front_of(thing)
        if front is not None:
            fronts[i] = front
    return fronts


def _anchor_front(case: Case) -> Array:
    front = front_of(case.anchors[0])
    if front is None:
        raise QueryError(
            f"{describe(case.anchors[0])} has no front, so nothing can be said about where it"
            " looks; choose a thing with a front"
        )
    return front


def _as_named(case: Case, measured: Array, *, full_turn: bool = False) -> Array:
    assert case.angle_rad is not None
    off = np.abs(measured - case.angle_rad)
    if full_turn:
        off = np.abs(np.remainder(off + np.pi, 2 * np.pi) - np.pi)
    return falling(off, value("angle_tolerance"), 3 * value("angle_tolerance"))
