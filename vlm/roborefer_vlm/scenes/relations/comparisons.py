# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Taller, bigger and wider: the size of things compared."""

from __future__ import annotations

import numpy as np

from roborefer_vlm.scenes.graph import Array
from roborefer_vlm.scenes.places import Places
from roborefer_vlm.scenes.relations.case import Case
from roborefer_vlm.scenes.relations.thresholds import value


def heights(places: Places) -> Array:
    """Return the vertical extent of each, as it stands or lies there, metres, (N,)."""
    return places.heights


def sizes(places: Places) -> Array:
    """Return the side of the cube with the same surface as each box, metres, (N,).

    Unlike a volume it tells flat things apart.
    """
    a, b, c = places.half_sizes.T * 2
    return np.asarray(np.sqrt((a * b + b * c + c * a) / 3))


def widths(places: Places) -> Array:
    """Return the longer side of each footprint, metres, (N,); the same from every view."""
    return np.asarray(2 * places.half_sizes[:, :2].max(axis=1))


def lengths(places: Places) -> Array:
    """Return the longest side of each box, metres, (N,)."""
    return np.asarray(2 * places.half_sizes.max(axis=1))


def thicknesses(places: Places) -> Array:
    """Return the shortest side of each box, metres, (N,)."""
    return np.asarray(2 * places.half_sizes.min(axis=1))


def tall(case: Case) -> Array:
    """Taller than every anchor, or than the median of the scene: vertical extents compared."""
    return _more(case, heights(case.subjects), heights(_others(case)))


def short(case: Case) -> Array:
    """Shorter than every anchor, or than the median of the scene: vertical extents compared."""
    return _less(case, heights(case.subjects), heights(_others(case)))


def big(case: Case) -> Array:
    """Bigger than every anchor, or than the median of the scene: surfaces of boxes compared."""
    return _more(case, sizes(case.subjects), sizes(_others(case)))


def small(case: Case) -> Array:
    """Smaller than every anchor, or than the median of the scene: surfaces of boxes compared."""
    return _less(case, sizes(case.subjects), sizes(_others(case)))


def wide(case: Case) -> Array:
    """Wider than every anchor, or than the median: longer sides of footprints compared."""
    return _more(case, widths(case.subjects), widths(_others(case)))


def thin(case: Case) -> Array:
    """Thinner than every anchor, or than the median: longer sides of footprints compared."""
    return _less(case, widths(case.subjects), widths(_others(case)))


def _others(case: Case) -> Places:
    return case.marks if case.anchors else Places.of_objects(case.scene.objects)


def _more(case: Case, mine: Array, others: Array) -> Array:
    """Return 0.5 for equal, towards 1 for larger; with anchors the largest counts."""
    return _compared(mine, (others.max() if case.anchors else _median(others)))


def _less(case: Case, mine: Array, others: Array) -> Array:
    return 1 - _compared(mine, (others.min() if case.anchors else _median(others)))


def _median(others: Array) -> float:
    return float(np.median(others)) if len(others) else 0.0


def _compared(mine: Array, other: float) -> Array:
    least = value("least_size")
    ratio = np.maximum(other, least) / np.maximum(mine, least)
    return np.asarray(1 / (1 + ratio ** value("comparison_steepness")))
