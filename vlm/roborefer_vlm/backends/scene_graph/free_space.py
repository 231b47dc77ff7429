# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Places where something could be put: bare, measured, level, and not under anything."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from roborefer_vlm.scenes.graph import Array, Scene, SceneObject, Surface

MOST_CANDIDATES = 20_000
CELL_M = 0.005


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
        scene: With depth.
        surface: One surface or thing of the scene; None: every surface.

    Returns:
        At most 20,000 places, spread evenly over the picture; possibly none.
    """
    wanted = list(scene.surfaces) if surface is None else [surface]
    parts = [_of_surface(scene, one) for one in wanted if isinstance(one, Surface)]
    if not parts:
        parts = [_none()]
    whole = SpaceCandidates(
        np.concatenate([p.points for p in parts]),
        np.concatenate([p.pixels for p in parts]),
        np.concatenate([p.clearance_m for p in parts]),
        np.concatenate([p.surface_ids for p in parts]),
    )
    step = -(-len(whole) // MOST_CANDIDATES) or 1
    return SpaceCandidates(
        whole.points[::step],
        whole.pixels[::step],
        whole.clearance_m[::step],
        whole.surface_ids[::step],
    )


def _none() -> SpaceCandidates:
    return SpaceCandidates(np.zeros((0, 3)), np.zeros((0, 2)), np.zeros(0), np.zeros(0, np.int64))


def _of_surface(scene: Scene, surface: Surface) -> SpaceCandidates:
    if surface.mask is None or scene.depth_m is None or not surface.mask.any():
        return _none()
    mask = cv2.erode(surface.mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    v, u = np.nonzero(mask)
    k = scene.camera.intrinsics
    z = scene.depth_m[v, u].astype(float)
    optical = np.stack([(u - k.cx) / k.fx * z, (v - k.cy) / k.fy * z, z], axis=1)
    points = scene.camera.to_scene(optical)
    cells = np.floor((points[:, :2] - points[:, :2].min(0)) / CELL_M).astype(int) + 1
    grid = np.zeros(cells.max(0) + 2, np.uint8)
    grid[tuple(cells.T)] = 1
    grid = cv2.morphologyEx(grid, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    clearance = cv2.distanceTransform(grid, cv2.DIST_L2, 5)[tuple(cells.T)] * CELL_M
    return SpaceCandidates(
        points,
        np.stack([u, v], axis=1).astype(float),
        clearance.astype(float),
        np.full(len(u), surface.id, np.int64),
    )
