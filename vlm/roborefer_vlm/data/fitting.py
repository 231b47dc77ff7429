# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What clearly fits beside, on top of or inside something, and what clearly does not.

However a thing is turned, it covers at least the circle within its footprint and at most the one
around it. It fits where the larger one has room to spare, and does not where not even the smaller
one has room; between the two it depends, and nothing is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from roborefer_vlm.data.platforms import Platform
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.graph import Array, Scene, SceneObject
from roborefer_vlm.scenes.places import Places, footprint
from roborefer_vlm.scenes.polygons import depth_inside
from roborefer_vlm.scenes.relations import Relation, direction_scores
from roborefer_vlm.scenes.relations.sight import visible
from roborefer_vlm.scenes.relations.thresholds import value
from roborefer_vlm.types import BoolArray

# Room that is left around what is said to fit, metres.
CLEARANCE_M = 0.02
# Nodes of the grid of places are this far apart, metres.
CELL_M = 0.02
# No point is farther than this from the next node.
_SLACK_M = CELL_M * np.sqrt(0.5)
# A place is in a direction beyond doubt from the first score on, and out of question up to the
# second one.
_CLEAR, _NEVER = 0.9, 0.05
# What is said to fit is smaller by this share than what it has to fit on or into, what is said
# not to fit is larger by it.
SPARE = 0.1
# The top is level if this share of what is seen of it lies within a centimetre of it.
_LEVEL_SHARE = 0.9
_LEVEL_M = 0.01
_FEWEST_PIXELS = 30


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
    """

    def __init__(
        self, scene: Scene, reference: SceneObject, platform: Platform, frame: Frame
    ) -> None:
        self.scene = scene
        self.reference = reference
        self.platform = platform
        self.frame = frame
        self._scores: dict[Relation, Array] = {}

    @cached_property
    def nodes(self) -> Array:
        """Places on the platform around the reference, shape (N, 3)."""
        shape = footprint(self.reference)
        radius = value("context_radius") + float(self.reference.box.size[:2].max()) / 2
        low = np.maximum(shape.min(axis=0) - radius, self.platform.outline.min(axis=0))
        high = np.minimum(shape.max(axis=0) + radius, self.platform.outline.max(axis=0))
        x, y = (np.arange(a, b, CELL_M) for a, b in zip(low, high, strict=True))
        columns, rows = np.meshgrid(x, y)
        level = np.full(columns.size, self.platform.height)
        return np.column_stack([columns.ravel(), rows.ravel(), level])

    @cached_property
    def gaps(self) -> Array:
        """Distance of each node from the footprint of the reference, (N,), negative within."""
        return -depth_inside(self.nodes[:, :2], footprint(self.reference))

    @cached_property
    def _edge(self) -> Array:
        return depth_inside(self.nodes[:, :2], self.platform.outline)

    @cached_property
    def _others(self) -> dict[int, Array]:
        """Distance of each node from every other thing above the platform, by its id."""
        return {
            thing.id: -depth_inside(self.nodes[:, :2], footprint(thing))
            for thing in self.scene.objects
            if thing.id != self.reference.id
            and thing.box.top > self.platform.height + value("contact_blur")
        }

    @cached_property
    def _seen(self) -> BoolArray:
        return visible(self.scene, self.nodes)[0]

    def _direction(self, relation: Relation) -> Array:
        if relation not in self._scores:
            places = Places.of_points(self.nodes)
            self._scores[relation] = direction_scores(
                relation, self.scene, places, [self.reference], frame=self.frame
            )
        return self._scores[relation]

    def beside(
        self, thing: SceneObject, relation: Relation, within_m: float | None = None
    ) -> Fitting | None:
        """Tell whether a thing fits in a direction from the reference; None: it is not clear.

        It fits if there is a visible place clearly in that direction with room all around. It
        does not if there is no room anywhere in that half of the surroundings, seen or unseen.

        Args:
            thing: What is to be put there; where it stands now is free.
            relation: LEFT, RIGHT, FRONT or BEHIND.
            within_m: Most that may be between it and the reference; None: as far as RoboSpatial
                looks, half a metre.
        """
        if not len(self.nodes):
            return None
        inner, outer = _radii(thing)
        top = self.platform.height + thing.box.top - thing.box.bottom
        room = np.minimum(self.gaps, self._edge)
        bottoms = {other.id: other.box.bottom for other in self.scene.objects}
        for number, distance in self._others.items():
            if number != thing.id and bottoms[number] < top:
                room = np.minimum(room, distance)
        score = self._direction(relation)
        near = np.ones(len(room), bool) if within_m is None else self.gaps - inner <= within_m
        fits = (score >= _CLEAR) & near & self._seen & (room >= outer + CLEARANCE_M)
        if fits.any():
            best = int(np.where(fits, room, -np.inf).argmax())
            x, y, z = (float(c) for c in self.nodes[best])
            return Fitting(True, float(room[best] - outer), (x, y, z))
        reach = np.inf if within_m is None else within_m + outer + _SLACK_M
        possible = (score > _NEVER) & (self.gaps <= reach)
        widest = float(room[possible].max()) if possible.any() else 0.0
        lacking = inner - widest - _SLACK_M
        return Fitting(False, float(lacking)) if lacking > 0 else None


def on_top(scene: Scene, thing: SceneObject, carrier: SceneObject) -> Fitting | None:
    """Tell whether a thing fits on top of another one without sticking out; None: not clear.

    Both footprints are rectangles. One lies within the other if it is shorter and narrower; it
    cannot if it is wider than the other one or longer than its diagonal, however it is turned.
    The top has to be bare, and level by the scene's depth.
    """
    if carrier.hollow or not is_bare(scene, carrier) or not has_level_top(scene, carrier):
        return None
    return _within(thing.box.size[:2], carrier)


def inside(scene: Scene, thing: SceneObject, container: SceneObject) -> Fitting | None:
    """Tell whether a thing fits into a hollow one, as it stands or tipped; None: not clear."""
    if not container.hollow or not is_bare(scene, container):
        return None
    standing = _within(thing.box.size[:2], container)
    if standing is not None and standing.fits:
        return standing
    # What does not even go in end on does not go in at all.
    return _within(np.sort(thing.box.size)[:2], container) if standing is not None else None


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
    if scene.depth_m is None or thing.mask is None:
        return False
    v, u = np.nonzero(thing.mask & (scene.depth_m > 0))
    k, z = scene.camera.intrinsics, scene.depth_m[v, u].astype(float)
    optical = np.column_stack([(u - k.cx) / k.fx * z, (v - k.cy) / k.fy * z, z])
    points = scene.camera.to_scene(optical)
    shape = footprint(thing)
    rim = 0.15 * float(thing.box.size[:2].min())
    over = points[depth_inside(points[:, :2], shape) > rim]
    if len(over) < _FEWEST_PIXELS:
        return False
    return bool((np.abs(over[:, 2] - thing.box.top) <= _LEVEL_M).mean() >= _LEVEL_SHARE)


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
