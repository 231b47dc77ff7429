# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Free space: visible places where something can be put, with real clearance all around.

After RefSpatial's recipe for vacant space (arXiv 2506.04308, 3D data): support platform,
obstacles by footprint and height, a search area per word, visibility by depth. Other than there,
clearance is a distance in metres that every place keeps, nothing hollow is guessed from volume
alone, what the depth shows is an obstacle even where nobody annotated it, and the answer is a
place at which the words are true beyond doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from roborefer_vlm.data.platforms import LEAST_SHARE, Platform
from roborefer_vlm.data.search_areas import UNDERSIDES, Area, areas_of
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.graph import Array, Scene, SceneObject
from roborefer_vlm.scenes.places import footprint
from roborefer_vlm.scenes.polygons import area as area_of
from roborefer_vlm.scenes.polygons import deeper_than, intersection
from roborefer_vlm.scenes.relations import Relation
from roborefer_vlm.scenes.relations.sight import visible
from roborefer_vlm.scenes.relations.thresholds import value
from roborefer_vlm.types import BoolArray

# Cells of the map from above are this small, or larger where an area would need too many.
LEAST_CELL_M = 0.003
MOST_CELLS = 12_000
# Of many places this many are drawn.
MOST_POINTS = 1000
# Less than this is a crack, not a place to point at.
LEAST_AREA_M2 = 2e-4
# A box that much larger than the anchor that it encloses is taken as hollow (RefSpatial).
HOLLOW_RATIO = 4.236
# How often, and from how far, its neighbours move the answer.
_PULLS = 4
_PULL_M = 0.04
# Pixels of the depth map that are looked at for obstacles.
_MOST_PIXELS = 80_000


@dataclass(frozen=True, eq=False)
class Spots:
    """Visible free places; empty with a reason where there are none.

    Attributes:
        points: Scene's frame, on the platform, metres, shape (N, 3).
        pixels: (u, v) of the same places, shape (N, 2).
        best: Index of the answer: a clear one amid others, near the mean of all clear ones.
        clear: Where the words are true beyond doubt, shape (N,); else they merely hold.
        clearance_m: Room around what is put there, a lower bound, metres, shape (N,).
        platform: Id of the surface or thing that they lie on; None: none was found.
        ignored: Ids of what is not in the way: the platform and what carries it, what is overhead
            of a place below it, and what encloses an anchor, as a shelf does.
        reason: Why there are none, a few fixed words; "" if there are.
    """

    points: Array = field(default_factory=lambda: np.zeros((0, 3)))
    pixels: Array = field(default_factory=lambda: np.zeros((0, 2)))
    best: int = 0
    clear: BoolArray = field(default_factory=lambda: np.zeros(0, bool))
    clearance_m: Array = field(default_factory=lambda: np.zeros(0))
    platform: int | None = None
    ignored: frozenset[int] = frozenset()
    reason: str = ""

    def __len__(self) -> int:
        return len(self.points)


class FreeSpace:
    """Finds places on a scene's platforms where something can be put.

    Args:
        scene: With boxes in a gravity-aligned frame, metres. Its `depth_m` decides what is seen
            and what is in the way, as far as there is any; without it the boxes do.
        clearance_m: Distance that what is put there keeps from everything else.
    """

    def __init__(self, scene: Scene, clearance_m: float = 0.02) -> None:
        self.scene = scene
        self.clearance_m = clearance_m
        # By platform: what the depth shows above it. By what is ignored: pixels of the others.
        self._layers: dict[int, Array] = {}
        self._covers: dict[frozenset[int], BoolArray] = {}

    def spots(
        self,
        constraints: Sequence[tuple[Relation, tuple[int, ...]]],
        rng: np.random.Generator,
        footprint_m: float = 0.06,
        *,
        frame: Frame = Frame.VIEWER,
        distance_m: float | None = None,
    ) -> Spots:
        """Return free places for which all constraints hold.

        Args:
            constraints: Relations of the place to anchors, by their ids; at least one.
            rng: Draws the places.
            footprint_m: Diameter of what is to be put there; it stands on the platform wholly.
            frame: Whose left, right, front and behind.
            distance_m: Named distance from the anchor of the first constraint.

        Returns:
            At most 1000 places; none with one of the reasons "no support", "several supports",
            "no room", "hidden" and "unclear".

        Raises:
            QueryError: A relation marks out no free space, an id is unknown, or the frame does
                not suit the anchor.
        """
        areas = areas_of(self.scene, constraints, frame, distance_m, footprint_m / 2)
        platforms = [found for area in areas for found in area.platforms()]
        ids = {found.id for found in platforms if found is not None}
        if not ids or None in platforms:
            return Spots(reason="no support")
        if len(ids) > 1:
            return Spots(reason="several supports")
        on = next(found for found in platforms if found is not None)
        ignored = self._not_in_the_way(areas, on)
        points, room, cell = self._free(areas, on, ignored, footprint_m, rng)
        least = max(int(LEAST_AREA_M2 / cell**2), 1)
        if len(points) < least:
            return Spots(platform=on.id, reason="no room")
        seen, pixels = visible(self.scene, points, ignored=ignored)
        seen[seen] = ~self._covered(ignored)[tuple(np.rint(pixels[seen]).astype(int).T[::-1])]
        chosen = np.flatnonzero(seen)
        if len(chosen) < least:
            return Spots(platform=on.id, reason="hidden")
        chosen = np.sort(rng.permutation(chosen)[:MOST_POINTS])
        points, pixels, room = points[chosen], pixels[chosen], room[chosen]
        clear = np.logical_and.reduce([area.clear(points) for area in areas])
        if not clear.any():
            return Spots(platform=on.id, reason="unclear")
        best = _middle(points, clear)
        return Spots(points, pixels, best, clear, room, on.id, ignored)

    def _free(
        self,
        areas: Sequence[Area],
        on: Platform,
        ignored: frozenset[int],
        footprint_m: float,
        rng: np.random.Generator,
    ) -> tuple[Array, Array, float]:
        """Return free places on a grid from above, their clearance and the grid's cell size."""
        outline = on.outline
        for area in areas:
            shape = area.outline()
            outline = outline if shape is None else intersection(outline, shape)
        if len(outline) < 3:
            return np.zeros((0, 3)), np.zeros(0), 1.0
        low, high = outline.min(axis=0), outline.max(axis=0)
        cell = max(LEAST_CELL_M, float(np.sqrt(np.prod(high - low) / MOST_CELLS)))
        # A random phase, so that places of different questions do not share a lattice.
        columns, rows = np.ceil((high - low) / cell).astype(int) + 1
        start = low - cell * rng.random(2)
        x, y = np.meshgrid(start[0] + cell * np.arange(columns), start[1] + cell * np.arange(rows))
        points = np.column_stack([x.ravel(), y.ravel(), np.full(x.size, on.height)])
        inside = deeper_than(points[:, :2], on.outline, footprint_m / 2)
        for area in areas:
            inside &= area.holds(points)
        points = points[inside]
        reach = footprint_m / 2 + self.clearance_m
        free, origin = self._room(ignored, on, start - reach, start + reach + (high - low), cell)
        column, row = np.rint((points[:, :2] - origin) / cell).astype(int).T
        room = free[row, column] - footprint_m / 2
        roomy = room >= self.clearance_m
        return points[roomy], room[roomy], cell

    def _room(
        self, ignored: frozenset[int], on: Platform, low: Array, high: Array, cell: float
    ) -> tuple[Array, Array]:
        """Return how far each node of a grid is from the next obstacle, and where it begins.

        Distances, shape (rows, columns), are never too large: what rasterising may add is taken
        off. Row is y, column is x.
        """
        # Two cells more, for rounding and for the border.
        origin = low - 2 * cell
        columns, rows = np.ceil((high - low) / cell).astype(int) + 5
        empty = np.ones((int(rows), int(columns)), np.uint8)
        for obstacle in self._obstacles(ignored, on):
            corners = np.rint(16 * (footprint(obstacle) - origin) / cell).astype(np.int32)
            cv2.fillPoly(empty, [corners], 0, shift=4)
        cells = np.rint((self._standing(on) - origin) / cell).astype(int)
        cells = cells[((cells >= 0) & (cells < (columns, rows))).all(axis=1)]
        empty[cells[:, 1], cells[:, 0]] = 0
        # Nothing is known beyond the map.
        empty[[0, -1]] = 0
        empty[:, [0, -1]] = 0
        distances = cv2.distanceTransform(empty, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        return np.asarray(cell * (distances - np.sqrt(2)), float), origin

    def _obstacles(self, ignored: frozenset[int], on: Platform) -> list[SceneObject]:
        """Return the things that reach into the layer above a platform."""
        return [
            thing
            for thing in self.scene.objects
            if thing.id not in ignored
            and thing.box.top > on.height + value("contact_blur")
            and thing.box.bottom < on.height + value("headroom")
        ]

    def _not_in_the_way(self, areas: Sequence[Area], on: Platform) -> frozenset[int]:
        """Return the ids of the platform, of what is overhead, and of what encloses an anchor."""
        ignored = {on.id} | {t.id for t in self.scene.objects if _carries(t, on)}
        for area in areas:
            if area.relation in UNDERSIDES:
                ignored.add(area.anchors[0].id)
            for anchor in area.anchors:
                if isinstance(anchor, SceneObject):
                    ignored |= {t.id for t in self.scene.objects if _encloses(t, anchor)}
        return frozenset(ignored)

    def _standing(self, on: Platform) -> Array:
        """Return x and y of what the depth shows in the layer above a platform, shape (N, 2)."""
        if on.id not in self._layers:
            rays, heights = self._measured
            above = heights - on.height
            within = (above > value("visibility")) & (above < value("headroom"))
            self._layers[on.id] = self.scene.camera.to_scene(rays[within])[:, :2]
        return self._layers[on.id]

    @cached_property
    def _measured(self) -> tuple[Array, Array]:
        """What the depth map shows, thinned, optical frame, metres, (N, 3), and heights (N,)."""
        depth, camera = self.scene.depth_m, self.scene.camera
        if depth is None:
            return np.zeros((0, 3)), np.zeros(0)
        step = int(np.ceil(np.sqrt(depth.size / _MOST_PIXELS)))
        z = depth[::step, ::step].astype(float)
        v, u = np.nonzero(np.isfinite(z) & (z > 0))
        z, k = z[v, u], camera.intrinsics
        x, y = (u * step - k.cx) / k.fx * z, (v * step - k.cy) / k.fy * z
        up = camera.t_scene_optical[2]
        return np.column_stack([x, y, z]), up[0] * x + up[1] * y + up[2] * z + up[3]

    @cached_property
    def _owners(self) -> npt.NDArray[np.intp]:
        """Place of the thing in each pixel among the scene's, -1 for none, (height, width)."""
        k = self.scene.camera.intrinsics
        owners = np.full((k.height, k.width), -1)
        for place, thing in enumerate(self.scene.objects):
            if thing.mask is not None:
                owners[thing.mask] = place
        return owners

    def _covered(self, ignored: frozenset[int]) -> BoolArray:
        """Tell which pixels show a thing in the way, or are next to one, (height, width)."""
        if ignored not in self._covers:
            # The last entry is that of pixels without a thing.
            others = [thing.id not in ignored for thing in self.scene.objects] + [False]
            pixels = np.array(others, np.uint8)[self._owners]
            self._covers[ignored] = cv2.dilate(pixels, np.ones((3, 3), np.uint8)) > 0
        return self._covers[ignored]


def _middle(points: Array, clear: BoolArray) -> int:
    """Return the clear point nearest to the mean of all clear ones.

    Where the mean falls into a gap, such as the one that a thing hides, the points around the
    nearest one pull the answer away from the gap's border.
    """
    middle = points[clear].mean(axis=0)
    for _ in range(_PULLS):
        nearest = int(np.where(clear, np.linalg.norm(points - middle, axis=1), np.inf).argmin())
        near = clear & (np.linalg.norm(points - points[nearest], axis=1) <= _PULL_M)
        middle = points[near].mean(axis=0)
    return int(np.where(clear, np.linalg.norm(points - middle, axis=1), np.inf).argmin())


def _encloses(thing: SceneObject, anchor: SceneObject) -> bool:
    """Tell whether a box is large and around the middle of another one, as that of a shelf is."""
    box = thing.box
    local = np.abs((anchor.box.center - box.center) @ box.rotation)
    within = bool((local < box.size / 2).all())
    return within and float(box.size.prod()) > HOLLOW_RATIO * float(anchor.box.size.prod())


def _carries(thing: SceneObject, on: Platform) -> bool:
    """Tell whether a thing is what a platform is the top of, as a table may be annotated too."""
    if abs(thing.box.top - on.height) > value("contact"):
        return False
    least, shape = LEAST_SHARE * area_of(on.outline), footprint(thing)
    return area_of(shape) >= least and area_of(intersection(on.outline, shape)) >= least
