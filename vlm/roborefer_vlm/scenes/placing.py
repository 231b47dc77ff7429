# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Where in free space a description points: candidates on surfaces, scored by its constraints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from roborefer_vlm.scenes.graph import Array, SceneObject, Surface
from roborefer_vlm.scenes.grounding import (
    LEAST_RELATION,
    Grounder,
    NothingFits,
    anchor_phrases,
)
from roborefer_vlm.scenes.part_places import part_scores
from roborefer_vlm.scenes.places import Anchor as Place
from roborefer_vlm.scenes.places import Places
from roborefer_vlm.scenes.pointing import part_pixel, place_pixel, region_pixel
from roborefer_vlm.scenes.program import (
    Constraint,
    Part,
    PartName,
    Space,
    Thing,
)
from roborefer_vlm.scenes.relations import Key, Relation, measure
from roborefer_vlm.scenes.wording import describe
from roborefer_vlm.types import Pixel, TargetKind

# From this far from the next obstacle or edge on, more room makes a place no better.
ROOMY_M = 0.04
MOST_POINTS = 6000
# Between clearly right and just acceptable places the clearly right one is taken.
SHARPNESS = 2
# "Left of" a thing means within about this many of its diagonals, and at least so far.
REACH = 0.8
LEAST_REACH_M = 0.15
_BESIDE = (
    Relation.LEFT,
    Relation.RIGHT,
    Relation.FRONT,
    Relation.BEHIND,
    Relation.DIRECTLY_LEFT,
    Relation.DIRECTLY_RIGHT,
    Relation.DIRECTLY_FRONT,
    Relation.DIRECTLY_BEHIND,
)


class Candidates(Protocol):
    """Bare places: rows of points, pixels and clearances (see free_space.SpaceCandidates)."""

    @property
    def points(self) -> Array:
        """In the scene's frame, shape (N, 3), metres."""

    @property
    def pixels(self) -> Array:
        """(u, v) of each, shape (N, 2)."""

    @property
    def clearance_m(self) -> Array:
        """Distance to what is nearest, shape (N,)."""


FindSpace = Callable[[Place | None], Candidates]


@dataclass(frozen=True)
class Spot:
    """A free place.

    Attributes:
        pixel: Where to point.
        score: How well it fits, 0 to 1.
        kind: FREE_SPACE, or INSIDE a container.
        anchors: What the words that it refers to mean, as phrases with things.
    """

    pixel: Pixel
    score: float
    kind: TargetKind
    anchors: tuple[tuple[Thing, Place], ...] = ()


def find_spot(grounder: Grounder, space: Space, find: FindSpace) -> Spot:
    """Return the best place that a description means.

    Raises:
        NothingFits: An anchor is not in view, or no bare place fits.
    """
    inside = next(
        (c for c in space.constraints if c.relation is Relation.INSIDE and not c.negated), None
    )
    if inside is not None and isinstance(inside.anchors[0], Thing):
        return _spot_inside(grounder, space, inside, find)
    best: Spot | None = None
    failure: NothingFits | None = None
    for place, weight in _surfaces(grounder, space):
        try:
            spot = _spot_on(grounder, space, place, find)
        except NothingFits as error:
            failure = failure or error
            continue
        if best is None or spot.score * weight > best.score:
            best = replace(spot, score=spot.score * weight)
    if best is None:
        raise failure or NothingFits("no support surface is in view")
    return best


def _surfaces(grounder: Grounder, space: Space) -> list[tuple[Place | None, float]]:
    """Return what the spot may lie on, the likeliest first."""
    scene = grounder.scene
    if space.surface is not None:
        phrase = space.surface.of if isinstance(space.surface, Part) else space.surface
        options = grounder.options(phrase)[:3]
        if not options:
            raise NothingFits(f"nothing in view fits {describe(phrase)}")
        return [(o.place, o.score) for o in options if o.score >= 0.5 * options[0].score]
    # Where the anchors stand, there the spot is.
    near: dict[int, float] = {}
    for constraint in space.constraints:
        for grounded in grounder.groundings(constraint):
            for place in grounded.places:
                surface = _carrier(grounder, place)
                if surface is not None:
                    near[surface.id] = max(near.get(surface.id, 0.0), grounded.weight)
    if near:
        best = max(near.values())
        return [(s, near[s.id] / best) for s in scene.surfaces if s.id in near]
    if scene.surfaces:
        return [(scene.surfaces[0], 1.0)]
    return [(None, 1.0)]


def _carrier(grounder: Grounder, place: Place) -> Surface | None:
    """Return the surface that a thing stands on, directly or over other things."""
    by_id: dict[int, Place] = {thing.id: thing for thing in grounder.scene.objects}
    by_id.update((surface.id, surface) for surface in grounder.scene.surfaces)
    for _ in range(len(by_id)):
        if isinstance(place, Surface):
            return place
        below = None if place.support is None else by_id.get(place.support)
        if below is None:
            return None
        place = below
    return None


def _spot_on(grounder: Grounder, space: Space, place: Place | None, find: FindSpace) -> Spot:
    scene = grounder.scene
    found = find(place)
    if not len(found.points):
        if isinstance(place, SceneObject):
            return _top_of(grounder, place)
        raise NothingFits("no bare place is seen on the surface")
    step = -(-len(found.points) // MOST_POINTS)
    points, pixels = found.points[::step], found.pixels[::step]
    clearance = found.clearance_m[::step]
    places = Places.of_points(points)
    scores = np.ones(len(points))
    if isinstance(space.surface, Part) and isinstance(place, Surface):
        scores = scores * part_scores(scene, places, place, space.surface)
    for constraint in space.constraints:
        scores = scores * grounder.holds(constraint, places)
        if scores.max() < LEAST_RELATION:
            raise NothingFits(f"no bare place is {describe(constraint)}")
    for order in space.orders:
        values = grounder.values(
            order, places, _anchor_of(grounder, order.anchor) if order.anchor else None
        )
        good = scores >= 0.5 * scores.max()
        low, high = values[good].min(), values[good].max()
        scores = scores * (0.2 + 0.8 * np.clip((values - low) / max(high - low, 1e-9), 0, 1))
    fits = float(scores.max())
    roomy = scores**SHARPNESS * np.clip(clearance / ROOMY_M, 0.1, 1)
    roomy *= _nearness(grounder, space, places) * _in_sight_line(grounder, space, pixels)
    k = scene.camera.intrinsics
    pixel, chosen = region_pixel(pixels, roomy, k.width, k.height)
    anchors = _meant(grounder, space, Places.of_points(points[chosen : chosen + 1]))
    return Spot(pixel, fits, TargetKind.FREE_SPACE, anchors)


def _meant(grounder: Grounder, space: Space, spot: Places) -> tuple[tuple[Thing, Place], ...]:
    """Return which things the anchors mean, given where the spot is."""
    found: list[tuple[Thing, Place]] = []
    for constraint in space.constraints:
        best = grounder.grounding_of(constraint, spot)
        found += [
            (phrase, place)
            for phrase, place in zip(anchor_phrases(constraint, best), best.places, strict=True)
            if (phrase, place) not in found
        ]
    return tuple(found)


def _nearness(grounder: Grounder, space: Space, places: Places) -> Array:
    """Return how near each place is to what it is left of, or in front of, shape (N,), 0 to 1.

    Of the half plane left of a cup people mean the part next to it.
    """
    result = np.ones(len(places))
    for constraint in space.constraints:
        if constraint.relation not in _BESIDE or constraint.negated or constraint.distance_m:
            continue
        near = np.zeros(len(places))
        for grounded in grounder.groundings(constraint):
            for place in grounded.places:
                reach = max(LEAST_REACH_M, REACH * float(Places.of_objects([place]).diagonals[0]))
                away = measure(Key.FAR, grounder.scene, places, place) / reach
                near = np.maximum(near, grounded.weight * np.exp(-(away**2)))
        result *= near
    return result


def _in_sight_line(grounder: Grounder, space: Space, pixels: Array) -> Array:
    """Return how near each pixel is to the middle between two anchors as they are seen, (N,).

    "Between" holds in space; of that, people point at what lies between the two in the picture.
    """
    result = np.ones(len(pixels))
    for constraint in space.constraints:
        if constraint.relation is not Relation.BETWEEN or constraint.negated:
            continue
        near = np.zeros(len(pixels))
        for grounded in grounder.groundings(constraint):
            ends = [place_pixel(grounder.scene, place) for place in grounded.places]
            seen = [np.array([end.u, end.v]) for end in ends if end is not None]
            if len(seen) != 2:
                continue
            first, second = seen
            half = max(float(np.linalg.norm(second - first)) / 2, 1.0)
            away = np.linalg.norm(pixels - (first + second) / 2, axis=1) / half
            near = np.maximum(near, grounded.weight * np.exp(-(away**2)))
        result *= near if near.any() else 1.0
    return result


def _anchor_of(grounder: Grounder, anchor: object) -> Place | None:
    if isinstance(anchor, Part):
        anchor = anchor.of
    return grounder.options(anchor)[0].place if isinstance(anchor, Thing) else None


def _spot_inside(grounder: Grounder, space: Space, inside: Constraint, find: FindSpace) -> Spot:
    container = inside.anchors[0]
    assert isinstance(container, Thing)
    options = grounder.options(container)
    if not options:
        raise NothingFits(f"nothing in view fits {describe(container)}")
    best = options[0]
    if isinstance(best.place, Surface):
        rest = tuple(c for c in space.constraints if c is not inside)
        return _spot_on(grounder, replace(space, constraints=rest), best.place, find)
    found = find(best.place)
    if len(found.points):
        k = grounder.scene.camera.intrinsics
        pixel, _ = region_pixel(found.pixels, np.ones(len(found.pixels)), k.width, k.height)
        return Spot(pixel, best.score, TargetKind.INSIDE, ((container, best.place),))
    seen = part_pixel(grounder.scene, best.place, Part(PartName.INSIDE, container))
    if seen is None:
        raise NothingFits(f"nothing of {describe(container)} is in the image")
    return Spot(seen, best.score, TargetKind.INSIDE, ((container, best.place),))


def _top_of(grounder: Grounder, thing: SceneObject) -> Spot:
    pixel = part_pixel(grounder.scene, thing, Part(PartName.TOP, Thing(thing.name or "object")))
    if pixel is None:
        raise NothingFits("nothing of its top is in the image")
    return Spot(pixel, 0.5, TargetKind.FREE_SPACE)
