# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Where to look for free space: the platform that words mean, and the region on it.

The regions are RefSpatial's (arXiv 2506.04308, 3D data): a sector for directions, the shrunk
footprint for tops and undersides, the hull of both for "between".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from roborefer_vlm.data.platforms import Platform, below, platform, support_of
from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.frames import Frame, axes_of
from roborefer_vlm.scenes.graph import Array, Scene, SceneObject
from roborefer_vlm.scenes.places import Anchor, Places, footprint
from roborefer_vlm.scenes.polygons import convex_hull, depth_inside
from roborefer_vlm.scenes.relations import Relation, direction_scores, relation_scores
from roborefer_vlm.types import BoolArray

# A direction reaches over a sector this wide on either side of it.
_HALF_SECTOR = np.deg2rad(45)
_HALF_NARROW_SECTOR = np.deg2rad(30)
# Sectors reach at least this far from the middle of the anchor, metres.
LEAST_RADIUS_M = 0.2
# Of that, only what is next to the anchor: within this gap, or this share of its diagonal.
LEAST_GAP_M = 0.15
GAP_SHARE = 0.35
# Tops and undersides are used but for a rim, so that what is put there cannot fall.
SHRUNK = 0.8
# From this score on a place is right beyond doubt; nearness fades slowly and reaches it never.
CLEAR = 0.9
CLEAR_NEARNESS = 0.65

DIRECTIONS = (
    Relation.LEFT,
    Relation.RIGHT,
    Relation.FRONT,
    Relation.BEHIND,
    Relation.DIRECTLY_LEFT,
    Relation.DIRECTLY_RIGHT,
    Relation.DIRECTLY_FRONT,
    Relation.DIRECTLY_BEHIND,
)
TOPS = (Relation.ON, Relation.ABOVE)
UNDERSIDES = (Relation.UNDER, Relation.BELOW)
PARTS = (
    Relation.CORNER,
    Relation.EDGE,
    Relation.LEFT_PART,
    Relation.RIGHT_PART,
    Relation.FRONT_PART,
    Relation.BACK_PART,
)
NEARNESS = (Relation.NEAR, Relation.BESIDE, Relation.AROUND, Relation.FAR)
# Marked out by several things, or by the outline of one.
GROUPS = (Relation.BETWEEN, Relation.AMONG, Relation.MIDDLE)
PLACEABLE = (*DIRECTIONS, *TOPS, *UNDERSIDES, *PARTS, *NEARNESS, *GROUPS)


@dataclass(frozen=True, eq=False)
class Area:
    """One thing that words ask of a free place.

    Attributes:
        scene: Where all of it is.
        relation: One of PLACEABLE.
        anchors: What the words refer to.
        frame: Whose left, right, front and behind.
        distance_m: Named distance from the anchor, or None.
        extra_m: Half the size of what is to be put there; sectors reach that much further.
    """

    scene: Scene
    relation: Relation
    anchors: tuple[Anchor, ...]
    frame: Frame = Frame.VIEWER
    distance_m: float | None = None
    extra_m: float = 0.0

    def __post_init__(self) -> None:
        if self.relation not in PLACEABLE:
            raise QueryError(
                f"'{self.relation}' marks out no free space; use {', '.join(PLACEABLE)}"
            )

    def platforms(self) -> list[Platform | None]:
        """Return what the place has to be on, one per anchor; None where there is nothing."""
        first = self.anchors[0]
        if self.relation in TOPS or self.relation in PARTS or self._in_middle_of_one:
            return [platform(first)]
        if self.relation in UNDERSIDES:
            return [below(self.scene, first)]
        return [support_of(self.scene, anchor) for anchor in self.anchors]

    def outline(self) -> Array | None:
        """Return a convex outline that holds the region, shape (N, 2), or None: anywhere."""
        first = self.anchors[0]
        if self.relation in DIRECTIONS:
            return _square(self._middle, self._radius)
        if self.relation in (*TOPS, *UNDERSIDES) and isinstance(first, SceneObject):
            shape = footprint(first)
            return np.asarray(self._middle + SHRUNK * (shape - self._middle))
        if self.relation in GROUPS and not self._in_middle_of_one:
            return convex_hull(np.concatenate([footprint(anchor) for anchor in self.anchors]))
        return None

    def holds(self, points: Array) -> BoolArray:
        """Tell which points, shape (N, 3), lie within the region, shape (N,)."""
        outline = self.outline()
        if outline is None:
            return np.ones(len(points), bool)
        if self.relation not in DIRECTIONS:
            return np.asarray(depth_inside(points[:, :2], outline) >= 0)
        axes = axes_of(self.frame, self.scene, self.anchors[0])
        word = self.relation.removeprefix("directly_")
        toward = (axes.left if word in ("left", "right") else axes.front)[:2]
        toward = -toward if word in ("right", "behind") else toward
        half = _HALF_SECTOR if word == self.relation else _HALF_NARROW_SECTOR
        offset = points[:, :2] - self._middle
        away = np.linalg.norm(offset, axis=1)
        within = (away <= self._radius) & (offset @ toward >= away * np.cos(half))
        if self.distance_m is None:
            gaps = -depth_inside(points[:, :2], footprint(self.anchors[0]))
            within &= gaps <= max(LEAST_GAP_M, GAP_SHARE * self._diagonal) + self.extra_m
        return np.asarray(within)

    def clear(self, points: Array) -> BoolArray:
        """Tell of which points, shape (N, 3), the words are true beyond doubt, shape (N,)."""
        if self.relation in (*TOPS, *UNDERSIDES):
            return np.ones(len(points), bool)
        places = Places.of_points(points)
        if self.relation in DIRECTIONS and self.distance_m is None:
            scores = direction_scores(
                self.relation, self.scene, places, self.anchors, frame=self.frame
            )
        else:
            directed = self.relation in DIRECTIONS or self.relation in PARTS
            scores = relation_scores(
                self.relation,
                self.scene,
                places,
                self.anchors,
                frame=self.frame if directed else Frame.VIEWER,
                distance_m=self.distance_m,
            )
        least = CLEAR_NEARNESS if self.relation in NEARNESS else CLEAR
        return np.asarray(scores >= least)

    @property
    def _in_middle_of_one(self) -> bool:
        return self.relation is Relation.MIDDLE and len(self.anchors) == 1

    @property
    def _middle(self) -> Array:
        shape = footprint(self.anchors[0])
        return np.asarray((shape.min(axis=0) + shape.max(axis=0)) / 2)

    @property
    def _diagonal(self) -> float:
        shape = footprint(self.anchors[0])
        return float(np.linalg.norm(shape[:, None] - shape[None], axis=2).max())

    @property
    def _radius(self) -> float:
        named = 0.0 if self.distance_m is None else 1.2 * self.distance_m + self._diagonal / 2
        return max(self._diagonal, LEAST_RADIUS_M, named) + self.extra_m


def areas_of(
    scene: Scene,
    constraints: Sequence[tuple[Relation, tuple[int, ...]]],
    frame: Frame,
    distance_m: float | None,
    extra_m: float,
) -> list[Area]:
    """Look up the anchors of constraints by their ids; a distance belongs to the first one.

    Raises:
        QueryError: A relation marks out no free space, has no anchor, or one that the scene
            does not have.
    """
    places: list[Anchor] = [*scene.objects, *scene.surfaces]
    known = {place.id: place for place in places}
    areas = []
    for number, (relation, ids) in enumerate(constraints):
        missing = [wanted for wanted in ids if wanted not in known]
        if missing or not ids:
            raise QueryError(
                f"'{relation}' is asked of anchors {list(ids)}; at least one of {sorted(known)}"
                " is needed"
            )
        anchors = tuple(known[wanted] for wanted in ids)
        distance = distance_m if number == 0 else None
        areas.append(Area(scene, Relation(relation), anchors, frame, distance, extra_m))
    return areas


def _square(middle: Array, radius: float) -> Array:
    return np.asarray(middle + radius * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]))
