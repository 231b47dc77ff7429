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
from roborefer_vlm.scenes.places import Places, footprint
from roborefer_vlm.scenes.polygons import smallest_rectangle
from roborefer_vlm.scenes.program import Constraint, Part, PartName, Side
from roborefer_vlm.scenes.relations import Relation, relation_scores
from roborefer_vlm.scenes.relations.grading import falling

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
# Of a table that stands askew, two edges may be the far one: their cosines differ by less.
_AS_WELL = 0.15
# A place is at an edge if it is closer to it than to the others by this factor, as on paper.
_CLOSER = 2 / 3
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


def region_of(constraint: Constraint, anchors: Sequence[Place]) -> tuple[Surface, Part] | None:
    """Return the part that "on the left side of the table" means; None for anything else."""
    if len(anchors) != 1 or not isinstance(anchors[0], Surface):
        return None
    phrase = constraint.anchors[0]
    if not isinstance(phrase, Part) or constraint.relation not in _ON_IT:
        return None
    return (anchors[0], phrase) if surface_relations(phrase) else None


def part_scores(scene: Scene, places: Places, surface: Surface, part: Part) -> Array:
    """Return how well places are on a part of a surface, shape (N,), 0 to 1."""
    scores = np.ones(len(places))
    for relation in surface_relations(part):
        scores = scores * relation_scores(relation, scene, places, [surface])
    if part.name is PartName.EDGE and len(part.sides) == 1:
        scores = scores * _at_side(scene, places, surface, part)
    return scores


def _at_side(scene: Scene, places: Places, surface: Surface, part: Part) -> Array:
    """Return how much places are at that edge of a surface rather than at another, (N,).

    The far half of a table has a piece of its left edge, too, which nobody calls the far edge.
    """
    center, axes, size = smallest_rectangle(footprint(surface))
    outward = np.concatenate([axes.T, -axes.T])
    half = np.concatenate([size, size]) / 2
    toward = part_direction(scene, part)[:2]
    aligned = outward @ toward / max(float(np.linalg.norm(toward)), 1e-9)
    meant = aligned > aligned.max() - _AS_WELL
    away = np.abs(half - (places.centers[:, :2] - center) @ outward.T)
    own, other = away[:, meant].min(axis=1), away[:, ~meant].min(axis=1)
    return falling(own / np.maximum(other, 1e-6), _CLOSER, 2 * _CLOSER)


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
