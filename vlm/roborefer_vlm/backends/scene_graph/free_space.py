# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Places where something could be put: bare, seen, level, and with room around them.

Places are looked for in the picture, as an answer is a pixel; room is measured in a grid seen
from above, in which whatever was not seen to be bare counts as taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from roborefer_vlm.backends.scene_graph.cloud import noise_m
from roborefer_vlm.backends.scene_graph.shapes import through_opening
from roborefer_vlm.scenes.graph import Array, Scene, SceneObject, Surface
from roborefer_vlm.types import BoolArray, FloatArray

MOST_CANDIDATES = 20_000
MOST_PIXELS = 400_000
CELL_M = 0.005
MOST_CELLS = 800
# Nothing is put closer to a thing or an edge than this.
MARGIN_M = 0.008
# Holes in the depth of a bare surface are bridged over this many pixels.
BRIDGED_PX = 12
# What is higher above a surface does not stand in the way of what is put there.
REACH_M = 0.3
# How far from a level top points of it may lie, beside the noise.
LEVEL_M = 0.003


@dataclass(frozen=True, eq=False)
class SpaceCandidates:
    """Visible bare places, row by row.

    Attributes:
        points: In the scene's frame, shape (N, 3), metres.
        pixels: (u, v) inside the picture, shape (N, 2).
        clearance_m: Distance to whatever is nearest: a thing, an edge, or what was not seen.
        surface_ids: Id of the surface or thing that each lies on, shape (N,).
    """

    points: Array
    pixels: Array
    clearance_m: Array
    surface_ids: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.points)


def space_candidates(
    scene: Scene, surface: Surface | SceneObject | None = None
) -> SpaceCandidates:
    """Return the bare places of a surface, of the top or inside of a thing, or of all surfaces.

    Args:
        scene: With depth; a scene without has no visible places.
        surface: One surface or thing of the scene; None: every surface.

    Returns:
        At most 20,000 places, spread evenly over the picture; possibly none.
    """
    view = _Pixels.of(scene)
    if view is None:
        return _joined([])
    if isinstance(surface, SceneObject):
        return _thinned(_on_thing(scene, view, surface))
    wanted = scene.surfaces if surface is None else [surface]
    return _thinned(_joined([_on_surface(scene, view, one) for one in wanted]))


@dataclass(frozen=True, eq=False)
class _Pixels:
    """Every step-th pixel of the view: depth (rows, columns) and points (rows, columns, 3)."""

    step: int
    depth: FloatArray
    points: Array

    @classmethod
    def of(cls, scene: Scene) -> _Pixels | None:
        if scene.depth_m is None:
            return None
        step = int(np.ceil(np.sqrt(scene.depth_m.size / MOST_PIXELS)))
        depth = scene.depth_m[::step, ::step]
        points = scene.camera.to_scene(_rays(scene, step) * depth.reshape(-1, 1))
        return cls(step, depth, points.reshape(*depth.shape, 3))

    def at(self, v: npt.NDArray[np.int64], u: npt.NDArray[np.int64]) -> Array:
        """Return the pixels (u, v) of the picture, shape (N, 2)."""
        return np.stack([u, v], axis=1).astype(float) * self.step


def _rays(scene: Scene, step: int) -> Array:
    """Return the direction of every step-th pixel with z = 1, optical frame, shape (N, 3)."""
    k = scene.camera.intrinsics
    u, v = np.meshgrid(np.arange(0, k.width, step), np.arange(0, k.height, step))
    rays = np.stack([(u - k.cx) / k.fx, (v - k.cy) / k.fy, np.ones(u.shape)], axis=-1)
    return rays.reshape(-1, 3)


def _on_surface(scene: Scene, view: _Pixels, surface: Surface) -> SpaceCandidates:
    """Return the bare places of a level surface."""
    if surface.mask is None:
        return _joined([])
    bare = _bridged(surface.mask[:: view.step, :: view.step], view.depth == 0)
    v, u = np.nonzero(bare)
    if not len(u):
        return _joined([])
    points = view.points[v, u].copy()
    filled = view.depth[v, u] == 0
    points[filled] = _on_plane(scene, view.at(v, u)[filled], surface.height)
    height = view.points[..., 2] - surface.height
    above = (height > 0.012 + 2 * noise_m(view.depth)) & (height < REACH_M) & (view.depth > 0)
    hulls = [
        o.points
        for o in scene.objects
        if o.points is not None
        and o.box.top > surface.height + 0.003
        and o.box.bottom < surface.height + REACH_M
    ]
    clearance = _clearance(points, view.points[above], hulls)
    return _chosen(points, view.at(v, u), clearance, surface.id)


def _bridged(bare: BoolArray, unmeasured: BoolArray) -> BoolArray:
    """Return bare pixels with the holes in the depth between them, without their rim."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * BRIDGED_PX + 1,) * 2)
    closed = cv2.morphologyEx(bare.astype(np.uint8), cv2.MORPH_CLOSE, kernel) > 0
    whole = (bare | (closed & unmeasured)).astype(np.uint8)
    return np.asarray(cv2.erode(whole, np.ones((3, 3), np.uint8)) > 0)


def _on_plane(scene: Scene, pixels: Array, height: float) -> Array:
    """Return where lines of sight meet a level plane, shape (N, 3)."""
    k = scene.camera.intrinsics
    optical = np.column_stack(
        [(pixels[:, 0] - k.cx) / k.fx, (pixels[:, 1] - k.cy) / k.fy, np.ones(len(pixels))]
    )
    eye = scene.camera.position
    direction = scene.camera.to_scene(optical) - eye
    # A line of sight that rises never meets the plane; such pixels are not bare.
    share = (height - eye[2]) / np.minimum(direction[:, 2], -1e-6)
    return np.asarray(eye + share[:, None] * direction)


def _clearance(points: Array, obstacles: Array, hulls: Sequence[FloatArray]) -> Array:
    """Return the distance of bare points to what is nearest and not bare, shape (N,)."""
    low = points[:, :2].min(axis=0)
    span = float(np.ptp(points[:, :2], axis=0).max())
    cell = max(CELL_M, span / MOST_CELLS)
    shape = tuple(int(x) + 3 for x in np.ptp(points[:, :2], axis=0) / cell)

    def cells(places: npt.ArrayLike) -> npt.NDArray[np.int32]:
        return np.asarray(np.floor((np.asarray(places)[:, :2] - low) / cell) + 1, np.int32)

    at = cells(points)
    grid = np.zeros(shape, np.uint8)
    grid[at[:, 0], at[:, 1]] = 1
    # Seen flatly, rows of pixels lie further apart than cells.
    gap = 2 * int(np.ceil(0.006 / cell)) + 1
    grid = np.asarray(
        cv2.morphologyEx(grid, cv2.MORPH_CLOSE, np.ones((gap, gap), np.uint8)), np.uint8
    )
    if len(obstacles):
        taken = cells(obstacles)
        inside = ((taken >= 0) & (taken < shape)).all(axis=1)
        counts = np.zeros(shape, np.float32)
        np.add.at(counts, (taken[inside, 0], taken[inside, 1]), 1)
        # A single stray point is no obstacle.
        grid[cv2.boxFilter(counts, -1, (3, 3), normalize=False) >= 3] = 0
    for hull in hulls:
        outline = cv2.convexHull(np.ascontiguousarray(hull[:, :2], np.float32))[:, 0]
        cv2.fillConvexPoly(grid, cells(outline)[:, ::-1].copy(), 0)
    distance = cv2.distanceTransform(np.pad(grid, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    return np.asarray(distance[at[:, 0], at[:, 1]], float) * cell


def _on_thing(scene: Scene, view: _Pixels, thing: SceneObject) -> SpaceCandidates:
    """Return the places on top of a thing, or inside it where it is hollow."""
    if thing.mask is None or thing.points is None:
        return _joined([])
    v, u = np.nonzero(thing.mask[:: view.step, :: view.step] & (view.depth > 0))
    points = view.points[v, u]
    if not len(points):
        return _joined([])
    others = [o.points for o in scene.objects if o.support == thing.id and o.points is not None]
    if thing.hollow:
        inside, room = through_opening(points.astype(np.float32), scene.camera.position)
        if inside.any():
            return _chosen(points[inside], view.at(v, u)[inside], room[inside], thing.id)
    level = _plateau(points[:, 2], noise_m(view.depth[v, u]))
    if level is None:
        return _joined([])
    clearance = _clearance(points[level], np.zeros((0, 3)), others)
    return _chosen(points[level], view.at(v, u)[level], clearance, thing.id)


def _plateau(heights: Array, noise: FloatArray) -> BoolArray | None:
    """Return which points lie on a level top, or None for a ridge, a dome or a tip."""
    band = LEVEL_M + noise
    top = float(np.quantile(heights, 0.95))
    top = float(np.median(heights[np.abs(heights - top) < 2 * band]))
    level = np.abs(heights - top) < band
    around = np.abs(heights - top) < 3 * band
    if level.sum() < max(0.6 * around.sum(), 0.1 * len(heights)):
        return None
    return np.asarray(level)


def _chosen(points: Array, pixels: Array, clearance: Array, number: int) -> SpaceCandidates:
    """Return the places that have room."""
    good = clearance > MARGIN_M
    return SpaceCandidates(
        points[good], pixels[good], clearance[good], np.full(int(good.sum()), number, np.int64)
    )


def _joined(parts: Sequence[SpaceCandidates]) -> SpaceCandidates:
    """Return all parts as one."""
    return SpaceCandidates(
        np.concatenate([np.zeros((0, 3)), *(p.points for p in parts)]),
        np.concatenate([np.zeros((0, 2)), *(p.pixels for p in parts)]),
        np.concatenate([np.zeros(0), *(p.clearance_m for p in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(p.surface_ids for p in parts)]),
    )


def _thinned(whole: SpaceCandidates) -> SpaceCandidates:
    """Return at most MOST_CANDIDATES places, spread evenly."""
    step = max(1, -(-len(whole) // MOST_CANDIDATES))
    return SpaceCandidates(
        whole.points[::step],
        whole.pixels[::step],
        whole.clearance_m[::step],
        whole.surface_ids[::step],
    )
