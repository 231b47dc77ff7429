# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How near or far things are, and whether they touch."""

from __future__ import annotations

import numpy as np

from roborefer_vlm.scenes.graph import Array, Scene
from roborefer_vlm.scenes.places import UP, Places
from roborefer_vlm.scenes.relations.case import Case
from roborefer_vlm.scenes.relations.containment import footprint_share
from roborefer_vlm.scenes.relations.grading import decaying, falling
from roborefer_vlm.scenes.relations.thresholds import value


def near(case: Case) -> Array:
    """Close to the anchor: the surfaces are no further apart than the reach of both.

    Without an anchor: nearer to the viewer than the median of the scene's things. With a
    distance: no further apart than that.
    """
    if case.distance_m is not None:
        border = max(case.distance_m, value("touch"))
        return falling(separation_value(case), border, 2 * border)
    if not case.anchors:
        return _nearer_than_most(case)
    return decaying(case.gaps, case.reach)


def far(case: Case) -> Array:
    """Not close to the anchor, or to the viewer: 1 minus near; with a distance at least that."""
    return 1 - near(case)


def touch(case: Case) -> Array:
    """Touching: no gap between the surfaces beyond what a depth camera blurs."""
    return decaying(case.gaps, value("touch"))


def far_from(case: Case) -> Array:
    """Separated: not touching, 1 minus touch."""
    return 1 - touch(case)


def beside(case: Case) -> Array:
    """Next to the anchor: near it, at its level, neither over nor under it.

    At its level: the vertical gap is small beside the heights of both. With a distance: that
    far from its surface.
    """
    score = near(case) if case.distance_m is None else distance(case)
    vertical = np.abs(case.apart(UP).sides)
    height = np.maximum(case.subjects.heights, case.marks.heights[0])
    height = np.maximum(height, value("least_reach"))
    return np.minimum(np.minimum(score, falling(vertical, height / 2, height)), _clear(case))


def around(case: Case) -> Array:
    """Around the anchor: near it on any side, but not on, in, over or under it."""
    return np.minimum(near(case), _clear(case))


def distance(case: Case) -> Array:
    """At a distance from the anchor: the surfaces are as far apart as the sentence says."""
    return _as_named(case, distance_value(case))


def separation_value(case: Case) -> Array:
    """Return the distance to the anchor's surface, or to the camera without one, metres, (N,)."""
    return case.gaps if case.anchors else viewer_distances(case.scene, case.subjects)


def distance_value(case: Case) -> Array:
    """Return the distance between the surfaces of subject and anchor, metres, shape (N,)."""
    return case.gaps


def depth(case: Case) -> Array:
    """At a depth: as far from the camera, along its line of sight, as the sentence says.

    With an anchor: as much deeper than the anchor.
    """
    return _as_named(case, depth_value(case))


def depth_value(case: Case) -> Array:
    """Return the depth along the optical axis, or by how much it exceeds the anchor's, metres."""
    depths = depths_of(case.scene, case.subjects)
    return depths - depths_of(case.scene, case.marks)[0] if case.anchors else depths


def depths_of(scene: Scene, places: Places) -> Array:
    """Return the depth of each place's visible middle along the optical axis, (N,), metres."""
    return np.asarray(scene.camera.to_optical(places.visible_centers())[:, 2])


def viewer_distances(scene: Scene, places: Places) -> Array:
    """Return how far each place's visible middle is from the camera, shape (N,), metres."""
    return np.asarray(np.linalg.norm(places.visible_centers() - scene.camera.position, axis=1))


def _nearer_than_most(case: Case) -> Array:
    distances = viewer_distances(case.scene, case.subjects)
    others = distances
    if case.scene.objects:
        others = viewer_distances(case.scene, Places.of_objects(case.scene.objects))
    steepness = value("comparison_steepness")
    ratio = np.maximum(distances, 1e-9) / max(float(np.median(others)), 1e-9)
    return np.asarray(1 / (1 + ratio**steepness))


def _as_named(case: Case, measured: Array) -> Array:
    assert case.distance_m is not None
    named = case.distance_m
    tolerance = max(value("distance_tolerance"), value("distance_share") * abs(named))
    return falling(np.abs(measured - named), tolerance, 3 * tolerance)


def _clear(case: Case) -> Array:
    """Return 1 where subject and anchor do not cover each other from above, 0 where they do."""
    both = footprint_share(case.subjects, case.anchors[0])
    if case.subjects.things:
        back = [footprint_share(case.marks, thing)[0] for thing in case.subjects.things]
        both = np.maximum(both, back)
    return 1 - both
