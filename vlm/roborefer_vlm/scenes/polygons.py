# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Convex outlines in the plane: hulls, rectangles, areas, overlaps and distances."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull, QhullError

from roborefer_vlm.scenes.graph import Array


def convex_hull(points: Array) -> Array:
    """Return the corners of the hull, shape (M, 2), counter-clockwise.

    Points that span no area come back as the one or two ends of their line.
    """
    points = np.asarray(points, float).reshape(-1, 2)
    try:
        return np.asarray(points[ConvexHull(points).vertices])
    except (QhullError, ValueError):
        middle = points.mean(axis=0)
        direction = np.linalg.svd(points - middle)[2][0] if len(points) > 1 else np.array([1.0, 0])
        along = points @ direction
        ends = points[[int(along.argmin()), int(along.argmax())]]
        return ends if np.ptp(along) > 0 else ends[:1]


def smallest_rectangle(points: Array) -> tuple[Array, Array, Array]:
    """Return the rectangle of least area around points, shape (N, 2).

    Returns:
        Centre (2,), axes (2, 2) with the directions as columns and right-handed, lengths (2,).
    """
    hull = convex_hull(points)
    edges = np.roll(hull, -1, axis=0) - hull
    lengths = np.linalg.norm(edges, axis=1)
    edges = edges[lengths > 0] / lengths[lengths > 0, None] if lengths.any() else np.eye(2)[:1]
    best: tuple[Array, Array, Array] | None = None
    for x in edges:
        axes = np.column_stack([x, [-x[1], x[0]]])
        along = hull @ axes
        low, high = along.min(axis=0), along.max(axis=0)
        size = high - low
        if best is None or size.prod() < best[2].prod():
            best = axes @ ((low + high) / 2), axes, size
    assert best is not None
    return best


def area(polygon: Array) -> float:
    """Return the area of a polygon, shape (M, 2), counter-clockwise; 0 below three corners."""
    if len(polygon) < 3:
        return 0.0
    x, y = polygon.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def intersection(first: Array, second: Array) -> Array:
    """Cut one convex polygon by another, both counter-clockwise; shape (M, 2), M may be 0.

    Sutherland and Hodgman, "Reentrant polygon clipping", 1974.
    """
    result = first
    for start, end in zip(second, np.roll(second, -1, axis=0), strict=True):
        if not len(result):
            break
        edge = end - start
        side = edge[0] * (result[:, 1] - start[1]) - edge[1] * (result[:, 0] - start[0])
        kept = []
        for i, point in enumerate(result):
            j = (i + 1) % len(result)
            if side[i] >= 0:
                kept.append(point)
            if side[i] * side[j] < 0:
                kept.append(point + (result[j] - point) * side[i] / (side[i] - side[j]))
        result = np.array(kept).reshape(-1, 2)
    return result


def depth_inside(points: Array, polygon: Array) -> Array:
    """Return how far points, shape (N, 2), lie inside a convex polygon; negative is outside.

    The value is the exact distance to the outline, with sign, shape (N,), metres. A polygon of
    one or two corners has no inside.
    """
    starts, ends = polygon, np.roll(polygon, -1, axis=0)
    nearest = np.full(len(points), np.inf)
    inside = np.full(len(points), len(polygon) >= 3)
    for start, end in zip(starts, ends, strict=True):
        edge, offset = end - start, points - start
        length = edge @ edge
        share = np.clip(offset @ edge / length, 0, 1) if length > 0 else np.zeros(len(points))
        gap = offset - share[:, None] * edge
        nearest = np.minimum(nearest, np.hypot(gap[:, 0], gap[:, 1]))
        inside &= edge[0] * offset[:, 1] - edge[1] * offset[:, 0] >= 0
    return np.where(inside, nearest, -nearest)


def deeper_than(points: Array, polygon: Array, least: float) -> npt.NDArray[np.bool_]:
    """Tell which points, shape (N, 2), lie at least so far inside a convex polygon, shape (N,).

    Faster than depth_inside, for many points.

    Args:
        points: x and y, metres.
        polygon: At least three corners, counter-clockwise, none twice, shape (M, 2).
        least: 0 or more metres.
    """
    edges = np.roll(polygon, -1, axis=0) - polygon
    normals = np.column_stack([-edges[:, 1], edges[:, 0]])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    offsets = (polygon * normals).sum(axis=1) + least
    return np.asarray((points @ normals.T >= offsets).all(axis=1))
