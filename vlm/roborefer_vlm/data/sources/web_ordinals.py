# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Several things of a kind told apart by counting: "the cup second from the left".

RefSpatial's recipe for photographs (arXiv 2506.04308, appendix): along the one of left to right,
front to back and top to bottom on which things of a kind are spread most, each gets its place
from the end that is nearer to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from roborefer_vlm.scenes import program
from roborefer_vlm.scenes.frames import viewer_axes
from roborefer_vlm.scenes.graph import Array, Scene, SceneObject
from roborefer_vlm.scenes.places import Places
from roborefer_vlm.scenes.program import OrderKey
from roborefer_vlm.scenes.relations.measures import measure
from roborefer_vlm.scenes.relations.names import Key

# Neighbours are clearly apart when their middles are so many of their own lengths apart.
CLEAR_GAP = 0.6
# What two middles are apart at least, as share of their distance from the camera: estimated depth
# is not better than this.
_LEAST_GAP = 0.03


def ordinal_captions(scene: Scene, *, level: bool) -> dict[int, program.Thing] | None:
    """Return a counted description of each thing that is not the only one of its name.

    Args:
        scene: Whose things have names.
        level: Whether up is known; else nothing is counted from top to bottom.

    Returns:
        By id; empty where all names are different. None if things of one name are too close to
        each other on every axis to be counted.
    """
    captions: dict[int, program.Thing] = {}
    for name in sorted({thing.name for thing in scene.objects if thing.name}):
        alike = [thing for thing in scene.objects if thing.name == name]
        if len(alike) < 2:
            continue
        counted = _counted(scene, alike, level)
        if counted is None:
            return None
        for thing, order in zip(alike, counted, strict=True):
            captions[thing.id] = program.Thing(name, orders=(order,))
    return captions


def _counted(
    scene: Scene, alike: Sequence[SceneObject], level: bool
) -> list[program.Order] | None:
    """Return the order of each thing along the best axis on which they are clearly apart."""
    places = Places.of_objects(alike)
    axes = viewer_axes(scene.camera)
    choices = [
        (axes.left, OrderKey.LEFT, OrderKey.RIGHT),
        (axes.front, OrderKey.NEAR, OrderKey.FAR),
    ]
    if level:
        choices.append((axes.up, OrderKey.HIGH, OrderKey.LOW))
    spread = [(float(np.ptp(places.centers @ axis)), i) for i, (axis, _, _) in enumerate(choices)]
    for _, i in sorted(spread, key=lambda entry: (-entry[0], entry[1])):
        axis, first, last = choices[i]
        along = places.centers @ axis
        if _apart(scene, places, along, axis) and _as_people_count(scene, places, along, first):
            ranks = np.argsort(np.argsort(-along)) + 1
            return [_order(int(rank), len(alike), first, last) for rank in ranks]
    return None


def _order(rank: int, count: int, first: OrderKey, last: OrderKey) -> program.Order:
    """Return a place counted from the nearer end."""
    from_last = count + 1 - rank
    return program.Order(first, rank) if rank <= from_last else program.Order(last, from_last)


def _apart(scene: Scene, places: Places, along: Array, axis: Array) -> bool:
    """Tell whether all neighbours along an axis are clearly apart."""
    order = np.argsort(along)
    lengths = 2 * places.half_extents(axis)[order]
    away = np.linalg.norm(places.centers - scene.camera.position, axis=1)[order]
    needed = np.maximum(
        CLEAR_GAP * (lengths[1:] + lengths[:-1]) / 2, _LEAST_GAP * np.minimum(away[1:], away[:-1])
    )
    return bool((np.diff(along[order]) >= needed).all())


def _as_people_count(scene: Scene, places: Places, along: Array, key: OrderKey) -> bool:
    """Tell whether a scene graph that ranks by this key finds the same order.

    "From the left" is counted by where things stand in the picture, and "closest" by distance,
    both of which may differ from the order along a straight axis.
    """
    ranked = measure(Key(key.value), scene, places)
    return bool((np.argsort(-ranked, kind="stable") == np.argsort(-along, kind="stable")).all())
