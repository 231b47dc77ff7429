# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Corners and edges of a surface by the names that somebody gives them who looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from roborefer_vlm.scenes.frames import viewer_axes
from roborefer_vlm.scenes.graph import Array, Scene, Surface
from roborefer_vlm.scenes.places import footprint
from roborefer_vlm.scenes.polygons import smallest_rectangle
from roborefer_vlm.scenes.program import PartName, Side
from roborefer_vlm.scenes.relations import Relation
from roborefer_vlm.types import BoolArray

# An edge is the left one if its outward direction is within 25 degrees of the viewer's left.
_ALIGNED = float(np.cos(np.deg2rad(25)))
# A corner is a left one if that much of its direction from the middle is to the left.
_LEAST_SHARE = 0.4
# A place is at one edge or corner and not at another if the other is farther by this factor.
_FARTHER = 1.5
# So far beyond the picture's border a corner may be, as a share of its size.
_OUTSIDE = 0.15


@dataclass(frozen=True, eq=False)
class TablePart:
    """An edge or a corner with its name.

    Attributes:
        name: EDGE or CORNER.
        sides: Which one, as the viewer says, such as (FAR, LEFT).
        relation: What a place there is to the surface: EDGE or CORNER.
        index: Number of the edge or corner of the surface's rectangle.
        corners: Of the rectangle, counter-clockwise, shape (4, 2), metres.
    """

    name: PartName
    sides: tuple[Side, ...]
    relation: Relation
    index: int
    corners: Array

    def owns(self, points: Array) -> BoolArray:
        """Tell which points, shape (N, 3), are at this edge or corner and not at another, (N,)."""
        if self.name is PartName.CORNER:
            away = np.linalg.norm(points[:, None, :2] - self.corners[None], axis=2)
        else:
            ends = np.roll(self.corners, -1, axis=0)
            along = (ends - self.corners) / np.linalg.norm(
                ends - self.corners, axis=1, keepdims=True
            )
            offset = points[:, None, :2] - self.corners[None]
            away = np.abs(along[:, 0] * offset[..., 1] - along[:, 1] * offset[..., 0])
        others = np.delete(away, self.index, axis=1).min(axis=1)
        return np.asarray(others >= _FARTHER * away[:, self.index])


def is_framed(scene: Scene, surface: Surface) -> bool:
    """Tell whether all corners of a surface are in the picture, or just outside it.

    Else nobody who sees the picture knows where its middle is.
    """
    corners = np.column_stack(
        [footprint(surface), np.full(len(footprint(surface)), surface.height)]
    )
    pixels, _ = scene.camera.project(corners)
    k = scene.camera.intrinsics
    size = np.array([k.width, k.height])
    inside = (pixels >= -_OUTSIDE * size) & (pixels <= (1 + _OUTSIDE) * size)
    return bool(inside.all())


def table_parts(scene: Scene, surface: Surface) -> Iterator[TablePart]:
    """Yield the edges and corners of a surface that have a clear name for the viewer.

    Corners, and the middle of edges, lie in the picture.
    """
    center, axes, size = smallest_rectangle(footprint(surface))
    corners = center + np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * size / 2 @ axes.T
    view = viewer_axes(scene.camera)
    toward = {
        Side.LEFT: view.left[:2],
        Side.RIGHT: -view.left[:2],
        Side.NEAR: view.front[:2],
        Side.FAR: -view.front[:2],
    }
    levelled = np.column_stack([corners, np.full(4, surface.height)])
    middles = (levelled + np.roll(levelled, -1, axis=0)) / 2
    for index in range(4):
        middle = (corners[index] + corners[(index + 1) % 4]) / 2 - center
        outward = middle / np.linalg.norm(middle)
        for side, direction in toward.items():
            if outward @ direction >= _ALIGNED and _in_picture(scene, middles[index]):
                yield TablePart(PartName.EDGE, (side,), Relation.EDGE, index, corners)
        away = corners[index] - center
        away = away / np.linalg.norm(away)
        sides = tuple(
            side
            for side in (Side.NEAR, Side.FAR, Side.LEFT, Side.RIGHT)
            if away @ toward[side] >= _LEAST_SHARE
        )
        if len(sides) == 2 and _in_picture(scene, levelled[index]):
            yield TablePart(PartName.CORNER, sides, Relation.CORNER, index, corners)


def _in_picture(scene: Scene, point: Array) -> bool:
    pixels, _ = scene.camera.project(point[None])
    k = scene.camera.intrinsics
    u, v = pixels[0]
    return bool(0 <= u < k.width and 0 <= v < k.height)
