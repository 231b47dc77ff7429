# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Parts of things as anchors: "the right side of the carton", "the edge of the table"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from roborefer_vlm.scenes.frames import viewer_axes
from roborefer_vlm.scenes.graph import Array, OrientedBox, Scene, SceneObject, Surface
from roborefer_vlm.scenes.places import Anchor as Place
from roborefer_vlm.scenes.places import Places
from roborefer_vlm.scenes.program import Constraint, Part, PartName, Side
from roborefer_vlm.scenes.relations import Relation

_REGIONS = {
    PartName.EDGE: Relation.EDGE,
    PartName.CORNER: Relation.CORNER,
    PartName.CENTER: Relation.MIDDLE,
}
_HALVES = {
    Side.LEFT: Relation.LEFT_PART,
    Side.RIGHT: Relation.RIGHT_PART,
    Side.NEAR: Relation.FRONT_PART,
    Side.BOTTOM: Relation.FRONT_PART,
    Side.FAR: Relation.BACK_PART,
    Side.TOP: Relation.BACK_PART,
}
_ON_IT = (Relation.ON, Relation.INSIDE, Relation.NEAR, Relation.BESIDE)


def surface_relations(part: Part) -> list[Relation]:
    """Return the relations that a place on a part of a surface has to the surface."""
    found = [_HALVES[side] for side in part.sides]
    if part.name in _REGIONS:
        found.append(_REGIONS[part.name])
    elif part.name is PartName.FRONT:
        found.append(Relation.FRONT_PART)
    elif part.name is PartName.BACK:
        found.append(Relation.BACK_PART)
    return found


def region_relations(constraint: Constraint, anchors: Sequence[Place]) -> list[Relation]:
    """Return what "on the left side of the table" asks of a place; empty for anything else."""
    if len(anchors) != 1 or not isinstance(anchors[0], Surface):
        return []
    phrase = constraint.anchors[0]
    if not isinstance(phrase, Part) or constraint.relation not in _ON_IT:
        return []
    return surface_relations(phrase)


def part_direction(scene: Scene, part: Part) -> Array:
    """Return where a part lies from the middle of its thing, shape (3,), not normalised."""
    axes = viewer_axes(scene.camera)
    toward = {
        Side.LEFT: axes.left,
        Side.RIGHT: -axes.left,
        Side.NEAR: axes.front,
        Side.FAR: -axes.front,
        Side.TOP: axes.up,
        Side.BOTTOM: -axes.up,
    }
    direction = sum((toward[side] for side in part.sides), np.zeros(3))
    if part.name in (PartName.TOP, PartName.LID, PartName.RIM, PartName.SPOUT):
        direction = direction + axes.up
    elif part.name is PartName.BOTTOM:
        direction = direction - axes.up
    elif part.name is PartName.FRONT:
        direction = direction + axes.front
    elif part.name is PartName.BACK:
        direction = direction - axes.front
    return np.asarray(direction)


def part_as_place(scene: Scene, place: Place, part: Part) -> Place:
    """Return a part of a thing as a small thing of its own, with the same id."""
    direction = part_direction(scene, part)
    length = float(np.linalg.norm(direction))
    if length < 1e-6 or not isinstance(place, SceneObject):
        return place
    toward = direction / length
    located = Places.of_objects([place])
    reach = float(located.half_extents(toward)[0])
    box = OrientedBox(place.box.center + toward * reach, place.box.rotation, place.box.size * 0.05)
    return replace(place, box=box)
