# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Level surfaces of a view: the main one, and shelves, tables and floors beside it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from roborefer_vlm.backends.scene_graph.cloud import noise_m
from roborefer_vlm.backends.scene_graph.view import View
from roborefer_vlm.scenes.graph import Array
from roborefer_vlm.types import BoolArray, FloatArray

# Cosine of the steepest slope that still is level, as measured over a few pixels.
LEVEL = 0.9
CELL_M = 0.01
# Points that an outline is drawn around.
MOST_OUTLINED = 40_000
# A smaller level patch is the top of a thing.
SMALLEST_SURFACE_M2 = 0.06
SMALLEST_SHARE = 0.01
# Beyond this a level patch is no place that this view is about.
FARTHEST_SURFACE_M = 4.0
# Nobody looks down on a table from higher.
HIGHEST_EYE_OVER_TABLE_M = 1.25
LOWEST_TABLE_M = 0.3


@dataclass(frozen=True, eq=False)
class Level:
    """A level surface at the working resolution.

    Attributes:
        name: What people would call it.
        height: z, metres.
        outline: Convex outline, shape (N, 2), counter-clockwise, metres.
        mask: Its visible bare pixels, shape (rows, columns).
    """

    name: str
    height: float
    outline: Array
    mask: BoolArray


def find_levels(view: View, things: BoolArray) -> list[Level]:
    """Return the level surfaces of a view, the main one first; none if there is no ground.

    Args:
        view: The look at the scene.
        things: Pixels of known things at the working resolution, which are no surface.
    """
    if view.ground.plane is None:
        return []
    main = main_level(view, things)
    if main is None:
        return []
    z = view.points[..., 2]
    patch = view.cloud.valid & ~things & ~main.mask & ~view.cloud.edges & (view.upness > LEVEL)
    patch &= (np.abs(z) > 3 * view.tolerance) & (view.cloud.depth < FARTHEST_SURFACE_M)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        patch.astype(np.uint8), connectivity=4
    )
    least = SMALLEST_SHARE * labels.size
    found: list[tuple[float, BoolArray]] = []
    for label in range(1, count):
        if stats[label, cv2.CC_STAT_AREA] < least:
            continue
        region = labels == label
        height = float(np.median(z[region]))
        region &= np.abs(z - height) < 2 * view.tolerance
        if region.sum() >= least:
            _join(found, height, region, view)
    others = [
        Level(_name(height), height, outline_of(view.points[region]), region)
        for height, region in found
        if covered_area(view.points[region]) > SMALLEST_SURFACE_M2
    ]
    return [main, *sorted(others, key=lambda level: -int(level.mask.sum()))]


def main_level(view: View, things: BoolArray) -> Level | None:
    """Return the bare part of the main surface, without what lies in its plane elsewhere."""
    near = np.abs(view.points[..., 2]) < view.tolerance
    bare = view.cloud.valid & ~things & near & ((view.upness > 0.8) | (view.upness == 0))
    if np.count_nonzero(bare) < 30:
        return None
    points = view.points[bare]
    grid, cells = _grid(points)
    dense = (cv2.boxFilter(grid, -1, (3, 3), normalize=False) >= 3).astype(np.uint8)
    joined = cv2.morphologyEx(dense, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    _, labels = cv2.connectedComponents(joined)
    at = labels[cells[:, 0], cells[:, 1]]
    sizes = np.bincount(at)
    sizes[0] = 0
    if not sizes.any():
        return None
    # A thing that stands across the view may split its surface.
    kept = np.flatnonzero(sizes > 0.1 * sizes.max())
    mask = np.zeros_like(bare)
    mask[bare] = np.isin(at, kept)
    eye = float(view.camera.position[2])
    name = "floor" if eye > HIGHEST_EYE_OVER_TABLE_M else "table"
    return Level(name, 0.0, outline_of(view.points[mask]), mask)


def outline_of(points: FloatArray) -> Array:
    """Return the convex outline of points, shape (N, 3), from above, without stray ones."""
    points = points[:: max(1, len(points) // MOST_OUTLINED)]
    grid, cells = _grid(points)
    dense = cv2.boxFilter(grid, -1, (3, 3), normalize=False) >= 3
    good = dense[cells[:, 0], cells[:, 1]]
    flat = np.ascontiguousarray((points[good] if good.sum() >= 3 else points)[:, :2], np.float32)
    hull = cv2.convexHull(flat, clockwise=False)[:, 0].astype(float)
    return np.asarray(hull)


def _grid(points: FloatArray) -> tuple[FloatArray, np.ndarray]:
    """Return which cells hold points, and the cell of each point, shape (N, 2)."""
    low = points[:, :2].min(0)
    # Distant strays must not make the grid large.
    cells = np.minimum(((points[:, :2] - low) / CELL_M).astype(int) + 1, 1500)
    grid = np.zeros(cells.max(0) + 2, np.float32)
    grid[cells[:, 0], cells[:, 1]] = 1
    return grid, cells


def covered_area(points: FloatArray) -> float:
    """Return the area that points cover from above, square metres."""
    grid, _ = _grid(points)
    closed = cv2.morphologyEx(grid, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return float(closed.sum()) * CELL_M**2


def _join(
    found: list[tuple[float, BoolArray]], height: float, region: BoolArray, view: View
) -> None:
    """Add a patch to the surface of the same height, or as a new one."""
    z = view.points[..., 2]
    # A distant floor is measured in patches of different heights.
    apart = 0.02 + 4 * float(noise_m(np.median(view.cloud.depth[region])))
    for i, (other, mask) in enumerate(found):
        if abs(other - height) < apart:
            both = mask | region
            found[i] = (float(np.median(z[both])), both)
            return
    found.append((height, region))


def _name(height: float) -> str:
    """Return what a surface is called that is this much higher than the main one."""
    if height < -LOWEST_TABLE_M:
        return "floor"
    return "shelf" if height > 0 else "surface"
