# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""On, under, inside and outside."""

from __future__ import annotations

import numpy as np

from roborefer_vlm.scenes.graph import Array, Scene, SceneObject
from roborefer_vlm.scenes.places import Anchor, Places, footprint
from roborefer_vlm.scenes.polygons import area, convex_hull, depth_inside, intersection
from roborefer_vlm.scenes.relations.case import Case
from roborefer_vlm.scenes.relations.grading import falling
from roborefer_vlm.scenes.relations.thresholds import value


def on(case: Case) -> Array:
    """On the anchor: it carries the subject.

    The subject's bottom meets the anchor's top, and the larger part of its footprint lies over
    the anchor. What perception says about support counts more: a thing whose support is the
    anchor scores 1, one that stands on something on the anchor less, and one that is known to
    stand elsewhere is on the anchor only if the boxes leave no doubt.
    """
    anchor = case.anchors[0]
    height = case.subjects.bottoms - case.marks.tops[0]
    tolerance = np.clip(case.subjects.heights / 2, value("point_contact"), value("contact"))
    score = np.minimum(
        falling(np.abs(height), tolerance, 3 * tolerance),
        footprint_share(case.subjects, anchor),
    )
    for i, thing in enumerate(case.subjects.things):
        if not isinstance(thing, SceneObject) or thing.support is None:
            continue
        steps = _support_steps(case.scene, thing, anchor.id)
        if steps == 1:
            score[i] = 1
        elif steps > 1:
            score[i] = value("indirect_support")
        else:
            score[i] *= value("other_support")
    return score


def under(case: Case) -> Array:
    """Under the anchor: lower, with one over the larger part of the other's footprint.

    A thing that carries the anchor is under it.
    """
    anchor = case.anchors[0]
    height = np.maximum(case.subjects.heights, case.marks.heights[0])
    tolerance = np.clip(height / 2, value("point_contact"), value("contact"))
    share = footprint_share(case.subjects, anchor)
    for i, thing in enumerate(case.subjects.things):
        share[i] = max(share[i], footprint_share(case.marks, thing)[0])
    sunk = case.subjects.tops - case.marks.bottoms[0]
    score = np.minimum(falling(sunk, tolerance, 3 * tolerance), share)
    # More than rounding, so that a sheet is not under itself.
    lower = case.subjects.centers[:, 2] < case.marks.centers[0, 2] - 1e-6
    score = np.where(lower, score, 0)
    if isinstance(anchor, SceneObject) and anchor.support is not None:
        carries = [thing.id == anchor.support for thing in case.subjects.things]
        score[: len(carries)][carries] = 1
    return score


def inside(case: Case) -> Array:
    """Inside the anchor: within its sides from above, and below its rim.

    What sticks out of a hollow thing is inside when its lowest visible part comes down to about
    the rim; in a thing that is not known to be hollow more than half of the subject has to be
    below the top. Where the box of a hollow thing misses the subject, the picture helps: visible
    pixels within the outline of the container's pixels, close to it in space, count up to a limit.
    """
    anchor = case.anchors[0]
    top, bottom = case.marks.tops[0], case.marks.bottoms[0]
    tolerance = max(value("rim"), value("rim_share") * (top - bottom))
    over_floor = falling(bottom - case.subjects.centers[:, 2], tolerance, 3 * tolerance)
    hollow = isinstance(anchor, SceneObject) and anchor.hollow
    if hollow:
        depth = falling(case.subjects.bottoms - top, tolerance, 3 * tolerance)
    else:
        heights = np.maximum(case.subjects.heights, 1e-3)
        depth = 1 - np.clip((case.subjects.tops - top) / heights, 0, 1)
    fits = np.minimum(depth, over_floor)
    score = np.minimum(fits, footprint_share(case.subjects, anchor))
    if hollow and case.subjects.things:
        score = np.maximum(score, np.minimum(fits, _inside_by_picture(case)))
    return score


def outside(case: Case) -> Array:
    """Outside the anchor: 1 minus inside."""
    return 1 - inside(case)


def footprint_share(places: Places, anchor: Anchor) -> Array:
    """Return which share of each place's footprint lies over that of a thing, shape (N,).

    A place without area counts as 1 or 0 by its centre, within a centimetre of the outline.
    """
    outline = footprint(anchor)
    if places.are_points:
        return (depth_inside(places.centers[:, :2], outline) >= 0).astype(float)
    by_center = depth_inside(places.centers[:, :2], outline) >= -value("outline_slack")
    shares = by_center.astype(float)
    if len(outline) < 3:
        return shares
    for i, thing in enumerate(places.things):
        own = footprint(thing)
        if area(own) > 1e-9:
            shares[i] = min(area(intersection(own, outline)) / area(own), 1.0)
    return shares


def _support_steps(scene: Scene, thing: SceneObject, wanted: int) -> int:
    """Return after how many supports the wanted one carries a thing; 0: it does not."""
    carriers = {other.id: other.support for other in scene.objects}
    current, seen = thing.support, {thing.id}
    steps = 1
    while current is not None and current not in seen:
        if current == wanted:
            return steps
        seen.add(current)
        current = carriers.get(current)
        steps += 1
    return 0


def _inside_by_picture(case: Case) -> Array:
    """Return the share of visible pixels within the container's outline in the picture."""
    container = case.anchors[0]
    assert isinstance(container, SceneObject)
    score = np.zeros(len(case.subjects))
    if container.mask is None or not container.mask.any():
        return score
    outline = convex_hull(np.argwhere(container.mask)[:, ::-1].astype(float))
    radius = float(case.marks.half_sizes[0].max())
    away = -depth_inside(case.subjects.centers[:, :2], footprint(container))
    close = falling(away, max(radius / 2, 1e-3), max(radius, 2e-3))
    for i, thing in enumerate(case.subjects.things):
        if isinstance(thing, SceneObject) and thing.mask is not None and thing.mask.any():
            pixels = np.argwhere(thing.mask)[:, ::-1]
            score[i] = (depth_inside(pixels.astype(float), outline) >= 0).mean()
    return np.minimum(np.minimum(score, value("picture_containment")), close)
