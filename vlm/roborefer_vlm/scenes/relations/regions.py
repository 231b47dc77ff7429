# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Places that several things, or the outline of one, mark out."""

from __future__ import annotations

import numpy as np

from roborefer_vlm.scenes.boxes import surface_distances
from roborefer_vlm.scenes.graph import Array
from roborefer_vlm.scenes.places import UP, Places, box_of, footprint
from roborefer_vlm.scenes.polygons import area, convex_hull, depth_inside, smallest_rectangle
from roborefer_vlm.scenes.relations.case import Case
from roborefer_vlm.scenes.relations.grading import decaying, falling
from roborefer_vlm.scenes.relations.thresholds import value


def between(case: Case) -> Array:
    """Between two anchors: in the lane that joins them, past the inner side of neither.

    The lane is as wide as the anchors (the hull of both), and wider by a share of their distance.
    Best is the middle of the lane. For things on top of each other the lane is upright.
    """
    first, second = case.marks.centers
    line = second - first
    level = float(np.hypot(line[0], line[1])) >= abs(float(line[2]))
    line = line * (1, 1, 0) if level else UP * line[2]
    length = float(np.linalg.norm(line))
    if length < 1e-9:
        return np.zeros(len(case.subjects))
    along = line / length
    halves = case.marks.half_extents(along)
    begin, end = min(halves[0], length / 2), max(length - halves[1], length / 2)
    # Anchors that touch leave no lane; the seam between them still is between them.
    short = max(value("least_lane") * length - (end - begin), 0) / 2
    begin, end = begin - short, end + short
    offset = case.subjects.centers - first
    position = offset @ along
    half = (end - begin) / 2
    lengthwise = falling(np.abs(position - (begin + end) / 2), half, 2 * half)

    rest = offset - position[:, None] * along
    if level:
        rest = rest * (1, 1, 0)
        widths = case.marks.half_extents(np.array([along[1], -along[0], 0.0]))
    else:
        widths = np.linalg.norm(case.marks.half_sizes, axis=1)
    width = np.interp(position / length, [0, 1], widths)
    width = width + value("between_width") * length
    return np.minimum(lengthwise, falling(np.linalg.norm(rest, axis=1), width, 2 * width))


def among(case: Case) -> Array:
    """Among several anchors: within the hull of their footprints, seen from above."""
    hull = convex_hull(np.concatenate([footprint(anchor) for anchor in case.anchors]))
    size = max(float(np.sqrt(area(hull))), value("least_reach"))
    depth = depth_inside(case.subjects.centers[:, :2], hull)
    return np.asarray(0.5 + 0.5 * np.clip(depth / (value("hull_margin") * size), -1, 1))


def middle(case: Case) -> Array:
    """In the middle of the anchor, of the group of anchors, or of all things without any.

    From above, within half the way from the centre to the border of its rectangle; of a group
    it is the rectangle around the footprints.
    """
    anchors = case.anchors or case.scene.objects
    if not anchors:
        return np.zeros(len(case.subjects))
    if len(anchors) == 1:
        box = box_of(anchors[0])
        center, axes, size = box.center[:2], box.rotation[:2, :2], box.size[:2]
    else:
        center, axes, size = smallest_rectangle(
            np.concatenate([footprint(anchor) for anchor in anchors])
        )
    half = np.maximum(size / 2, value("least_reach") / 2)
    off = np.linalg.norm((case.subjects.centers[:, :2] - center) @ axes / half, axis=1)
    return falling(off, value("middle"), 1)


def corner(case: Case) -> Array:
    """At a corner of the anchor: on it, near one of the corners of its outline from above.

    The corners are the points of the outline next to those of its smallest rectangle.
    """
    outline = footprint(case.anchors[0])
    near = falling(corner_value(case), value("corner") * _size(outline), _size(outline))
    return np.minimum(near, _over(case, outline))


def corner_value(case: Case) -> Array:
    """Return the horizontal distance to the nearest corner of the anchor, metres, (N,)."""
    outline = footprint(case.anchors[0])
    center, axes, size = smallest_rectangle(outline)
    rectangle = center + np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * size / 2 @ axes.T
    nearest = np.linalg.norm(outline[None] - rectangle[:, None], axis=2).argmin(axis=1)
    to_each = case.subjects.centers[:, None, :2] - outline[nearest][None]
    return np.asarray(np.linalg.norm(to_each, axis=2).min(axis=1))


def edge(case: Case) -> Array:
    """At the edge of the anchor: on it, near its outline from above."""
    outline = footprint(case.anchors[0])
    near = falling(edge_value(case), value("edge") * _size(outline), _size(outline))
    return np.minimum(near, _over(case, outline))


def edge_value(case: Case) -> Array:
    """Return the horizontal distance to the outline of the anchor, metres, (N,)."""
    return np.abs(depth_inside(case.subjects.centers[:, :2], footprint(case.anchors[0])))


def left_part(case: Case) -> Array:
    """On the left part of the anchor: over it, in the half that lies to the frame's left."""
    return _part(case, case.axes.left)


def right_part(case: Case) -> Array:
    """On the right part of the anchor: over it, in the half that lies to the frame's right."""
    return _part(case, -case.axes.left)


def front_part(case: Case) -> Array:
    """On the front part of the anchor: over it, in the half that lies to the frame's front."""
    return _part(case, case.axes.front)


def back_part(case: Case) -> Array:
    """On the back part of the anchor: over it, in the half that lies away from the front."""
    return _part(case, -case.axes.front)


def free_space(case: Case) -> Array:
    """Free space: clear of all things at that height, and over the anchor where one is named."""
    clearance = free_space_value(case)
    score = 1 - decaying(clearance, value("clearance"))
    if not case.anchors:
        return score
    return np.minimum(score, _over(case, footprint(case.anchors[0])))


def free_space_value(case: Case) -> Array:
    """Return the distance to the nearest thing that stands at the same height, metres, (N,).

    Things wholly below count as support, things well above leave room. Without any thing it is
    the spread of what the clearance may be, one metre.
    """
    bottoms, tops = case.subjects.bottoms, case.subjects.tops
    nearest = np.ones(len(case.subjects))
    named = {anchor.id for anchor in case.anchors}
    for thing in case.scene.objects:
        if thing.id in named:
            continue
        mark = Places.of_objects([thing])
        level = (mark.tops[0] > bottoms + value("contact_blur")) & (
            mark.bottoms[0] < tops + value("headroom")
        )
        others = level & ~case.subjects.among([thing])
        if others.any():
            distances = surface_distances(case.subjects, mark)
            nearest = np.where(others, np.minimum(nearest, distances), nearest)
    return nearest


def _part(case: Case, direction: Array) -> Array:
    along = case.apart(direction)
    share = along.centers / np.maximum(along.theirs, 1e-3)
    best = value("part_middle")
    score = falling(np.abs(share - best), best, 2 * best)
    return np.minimum(score, _over(case, footprint(case.anchors[0])))


def _over(case: Case, outline: Array) -> Array:
    """Return 1 over the outline, 0.5 a little past its border, 0 away from it."""
    past = -depth_inside(case.subjects.centers[:, :2], outline)
    slack = value("outline_slack")
    return falling(past, slack, 3 * slack)


def _size(outline: Array) -> float:
    return max(float(np.sqrt(area(outline))), value("least_reach"))
