# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Distances between boxes and between clouds of points."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from roborefer_vlm.scenes.graph import Array, SceneObject
from roborefer_vlm.scenes.places import Anchor, Places

# A cloud is thinned to this many points: more cost time and change distances by less than a
# millimetre on things of a table top.
_MOST_POINTS = 2000
# Below this a cloud tells less than the box around it.
_FEWEST_POINTS = 30
# Share of points that may be flying pixels between two things.
_STRAY_SHARE = 0.005

_EDGES = [(i, j) for i in range(8) for j in range(i + 1, 8) if (i ^ j) in (1, 2, 4)]


def surface_distances(places: Places, other: Places) -> Array:
    """Return how far the surfaces of N places are from those of the first of other places.

    Between two things with measured surfaces (at least 30 points each) it is the distance of
    those surfaces, as the cloud sees what a box around a curved thing does not; stray points
    are left out. Else it is the exact distance of the boxes. Overlap is 0.

    Returns:
        Shape (N,), metres.
    """
    if places.are_points:
        return point_distances(places.centers, other)
    distances = box_distances(places, other)
    for i, thing in enumerate(places.things):
        found = _cloud_distance(thing, other.things[0]) if other.things else None
        if found is not None:
            distances[i] = found
    return distances


def point_distances(points: Array, other: Places) -> Array:
    """Return the distance of points, shape (N, 3), from the first of other boxes, (N,)."""
    local = np.abs((points - other.centers[0]) @ other.rotations[0])
    return np.asarray(np.linalg.norm(np.maximum(local - other.half_sizes[0], 0), axis=1))


def box_distances(places: Places, other: Places) -> Array:
    """Return the exact distance of N boxes from the first of other boxes, (N,), 0 for overlap.

    The nearest points of two separate boxes are a corner and a face, or two edges.
    """
    corners, others = places.corners(), other.corners()[0]
    to_other = point_distances(corners.reshape(-1, 3), other).reshape(len(places), -1)
    local = np.abs(
        np.einsum("nkj,nji->nki", others[None] - places.centers[:, None], places.rotations)
    )
    outside = np.maximum(local - places.half_sizes[:, None], 0)
    to_places = np.linalg.norm(outside, axis=2)
    result = np.minimum(to_other.min(axis=1), to_places.min(axis=1))
    if corners.shape[1] == len(others) == 8:
        result = np.minimum(result, _edge_distances(corners, others))
    result[boxes_overlap(places, other)] = 0
    return np.asarray(result)


def boxes_overlap(places: Places, other: Places) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell which of N boxes overlap the first of other boxes, shape (N,); touching counts.

    Separating axes: the faces of both and the products of their edges, 15 in all.
    """
    n = len(places)
    mine = places.rotations.transpose(0, 2, 1)
    theirs = np.broadcast_to(other.rotations[0].T, (n, 3, 3))
    a, b = mine[:, :, None], theirs[:, None]
    # As np.cross, which is slow for a few vectors.
    turned = (a[..., i] * b[..., j] - a[..., j] * b[..., i] for i, j in ((1, 2), (2, 0), (0, 1)))
    products = np.stack(list(turned), axis=-1).reshape(n, 9, 3)
    axes = np.concatenate([mine, theirs, products], axis=1)
    lengths = np.linalg.norm(axes, axis=2, keepdims=True)
    # Parallel edges give no axis; a zero axis separates nothing.
    axes = np.where(lengths > 1e-9, axes / np.maximum(lengths, 1e-9), 0)
    offset = np.abs(np.einsum("nai,ni->na", axes, other.centers[0] - places.centers))
    half = np.abs(np.einsum("nai,nij->naj", axes, places.rotations)) * places.half_sizes[:, None]
    half_other = np.abs(axes @ other.rotations[0]) * other.half_sizes[0]
    return np.asarray((offset <= half.sum(axis=2) + half_other.sum(axis=2) + 1e-12).all(axis=1))


def _edge_distances(corners: Array, others: Array) -> Array:
    """Return the least distance between the edges of N boxes and those of one, shape (N,)."""
    first, second = np.array(_EDGES).T
    p = corners[:, first][:, :, None]
    d = (corners[:, second] - corners[:, first])[:, :, None]
    q = others[first][None, None]
    e = (others[second] - others[first])[None, None]
    r = p - q
    dd, ee, de = (d * d).sum(-1), (e * e).sum(-1), (d * e).sum(-1)
    dr, er = (d * r).sum(-1), (e * r).sum(-1)
    # Nearest points of two lines, each clamped to its segment in turn (Ericson, "Real-Time
    # Collision Detection", 2005, section 5.1.9). Ends are covered by the corners.
    den = dd * ee - de * de
    s = np.clip(np.where(den > 1e-15, (de * er - dr * ee) / np.maximum(den, 1e-15), 0), 0, 1)
    t = np.clip(np.where(ee > 0, (de * s + er) / np.maximum(ee, 1e-15), 0), 0, 1)
    s = np.clip(np.where(dd > 0, (de * t - dr) / np.maximum(dd, 1e-15), 0), 0, 1)
    gap = r + s[..., None] * d - t[..., None] * e
    return np.asarray(np.linalg.norm(gap, axis=-1).min(axis=(1, 2)))


def _cloud_distance(first: Anchor, second: Anchor) -> float | None:
    clouds = [_cloud(first), _cloud(second)]
    if clouds[0] is None or clouds[1] is None:
        return None
    ways = [
        np.quantile(cKDTree(b).query(a)[0], _STRAY_SHARE) for a, b in (clouds, reversed(clouds))
    ]
    return float(max(ways))


def _cloud(thing: Anchor) -> Array | None:
    if not isinstance(thing, SceneObject) or thing.points is None:
        return None
    if len(thing.points) < _FEWEST_POINTS:
        return None
    step = -(-len(thing.points) // _MOST_POINTS)
    return np.asarray(thing.points[::step], float)
