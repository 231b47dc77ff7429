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
        faces: Nouns of things that face along the first axis of their box, as in RoboSpatial's
            annotations.
    """

    exhaustive: bool
    faces: frozenset[str] = frozenset()


def view_of(key: str, layout: Layout, pictures: Pictures, reading: Reading) -> View:
    """Return a frame as a view; ids count the boxes that are no structure, from 1, in order.

    A thing is visible if enough pixels have their measured point in its box, and if the
    annotation does not say otherwise; else its mask is empty. Without depth, boxes hide each
    other.
    """
    camera = layout.camera
    boxes = [one for one in layout.boxes if noun_of(one.label) not in STRUCTURE]
    true = pictures.depth_m if pictures.true_depth_m is None else pictures.true_depth_m
    owners = owners_of(camera, [one.box for one in boxes], true)
    points = None if true is None else points_of(camera, true)
    things = []
    for index, one in enumerate(boxes):
        mask = owners == index
        if layout.seen is not None and one.key not in layout.seen:
            mask[:] = False
        things.append(_thing(index + 1, one, reading))
        surface = None if points is None else _thinned(points[mask])
        things[-1] = replace(things[-1], mask=mask, points=surface)
    surfaces = _surfaces(layout, things, points)
    scene = Scene(camera, things, surfaces, true)
    # A table carries things as a surface, whose height is measured, not as a thing.
    carriers = replace(scene, objects=[t for t in things if not has_flat_top(t.name)])
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
        _trusts(things, surfaces, true is not None, reading),
        nouns={thing.id: (thing.name,) for thing in things if thing.name},
    )


def _thing(number: int, one: AnnotatedBox, reading: Reading) -> SceneObject:
    noun = noun_of(one.label)
    front = one.axis if noun in reading.faces else None
    return SceneObject(number, noun, one.box, front=front, hollow=is_hollow(noun))


def _thinned(points: FloatArray) -> FloatArray:
    return points[:: max(-(-len(points) // _MOST_POINTS), 1)]


def _surfaces(
    layout: Layout, things: Sequence[SceneObject], points: FloatArray | None
) -> tuple[Surface, ...]:
    """Return floors and level tops, the one of which most is seen first."""
    seen = None if points is None else points[::_STEP, ::_STEP].reshape(-1, 3)
    if seen is not None:
        seen = seen[np.isfinite(seen[:, 2])]
    found: list[tuple[str, float, Array]] = []
    for one in layout.boxes:
        if noun_of(one.label) == FLOOR:
            floor = SceneObject(0, FLOOR, one.box)
            found.append((FLOOR, one.box.top, footprint(floor)))
    if not found and seen is not None:
        measured = floor_of(seen, [thing.box for thing in things])
        if measured is not None:
            found.append((FLOOR, *measured))
    found += [(t.name, t.box.top, footprint(t)) for t in things if has_flat_top(t.name)]
    free = np.logical_and.reduce(
        [np.ones((layout.camera.intrinsics.height, layout.camera.intrinsics.width), bool)]
        + [~t.mask for t in things if t.mask is not None and not has_flat_top(t.name)]
    )
    surfaces = []
    for number, (name, top, outline) in enumerate(found, start=len(things) + 1):
        height, mask = top, None
        if points is not None and seen is not None:
            measured_top = level_near(seen, outline, top)
            height = top if measured_top is None else measured_top
            mask = bare_pixels(points, free, outline, height)
        surfaces.append(Surface(number, name, height, outline, mask))
    surfaces.sort(key=lambda s: 0 if s.mask is None else -int(s.mask.sum()))
    return tuple(surfaces)


def _trusts(
    things: Sequence[SceneObject], surfaces: Sequence[Surface], depth: bool, reading: Reading
) -> frozenset[Fact]:
    trusts = {Fact.METRIC, Fact.BOXES}
    # What nobody annotated shows in the depth.
    if surfaces and (depth or reading.exhaustive):
        trusts.add(Fact.FREE_SPACE)
    # A thing without a name could be one of any kind.
    nameless = any(t.mask is not None and t.mask.any() for t in things if not t.name)
    if reading.exhaustive and not nameless:
        trusts.add(Fact.COMPLETE)
    if reading.faces:
        trusts.add(Fact.FRONTS)
    return frozenset(trusts)
