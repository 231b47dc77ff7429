# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From a query to the scene that its sentence may talk about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from roborefer_vlm.backends.scene_graph.boxes import upright_box
from roborefer_vlm.backends.scene_graph.detector import Detector
from roborefer_vlm.backends.scene_graph.namer import Namer
from roborefer_vlm.backends.scene_graph.naming_boxes import name_segments
from roborefer_vlm.backends.scene_graph.naming_segments import named_segments
from roborefer_vlm.backends.scene_graph.resting import find_supports
from roborefer_vlm.backends.scene_graph.segmentation import DepthSegmenter, Segmenter
from roborefer_vlm.backends.scene_graph.shapes import shape_words, size_words
from roborefer_vlm.backends.scene_graph.surfaces import Level, find_levels, main_level
from roborefer_vlm.backends.scene_graph.things import Thing, measure
from roborefer_vlm.backends.scene_graph.view import View
from roborefer_vlm.scenes.graph import Scene, SceneObject, Surface
from roborefer_vlm.types import GivenObject, Query


def build_scene(
    query: Query,
    *,
    segmenter: Segmenter | None = None,
    detector: Detector | None = None,
    namer: Namer | None = None,
    phrases: Sequence[str] = (),
) -> Scene:
    """Return the scene of a view: things with their looks, and what they stand on.

    Things get the ids 1, 2, ... in the order given, surfaces the ids after them. A thing whose
    depth was not measured keeps its id free.

    Args:
        query: With metric depth and intrinsics; its `objects` are used where it has any.
        segmenter: Finds things where none are given; None: by depth, see segmentation.
        detector: Open-vocabulary detector that names them; without it they have no names.
        namer: Names what no detector named, from a closed set; where it is unsure, nothing does.
        phrases: What the detector shall look for, such as "red mug".

    Raises:
        QueryError: Depth or intrinsics are missing, or next to nothing was measured.
    """
    view = View.of(query)
    seen = query.objects or _look(view, segmenter or DepthSegmenter(), detector, namer, phrases)
    found = [measure(view, o.mask, o.name, frozenset(o.attributes)) for o in seen]
    covered = np.zeros(view.cloud.depth.shape, bool)
    for given in seen:
        covered |= view.worked(given.mask)
    levels = find_levels(view, covered)
    numbers = [i for i, thing in enumerate(found, 1) if thing is not None]
    things = [thing for thing in found if thing is not None]
    first = len(found) + 1
    ids = [*numbers, *range(first, first + len(levels))]
    surfaces = [
        Surface(first + i, level.name, level.height, level.outline, view.shown(level.mask))
        for i, level in enumerate(levels)
    ]
    objects = _objects(things, levels, ids)
    return Scene(view.camera, objects, surfaces, view.full.depth)


def _look(
    view: View,
    segmenter: Segmenter,
    detector: Detector | None,
    namer: Namer | None,
    phrases: Sequence[str],
) -> list[GivenObject]:
    """Return the things that a view shows, named by detector and namer where there are such."""
    segments = segmenter.segment(view)
    if detector is None:
        named = [GivenObject("", mask) for mask in segments]
    else:
        level = main_level(view, np.zeros(view.cloud.depth.shape, bool))
        bare = np.zeros(view.full.depth.shape, bool) if level is None else view.shown(level.mask)
        named = name_segments(detector.detect(view.image, phrases), segments, bare)
    return named if namer is None else named_segments(view, named, namer)


def _objects(
    things: Sequence[Thing], levels: Sequence[Level], ids: Sequence[int]
) -> list[SceneObject]:
    """Return things with their supports, boxes down to them, and words for their shape."""
    supports = find_supports(things, levels)
    objects = []
    for i, (thing, support) in enumerate(zip(things, supports, strict=True)):
        box = thing.box
        if support is not None and (floor := _floor(thing, support, things, levels)) is not None:
            box = upright_box(thing.sample, floor)
        words = thing.attributes | shape_words(thing.sample, box, thing.hollow)
        objects.append(
            SceneObject(
                id=ids[i],
                name=thing.name,
                box=box,
                colors=thing.colors,
                attributes=words,
                points=thing.points,
                mask=thing.mask,
                support=None if support is None else ids[support],
                hollow=thing.hollow,
            )
        )
    return [
        replace(made, attributes=made.attributes | words)
        for made, words in zip(objects, size_words(objects), strict=True)
    ]


def _floor(
    thing: Thing, support: int, things: Sequence[Thing], levels: Sequence[Level]
) -> float | None:
    """Return the height that a thing reaches down to, or None where it is inside another."""
    if support >= len(things):
        return levels[support - len(things)].height
    lower = things[support]
    return None if lower.hollow else min(lower.top, thing.bottom)
