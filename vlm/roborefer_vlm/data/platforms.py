# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Platforms: what things stand on and what can carry something more (RefSpatial's 3D recipe)."""

from __future__ import annotations

from dataclasses import dataclass

from roborefer_vlm.scenes.graph import Array, Scene, SceneObject, Surface
from roborefer_vlm.scenes.places import Anchor, footprint
from roborefer_vlm.scenes.polygons import area, intersection
from roborefer_vlm.scenes.relations.thresholds import value

# A platform carries a thing of which at least this share stands over it (arXiv 2506.04308).
LEAST_SHARE = 0.7


@dataclass(frozen=True, eq=False)
class Platform:
    """A level place that carries things.

    Attributes:
        id: Of the surface or thing.
        height: z, metres.
        outline: Convex outline, shape (N, 2), x and y in metres, counter-clockwise.
    """

    id: int
    height: float
    outline: Array


def platform(place: Anchor) -> Platform:
    """Return a surface, or the top of a thing, as a platform."""
    height = place.height if isinstance(place, Surface) else place.box.top
    return Platform(place.id, height, footprint(place))


def support_of(scene: Scene, place: Anchor) -> Platform | None:
    """Return what a thing stands on; a surface is its own platform.

    The thing's `support` decides where it is known. Else it is the platform with its top
    within 0.05 m of the thing's bottom and under at least 70 % of its footprint, the nearest in
    height. None: there is none, or it is something hollow, whose floor no box tells.
    """
    if isinstance(place, Surface):
        return platform(place)
    if place.support is not None:
        places: list[Anchor] = [*scene.surfaces, *scene.objects]
        carrier = next((one for one in places if one.id == place.support), None)
        return None if carrier is None or _is_hollow(carrier) else platform(carrier)
    bottom = place.box.bottom
    near = [
        under
        for under in _candidates(scene, place)
        if abs(under.height - bottom) <= value("contact")
    ]
    return min(near, key=lambda under: abs(under.height - bottom), default=None)


def below(scene: Scene, place: Anchor) -> Platform | None:
    """Return the highest platform beneath a thing, under at least 70 % of its footprint."""
    bottom = place.height if isinstance(place, Surface) else place.box.bottom
    lower = [
        under for under in _candidates(scene, place) if under.height <= bottom + value("contact")
    ]
    return max(lower, key=lambda under: under.height, default=None)


def _candidates(scene: Scene, place: Anchor) -> list[Platform]:
    own = footprint(place)
    least = LEAST_SHARE * area(own)
    places: list[Anchor] = [*scene.surfaces, *scene.objects]
    found = [platform(one) for one in places if one.id != place.id and not _is_hollow(one)]
    return [one for one in found if area(intersection(own, one.outline)) >= max(least, 1e-9)]


def _is_hollow(place: Anchor) -> bool:
    return isinstance(place, SceneObject) and place.hollow
