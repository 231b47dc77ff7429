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
    edges = _turned(hull) - hull
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
    after = _turned(polygon).T
    return float((x * after[1] - y * after[0]).sum() / 2)


def intersection(first: Array, second: Array) -> Array:
    """Cut one convex polygon by another, both counter-clockwise; shape (M, 2), M may be 0.

    Sutherland and Hodgman, "Reentrant polygon clipping", 1974.
    """
    # Outlines have a few corners, for which plain numbers are faster than arrays.
    result: list[tuple[float, float]] = [(x, y) for x, y in first.tolist()]
    corners = second.tolist()
    for (start_x, start_y), (end_x, end_y) in zip(corners, corners[1:] + corners[:1], strict=True):
        if not result:
            break
        edge_x, edge_y = end_x - start_x, end_y - start_y
        sides = [edge_x * (y - start_y) - edge_y * (x - start_x) for x, y in result]
        kept = []
        for i, (x, y) in enumerate(result):
            side, after = sides[i], sides[i + 1 - len(result)]
            if side >= 0:
                kept.append((x, y))
            if side * after < 0:
                next_x, next_y = result[i + 1 - len(result)]
                parts = side - after
                kept.append((x + (next_x - x) * side / parts, y + (next_y - y) * side / parts))
        result = kept
    return np.array(result, float).reshape(-1, 2)


def depth_inside(points: Array, polygon: Array) -> Array:
    """Return how far points, shape (N, 2), lie inside a convex polygon; negative is outside.

    The value is the exact distance to the outline, with sign, shape (N,), metres. A polygon of
    one or two corners has no inside.
    """
    # Columns of their own, each in one piece, are faster than pairs.
    x, y = np.ascontiguousarray(np.asarray(points, float).T)
    squares = np.full(len(x), np.inf)
    inside = np.full(len(x), len(polygon) >= 3)
    corners = polygon.tolist()
    for (start_x, start_y), (end_x, end_y) in zip(corners, corners[1:] + corners[:1], strict=True):
        edge_x, edge_y = end_x - start_x, end_y - start_y
        off_x, off_y = x - start_x, y - start_y
        inside &= edge_x * off_y >= edge_y * off_x
        length = edge_x * edge_x + edge_y * edge_y
        if length > 0:
            share = (off_x * edge_x + off_y * edge_y) / length
            share = np.minimum(np.maximum(share, 0), 1)
            off_x = off_x - share * edge_x
            off_y = off_y - share * edge_y
        squares = np.minimum(squares, off_x * off_x + off_y * off_y)
    nearest = np.sqrt(squares)
    return np.asarray(np.where(inside, nearest, -nearest))


def deeper_than(points: Array, polygon: Array, least: float) -> npt.NDArray[np.bool_]:
    """Tell which points, shape (N, 2), lie at least so far inside a convex polygon, shape (N,).

    Faster than depth_inside, for many points.

    Args:
        points: x and y, metres.
        polygon: At least three corners, counter-clockwise, none twice, shape (M, 2).
        least: 0 or more metres.
    """
    edges = _turned(polygon) - polygon
    normals = np.column_stack([-edges[:, 1], edges[:, 0]])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    offsets = (polygon * normals).sum(axis=1) + least
    return np.asarray((points @ normals.T >= offsets).all(axis=1))


def _turned(polygon: Array) -> Array:
    """Return the corner after each corner, shape (M, 2); as np.roll, but fast for a few."""
    return np.concatenate([polygon[1:], polygon[:1]])
