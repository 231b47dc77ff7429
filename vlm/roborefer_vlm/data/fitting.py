# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What clearly fits beside, on top of or inside something, and what clearly does not.

However a thing is turned, it covers at least the circle within its footprint and at most the one
around it. It fits where the larger one has room to spare, and does not where not even the smaller
one has room; between the two it depends, and nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from roborefer_vlm.data.platforms import Platform
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.graph import Array, OrientedBox, Scene, SceneObject
from roborefer_vlm.scenes.places import Places, box_footprint, footprint
from roborefer_vlm.scenes.pointing import pixels_of
from roborefer_vlm.scenes.polygons import depth_inside
from roborefer_vlm.scenes.relations import Relation, direction_scores
from roborefer_vlm.scenes.relations.sight import visible
from roborefer_vlm.scenes.relations.thresholds import value
from roborefer_vlm.types import BoolArray

# Room that is left around what is said to fit, metres.
CLEARANCE_M = 0.02
# Nodes of the grid of places are this far apart, metres; less near by.
CELL_M, FINE_CELL_M = 0.02, 0.01
# A place is in a direction beyond doubt from the first score on (within 27 degrees, 13 if
# "directly"), and out of question up to the second one (85 degrees off; 30 if "directly").
_CLEAR = 0.9
_NEVER, _NEVER_DIRECTLY = 0.05, 0.5
# What is said to fit is smaller by this share than what it has to fit on or into, what is said
# not to fit is larger by it.
SPARE = 0.15
# Walls and handles leave at least this share of a vessel's narrower side open.
_OPENING = 0.8
# The top is level if this share of what is seen of it lies that close to it, metres and share of
# the height; what is narrower than that carries nothing.
_LEVEL_SHARE = 0.9
_LEVEL_M, _LEVEL_HEIGHT = 0.005, 0.08
_NARROWEST_M = 0.04
_FEWEST_PIXELS, _MOST_PIXELS = 30, 1500


@dataclass(frozen=True)
class Fitting:
    """Whether something fits, beyond doubt.

    Attributes:
        fits: Whether it does.
        margin_m: By how much there is too much or too little room.
        spot: Middle of its footprint where it fits, x, y and z in the scene's frame, metres; None
            where it does not.
    """

    fits: bool
    margin_m: float
    spot: tuple[float, float, float] | None = None


class Surroundings:
    """The room on a platform around a thing.

    Args:
        scene: Where all of it is.
        reference: The thing; it stands on the platform.
        platform: What is free or taken.
        frame: Whose left, right, front and behind; OBJECT needs a reference with a front.
        radius_m: How far from the reference places are looked at; None: half a metre, as
            RoboSpatial does.
    """

    def __init__(
        self,
        scene: Scene,
        reference: SceneObject,
        platform: Platform,
        frame: Frame,
        radius_m: float | None = None,
    ) -> None:
        self.scene = scene
        self.reference = reference
        self.platform = platform
        self.frame = frame
        self._radius = value("context_radius") if radius_m is None else radius_m
        self._cell = CELL_M if radius_m is None else FINE_CELL_M
        # No point is farther than this from the next node.
        self._slack = self._cell * np.sqrt(0.5)
        self._scores: dict[Relation, Array] = {}

    @cached_property
    def nodes(self) -> Array:
        """Places on the platform around the reference, shape (N, 3)."""
        shape = footprint(self.reference)
        low = np.maximum(shape.min(axis=0) - self._radius, self.platform.outline.min(axis=0))
        high = np.minimum(shape.max(axis=0) + self._radius, self.platform.outline.max(axis=0))
        x, y = (np.arange(a, b, self._cell) for a, b in zip(low, high, strict=True))
        columns, rows = np.meshgrid(x, y)
        level = np.full(columns.size, self.platform.height)
        return np.column_stack([columns.ravel(), rows.ravel(), level])

    @cached_property
    def gaps(self) -> Array:
        """Distance of each node from the footprint of the reference, (N,), negative within."""
        return -depth_inside(self.nodes[:, :2], footprint(self.reference))

    @cached_property
    def _bounds(self) -> Array:
        """Distance of each node from the reference and from the edge, whichever is less."""
        return np.minimum(self.gaps, depth_inside(self.nodes[:, :2], self.platform.outline))

    @cached_property
    def _others(self) -> list[tuple[int, float, Array]]:
        """Every other thing above the platform: id, bottom, and its distance from each node."""
        return [
            (thing.id, thing.box.bottom, -depth_inside(self.nodes[:, :2], footprint(thing)))
            for thing in self.scene.objects
            if thing.id != self.reference.id
            and thing.box.top > self.platform.height + value("contact_blur")
        ]

    @cached_property
    def _seen(self) -> BoolArray:
        return visible(self.scene, self.nodes)[0]

    def _direction(self, relation: Relation) -> Array:
        if relation not in self._scores:
            self._scores[relation] = direction_scores(
                relation,
                self.scene,
                Places.of_points(self.nodes),
                [self.reference],
                frame=self.frame,
            )
        return self._scores[relation]

    def beside(
        self, thing: SceneObject, relation: Relation, within_m: float | None = None
    ) -> Fitting | None:
        """Tell whether a thing fits in a direction from the reference; None: it is not clear.

        It fits if there is a visible place clearly in that direction with room all around. It
        does not if there is no room anywhere on that side, seen or unseen.

        Args:
            thing: What is to be put there; where it stands now is free.
            relation: LEFT, RIGHT, FRONT or BEHIND, or "directly" one of these.
            within_m: Most that may be between it and the reference; None: as far as places are
                looked at.
        """
        if not len(self.nodes):
            return None
        inner, outer = _radii(thing)
        top = self.platform.height + thing.box.top - thing.box.bottom
        room = self._bounds
        for number, bottom, distance in self._others:
            if number != thing.id and bottom < top:
                room = np.minimum(room, distance)
        score = self._direction(relation)
        if not (room > inner - self._slack).any():
            best = int(room.argmax())
            return Fitting(False, inner - float(room[best]) - self._slack)
        near = np.ones(len(room), bool) if within_m is None else self.gaps - inner <= within_m
        fits = (score >= _CLEAR) & near & (room >= outer + CLEARANCE_M)
        fits = fits & self._seen if fits.any() else fits
        if fits.any():
            best = int(np.where(fits, room, -np.inf).argmax())
            x, y, z = (float(c) for c in self.nodes[best])
            return Fitting(True, float(room[best] - outer), (x, y, z))
        reach = np.inf if within_m is None else within_m + outer + self._slack
        never = _NEVER_DIRECTLY if relation.startswith("directly") else _NEVER
        possible = (score > never) & (self.gaps <= reach)
        widest = float(room[possible].max()) if possible.any() else 0.0
        lacking = inner - widest - self._slack
        return Fitting(False, float(lacking)) if lacking > 0 else None


@dataclass(frozen=True, eq=False)
class Gap:
    """What is between two things that stand on the same level.

    Attributes:
        middle: Of the shortest line between them, x, y and z, metres, shape (3,).
        width_m: Length of that line.
    """

    middle: Array
    width_m: float

    def too_narrow_for(self, thing: SceneObject) -> Fitting | None:
        """Tell by how much it is too narrow for a thing at any angle; None: it is not."""
        width = 2 * _radii(thing)[0]
        narrow = self.width_m < width * (1 - SPARE)
        return Fitting(False, width - self.width_m) if narrow else None


def gap_between(first: SceneObject, second: SceneObject) -> Gap | None:
    """Return the gap between two things; None: they stand on different levels."""
    return _gap(first.box, second.box)


# Several questions look at the same pairs.
@lru_cache(maxsize=512)
def _gap(first: OrientedBox, second: OrientedBox) -> Gap | None:
    if abs(first.bottom - second.bottom) > value("touch"):
        return None
    a, b = nearest_points(box_footprint(first), box_footprint(second))
    return Gap(np.append((a + b) / 2, first.bottom), float(np.linalg.norm(b - a)))


def may_be_narrow(first: SceneObject, second: SceneObject, things: Sequence[SceneObject]) -> bool:
    """Tell whether the gap between two things may be too narrow for one of some others.

    A cheap bound: the circles around both footprints are no farther apart than the footprints.
    """
    away = float(np.linalg.norm(second.box.center[:2] - first.box.center[:2]))
    least = away - _radii(first)[1] - _radii(second)[1]
    return any(least < 2 * _radii(thing)[0] for thing in things)


def between(scene: Scene, thing: SceneObject, gap: Gap) -> Fitting | None:
    """Tell whether a thing fits into a gap between two others; None: it is not clear.

    It does not if the gap is narrower than the thing however it is turned. It does if there is
    room for it in the middle of the gap, and that place is visible.
    """
    narrow = gap.too_narrow_for(thing)
    if narrow is not None:
        return narrow
    outer = _radii(thing)[1]
    if gap.width_m < 2 * (outer + CLEARANCE_M):
        return None
    spot, room = gap.middle, gap.width_m / 2
    for other in scene.objects:
        away = float(np.linalg.norm(other.box.center[:2] - spot[:2]))
        near = away < outer + CLEARANCE_M + float(np.linalg.norm(other.box.size)) / 2
        if near and other.id != thing.id and other.box.top > spot[2] + value("contact_blur"):
            room = min(room, -float(depth_inside(spot[None, :2], footprint(other))[0]))
    if room < outer + CLEARANCE_M or not visible(scene, spot[None])[0][0]:
        return None
    return Fitting(True, room - outer, (float(spot[0]), float(spot[1]), float(spot[2])))


def nearest_points(first: Array, second: Array) -> tuple[Array, Array]:
    """Return the nearest points of two separate convex outlines, two of shape (2,).

    One of them is a corner, the other one may lie on a side. Of parallel sides, where many points
    are as near, it is the middle of those.
    """
    pairs, lengths = [], []
    for corners, sides, order in ((first, second, 1), (second, first, -1)):
        edges = np.roll(sides, -1, axis=0) - sides
        offset = corners[:, None] - sides[None]
        squares = np.maximum((edges * edges).sum(axis=1), 1e-12)
        share = np.clip((offset * edges).sum(axis=2) / squares, 0, 1)
        on_side = sides[None] + share[..., None] * edges
        both = np.stack(np.broadcast_arrays(corners[:, None], on_side), axis=2)
        pairs.append(both[:, :, ::order].reshape(-1, 2, 2))
        lengths.append(np.linalg.norm(corners[:, None] - on_side, axis=2).ravel())
    away = np.concatenate(lengths)
    a, b = np.concatenate(pairs)[away <= away.min() + 1e-6].mean(axis=0)
    return a, b


def on_top(thing: SceneObject, carrier: SceneObject) -> Fitting | None:
    """Tell whether a thing fits on a carrier without sticking out; None: it is not clear.

    Both footprints are rectangles. One lies within the other if it is shorter and narrower; it
    cannot if it is wider than the other one or longer than its diagonal, however it is turned.

    Args:
        thing: What is to be put there.
        carrier: See `is_table`.
    """
    return _within(thing.box.size[:2], carrier)


def inside(thing: SceneObject, container: SceneObject) -> Fitting | None:
    """Tell whether a thing fits into a vessel, as it stands or tipped; None: it is not clear.

    Args:
        thing: What is to be put there.
        container: See `is_vessel`.
    """
    narrow = float(container.box.size[:2].min())
    spare = _OPENING * narrow - float(np.hypot(*thing.box.size[:2]))
    if spare >= 0:
        x, y, _ = (float(c) for c in container.box.center)
        return Fitting(True, spare, (x, y, container.box.bottom))
    # What does not even go in end on does not go in at all.
    tipped = _within(np.sort(thing.box.size)[:2], container)
    return None if tipped is None or tipped.fits else tipped


@lru_cache(maxsize=64)
def is_table(scene: Scene, carrier: SceneObject) -> bool:
    """Tell whether a thing has a bare and level top that others can be put on."""
    return not carrier.hollow and is_bare(scene, carrier) and has_level_top(scene, carrier)


def is_vessel(scene: Scene, container: SceneObject) -> bool:
    """Tell whether a thing is hollow and empty."""
    return container.hollow and is_bare(scene, container)


def is_bare(scene: Scene, carrier: SceneObject) -> bool:
    """Tell whether nothing stands on a thing or in it."""
    if any(other.support == carrier.id for other in scene.objects):
        return False
    shape = footprint(carrier)
    for other in scene.objects:
        above = other.box.top > carrier.box.top and other.box.bottom < carrier.box.top + 0.25
        if other.id != carrier.id and above:
            middle = other.box.center[None, :2]
            if depth_inside(middle, shape)[0] > 0:
                return False
    return True


def has_level_top(scene: Scene, thing: SceneObject) -> bool:
    """Tell whether the top of a thing is flat, by what the depth shows within its outline."""
    if scene.depth_m is None or thing.mask is None or thing.box.size[:2].min() < _NARROWEST_M:
        return False
    v, u = pixels_of(thing.mask)
    thinned = np.s_[:: max(1, len(v) // _MOST_PIXELS)]
    v, u = v[thinned], u[thinned]
    measured = scene.depth_m[v, u] > 0
    v, u = v[measured], u[measured]
    k, z = scene.camera.intrinsics, scene.depth_m[v, u].astype(float)
    optical = np.column_stack([(u - k.cx) / k.fx * z, (v - k.cy) / k.fy * z, z])
    points = scene.camera.to_scene(optical)
    shape = footprint(thing)
    rim = 0.15 * float(thing.box.size[:2].min())
    over = points[depth_inside(points[:, :2], shape) > rim]
    if len(over) < _FEWEST_PIXELS:
        return False
    top = thing.box.top
    level = min(_LEVEL_M, _LEVEL_HEIGHT * (top - thing.box.bottom))
    return bool((np.abs(over[:, 2] - top) <= level).mean() >= _LEVEL_SHARE)


def _within(size: Array, place: SceneObject) -> Fitting | None:
    """Compare two rectangles: the lengths of one, and the footprint of a thing."""
    short, long = np.sort(size)
    narrow, wide = np.sort(place.box.size[:2])
    spare = float(min((1 - SPARE) * narrow - short, (1 - SPARE) * wide - long))
    if spare >= 0:
        middle = place.box.center
        return Fitting(True, spare, (float(middle[0]), float(middle[1]), place.box.top))
    diagonal = float(np.hypot(narrow, wide))
    lacking = float(max(short - (1 + SPARE) * narrow, long - (1 + SPARE) * diagonal))
    return Fitting(False, lacking) if lacking > 0 else None


def _radii(thing: SceneObject) -> tuple[float, float]:
    """Return the radii of the circles within and around a footprint, metres."""
    size = thing.box.size[:2]
    return float(size.min()) / 2, float(np.hypot(size[0], size[1])) / 2
