# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From a frame of a scanned room to a view: things, what is seen of them, and surfaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from roborefer_vlm.data.platforms import support_of
from roborefer_vlm.data.sources.scan_frames import AnnotatedBox, Layout, Pictures
from roborefer_vlm.data.sources.scan_masks import (
    bare_pixels,
    floor_of,
    level_near,
    off_levels,
    owners_of,
    points_of,
)
from roborefer_vlm.data.sources.scan_words import (
    FLOOR,
    STRUCTURE,
    has_flat_top,
    is_hollow,
    noun_of,
)
from roborefer_vlm.data.views import Fact, View
from roborefer_vlm.scenes.graph import Array, Scene, SceneObject, Surface
from roborefer_vlm.scenes.places import footprint
from roborefer_vlm.scenes.relations.thresholds import value
from roborefer_vlm.types import FloatArray

# Of the seen points of a thing this many are kept.
_MOST_POINTS = 2000
# Every so many rows and columns are looked at to find levels.
_STEP = 2


@dataclass(frozen=True)
class Reading:
    """What is taken for granted when a frame is read.

    Attributes:
        exhaustive: Everything that stands in the room has a box.
        generic_is_a_class: A thing without a name is none of those that have one.
        faces: Nouns of things that face along the first axis of their box, as in RoboSpatial's
            annotations.
    """

    exhaustive: bool
    generic_is_a_class: bool = False
    faces: frozenset[str] = frozenset()


def view_of(key: str, layout: Layout, pictures: Pictures, reading: Reading) -> View:
    """Return a frame as a view; ids count the boxes that are no structure, from 1, in order.

    A thing is visible if enough pixels have their measured point in its box, and if the
    annotation does not say otherwise; else its mask is empty. Without depth, boxes hide each
    other. Tables, desks, counters and shelves are surfaces; what is under their tops stays as a
    thing that is not seen and has no name.
    """
    true = pictures.depth_m if pictures.true_depth_m is None else pictures.true_depth_m
    points = None if true is None else points_of(layout.camera, true)
    named = _things(layout, true, reading)
    levels = _levels(layout, named, points)
    if points is not None:
        named = [_seen(thing, levels, points) for thing in named]
    surfaces = _surfaces(levels, named, points)
    things = [_without_top(thing) for thing in named]
    scene = Scene(layout.camera, things, surfaces, true)
    # A table carries as a surface, whose height is measured.
    carriers = replace(scene, objects=[t for t in named if not has_flat_top(t.name)])
    supports = [support_of(carriers, thing) for thing in things]
    things = [
        replace(thing, support=None if below is None else below.id)
        for thing, below in zip(things, supports, strict=True)
    ]
    return View(
        key,
        pictures.rgb,
        replace(scene, objects=things),
        pictures.depth_m if pictures.depth_m is not None else pictures.true_depth_m,
        _trusts(named, surfaces, true is not None, reading),
        nouns={thing.id: (thing.name,) for thing in things if thing.name},
    )


def _things(layout: Layout, depth_m: FloatArray | None, reading: Reading) -> list[SceneObject]:
    boxes = [one for one in layout.boxes if noun_of(one.label) not in STRUCTURE]
    owners = owners_of(layout.camera, [one.box for one in boxes], depth_m)
    things = []
    for index, one in enumerate(boxes):
        mask = owners == index
        if layout.seen is not None and one.key not in layout.seen:
            mask[:] = False
        things.append(replace(_thing(index + 1, one, reading), mask=mask))
    return things


def _seen(thing: SceneObject, levels: Sequence[Surface], points: FloatArray) -> SceneObject:
    """Return a thing without the pixels of what it stands on, and with its points."""
    assert thing.mask is not None
    mask = thing.mask
    if not has_flat_top(thing.name):
        near = [
            (level.height, level.outline)
            for level in levels
            if abs(level.height - thing.box.bottom) <= value("contact")
        ]
        mask = off_levels(mask, points, thing.box, near)
    own = points[mask]
    return replace(thing, mask=mask, points=own[:: max(-(-len(own) // _MOST_POINTS), 1)])


def _top_id(thing: SceneObject, count: int) -> int:
    """Return the id of the surface on a thing, the same in all views of a room."""
    return count + thing.id


def _without_top(thing: SceneObject) -> SceneObject:
    """Return what a table is besides its top: something nameless and unseen that fills space.

    People who ask for "the object" do not mean it. Other things stay as they are.
    """
    if not has_flat_top(thing.name):
        return thing
    return replace(thing, name="", mask=np.zeros_like(thing.mask), points=None)


def _thing(number: int, one: AnnotatedBox, reading: Reading) -> SceneObject:
    noun = noun_of(one.label)
    front = one.axis if noun in reading.faces else None
    return SceneObject(number, noun, one.box, front=front, hollow=is_hollow(noun))


def _levels(
    layout: Layout, things: Sequence[SceneObject], points: FloatArray | None
) -> list[Surface]:
    """Return floors and level tops, at the height that the depth shows, without their pixels."""
    seen = None if points is None else points[::_STEP, ::_STEP].reshape(-1, 3)
    if seen is not None:
        seen = seen[np.isfinite(seen[:, 2])]
    found: list[tuple[int, str, float, Array]] = []
    # Behind the ids of things and of their tops.
    floor_id = 2 * len(things) + 1
    for one in layout.boxes:
        if noun_of(one.label) == FLOOR:
            outline = footprint(SceneObject(0, FLOOR, one.box))
            found.append((floor_id + len(found), FLOOR, one.box.top, outline))
    if not found and seen is not None:
        measured = floor_of(seen, [thing.box for thing in things])
        if measured is not None:
            found.append((floor_id, FLOOR, *measured))
    tops = [thing for thing in things if has_flat_top(thing.name)]
    found += [(_top_id(t, len(things)), t.name, t.box.top, footprint(t)) for t in tops]
    levels = []
    for number, name, top, outline in found:
        height = None if seen is None else level_near(seen, outline, top)
        levels.append(Surface(number, name, top if height is None else height, outline))
    return levels


def _surfaces(
    levels: Sequence[Surface], things: Sequence[SceneObject], points: FloatArray | None
) -> tuple[Surface, ...]:
    """Return levels with their bare pixels, the one of which most is seen first."""
    if points is None:
        return tuple(levels)
    free = np.ones(points.shape[:2], bool)
    for thing in things:
        if thing.mask is not None and not has_flat_top(thing.name):
            free &= ~thing.mask
    bare = [bare_pixels(points, free, level.outline, level.height) for level in levels]
    order = np.argsort([-mask.sum() for mask in bare], kind="stable")
    return tuple(replace(levels[i], mask=bare[i]) for i in order)


def _trusts(
    things: Sequence[SceneObject], surfaces: Sequence[Surface], depth: bool, reading: Reading
) -> frozenset[Fact]:
    trusts = {Fact.METRIC, Fact.BOXES}
    # What nobody annotated shows in the depth.
    if surfaces and (depth or reading.exhaustive):
        trusts.add(Fact.FREE_SPACE)
    nameless = any(t.mask is not None and t.mask.any() for t in things if not t.name)
    if reading.exhaustive and (reading.generic_is_a_class or not nameless):
        trusts.add(Fact.COMPLETE)
    if reading.faces:
        trusts.add(Fact.FRONTS)
    return frozenset(trusts)
