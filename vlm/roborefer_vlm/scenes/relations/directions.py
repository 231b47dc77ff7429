# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Directions: left, right, in front, behind, above and below, wide, narrow and metric."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.graph import Array, Scene
from roborefer_vlm.scenes.places import UP, Anchor, Places
from roborefer_vlm.scenes.relations.case import Apart, Case
from roborefer_vlm.scenes.relations.grading import decaying, falling, weaken
from roborefer_vlm.scenes.relations.thresholds import value

WORDS = ("left", "right", "front", "behind", "above", "below")


def left(case: Case) -> Array:
    """To the left of the anchor: within a cone around the frame's left.

    The angle is that of the mean of two displacements, from centre to centre and from side to
    side. The score is 0.5 at the cone's border and 0 at a right angle. It does not hold while the
    centre of one lies within the rectangle of the other, nor beside the inner half of something
    long. Of those that hold, near ones get more. With a distance: that far from the anchor's
    side, beside the anchor's width.
    """
    return _directed(case, "left")


def right(case: Case) -> Array:
    """To the right of the anchor: the mirror image of left."""
    return _directed(case, "right")


def front(case: Case) -> Array:
    """In front of the anchor: nearer to the viewer than it, or where its own face looks.

    A cone around the frame's front, as for left.
    """
    return _directed(case, "front")


def behind(case: Case) -> Array:
    """Behind the anchor: farther from the viewer, or at its own back; a cone as for left."""
    return _directed(case, "behind")


def above(case: Case) -> Array:
    """Above the anchor: higher, within a cone around up, against gravity in every 3D frame.

    In the picture: higher in the image, whatever the reason.
    """
    return _directed(case, "above")


def below(case: Case) -> Array:
    """Below the anchor: lower, within a cone around down; or lower in the picture."""
    return _directed(case, "below")


def directly_left(case: Case) -> Array:
    """Directly to the left: a narrow cone in which distance counts more."""
    return _directed(case, "left", narrow=True)


def directly_right(case: Case) -> Array:
    """Directly to the right: a narrow cone in which distance counts more."""
    return _directed(case, "right", narrow=True)


def directly_front(case: Case) -> Array:
    """Directly in front: a narrow cone in which distance counts more."""
    return _directed(case, "front", narrow=True)


def directly_behind(case: Case) -> Array:
    """Directly behind: a narrow cone in which distance counts more."""
    return _directed(case, "behind", narrow=True)


def directly_above(case: Case) -> Array:
    """Directly above: a narrow cone in which distance counts more."""
    return _directed(case, "above", narrow=True)


def directly_below(case: Case) -> Array:
    """Directly below: a narrow cone in which distance counts more."""
    return _directed(case, "below", narrow=True)


def alignment(case: Case, word: str, *, narrow: bool = False) -> Array:
    """Return the score of a direction without regard to distance, shape (N,).

    Args:
        case: With one anchor.
        word: One of WORDS.
        narrow: Take the cone of "directly".
    """
    return _aligned(_displacements(case, word), narrow)


def offset(case: Case, word: str) -> Array:
    """Return how far from the anchor's side the subjects begin in a direction, metres.

    Negative on the other side, 0 where both overlap; shape (N,).
    """
    return _displacements(case, word).along.sides


@dataclass(frozen=True, eq=False)
class _Displacements:
    """Where the subjects are, seen from the anchor.

    Attributes:
        along: Along the word's direction.
        across: Across it; its sign says nothing.
        apartness: 1 where the two are apart in any direction, 0.5 where the centre of one meets
            a side of the other, less where it lies within it, shape (N,).
    """

    along: Apart
    across: Apart
    apartness: Array


def _directed(case: Case, word: str, *, narrow: bool = False) -> Array:
    where = _displacements(case, word)
    if case.distance_m is not None:
        return _at_distance(where.along, where.across, case.distance_m)
    score = _aligned(where, narrow)
    weight = value("narrow_proximity_weight" if narrow else "proximity_weight")
    gap = np.hypot(where.along.sides, where.across.sides)
    return weaken(score, weight, decaying(gap, _reach(case)))


def _displacements(case: Case, word: str) -> _Displacements:
    if case.frame is Frame.IMAGE:
        return _in_picture(case, word)
    vertical = word in ("above", "below")
    if vertical:
        level = (case.subjects.centers - case.marks.centers[0]) * (1, 1, 0)
        length = np.linalg.norm(level, axis=1, keepdims=True)
        across = np.where(length > 1e-9, level / np.maximum(length, 1e-9), (1.0, 0.0, 0.0))
        direction = UP if word == "above" else -UP
        along, sideways = case.apart(direction), case.apart(across)
    else:
        along, sideways = _on_level(case.scene, case.subjects, case.anchors[0], case.frame)
        if word in ("front", "behind"):
            along, sideways = sideways, along
        if word in ("right", "behind"):
            along = Apart(-along.centers, along.mine, along.theirs)
    apartness = _box_apartness(case.scene, case.subjects, case.anchors[0], 3 if vertical else 2)
    return _Displacements(along, sideways, apartness)


def _reach(case: Case) -> Array:
    """Return what counts as near, shape (N,), metres, or pixels in the picture."""
    if case.frame is not Frame.IMAGE:
        return case.reach
    half, anchor_half = (picture_frames(case, p)[1] for p in (case.subjects, case.marks))
    size = 2 * np.maximum(np.linalg.norm(half, axis=1), np.linalg.norm(anchor_half[0]))
    return np.asarray(np.maximum(value("reach") * size, 1.0))


# All directions between the same things share these; they follow each other.
@lru_cache(maxsize=16)
def _on_level(scene: Scene, subjects: Places, anchor: Anchor, frame: Frame) -> tuple[Apart, Apart]:
    """Return how far subjects are from an anchor along the left and along the front."""
    case = Case(scene, subjects, (anchor,), frame)
    return case.apart(case.axes.left), case.apart(case.axes.front)


@lru_cache(maxsize=16)
def _box_apartness(scene: Scene, subjects: Places, anchor: Anchor, sides: int) -> Array:
    """Return the apartness along the first sides of all boxes, shape (N,).

    Boxes are apart if one of their own sides separates them; those of a frame would make turned
    boxes too large. Upright sides tell about directions on the level only.
    """
    marks = Case(scene, subjects, (anchor,)).marks
    turn, half = marks.rotations[0], marks.half_sizes[0]
    offset = subjects.centers - marks.centers[0]
    if subjects.are_points:
        along = Apart(offset @ turn[:, :sides], np.zeros((len(offset), sides)), half[:sides])
        return np.asarray(_apartness(along).max(axis=1))
    shares = np.abs(turn.T @ subjects.rotations)
    centers = (offset @ turn, (offset[:, None] @ subjects.rotations)[:, 0])
    mine = ((shares * subjects.half_sizes[:, None]).sum(axis=2), subjects.half_sizes)
    theirs = (np.broadcast_to(half, mine[0].shape), (shares * half[:, None]).sum(axis=1))
    # Along the anchor's sides, then along those of each subject; shape (N, 2 * sides).
    lines = [np.hstack([part[:, :sides] for part in parts]) for parts in (centers, mine, theirs)]
    return np.asarray(_apartness(Apart(*lines)).max(axis=1))


def _in_picture(case: Case, word: str) -> _Displacements:
    """Do the same in pixels, with the frames around the projected boxes."""
    if word in ("front", "behind"):
        # The frame's own error says which ones have a front.
        _ = case.axes
    middle, half = picture_frames(case, case.subjects)
    anchor_middle, anchor_half = picture_frames(case, case.marks)
    step = middle - anchor_middle[0]
    column, row = (
        Apart(step[:, i], half[:, i], np.full(len(step), anchor_half[0, i])) for i in (0, 1)
    )
    if word in ("left", "above"):
        column = Apart(-column.centers, column.mine, column.theirs)
        row = Apart(-row.centers, row.mine, row.theirs)
    along, across = (column, row) if word in ("left", "right") else (row, column)
    return _Displacements(along, across, np.maximum(_apartness(along), _apartness(across)))


def picture_frames(case: Case, places: Places) -> tuple[Array, Array]:
    """Return the middle and the half size of each place's frame in the picture, pixels.

    Corners behind the viewer are left out; of what is wholly behind the viewer both are NaN.

    Returns:
        Two arrays of shape (N, 2): u and v.
    """
    corners = places.corners()
    pixels, _ = case.scene.camera.project(corners.reshape(-1, 3))
    pixels = pixels.reshape(*corners.shape[:2], 2)
    seen = np.isfinite(pixels)
    low = np.where(seen, pixels, np.inf).min(axis=1)
    high = np.where(seen, pixels, -np.inf).max(axis=1)
    low, high = (np.where(np.isfinite(bound), bound, np.nan) for bound in (low, high))
    return (low + high) / 2, (high - low) / 2


def _at_distance(along: Apart, across: Apart, distance: float) -> Array:
    """Score how well side and subject are a named distance apart; best beside the middle."""
    tolerance = max(value("distance_tolerance"), value("distance_share") * distance)
    width = np.maximum(across.mine + across.theirs, tolerance)
    misfit = np.hypot((along.sides - distance) / tolerance, across.centers / width)
    return falling(misfit, 1, 3)


def _aligned(where: _Displacements, narrow: bool) -> Array:
    """Score the angle of the mean of both displacements.

    People use both the direction of the centres and that of the nearest sides (Regier and
    Carlson, "Grounding spatial language in perception", 2001).
    """
    along, across = where.along, where.across
    angle = np.arctan2(np.abs(across.centers + across.sides), along.centers + along.sides)
    score = falling(angle, value("narrow_cone" if narrow else "cone"), np.pi / 2)
    # What is beside the inner half of something long is not at its end.
    off = along.centers / np.maximum(np.maximum(along.mine, along.theirs), 1e-9)
    return np.minimum(np.minimum(score, where.apartness), np.minimum(np.maximum(off, 0), 1))


def _apartness(line: Apart) -> Array:
    """Return 1 where two things are apart along a line, 0.5 where a centre meets a side."""
    steps = np.abs(line.centers)
    larger, smaller = np.maximum(line.mine, line.theirs), np.minimum(line.mine, line.theirs)
    inner = np.minimum(0.5 * steps / np.maximum(larger, 1e-9), 0.5)
    outer = 0.5 + 0.5 * (steps - larger) / np.maximum(smaller, 1e-9)
    return np.minimum(np.maximum(np.where(steps <= larger, inner, outer), 0), 1)
