# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Which function answers for which relation, and what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.graph import Array
from roborefer_vlm.scenes.relations import (
    comparisons,
    containment,
    directions,
    facing,
    proximity,
    regions,
)
from roborefer_vlm.scenes.relations.case import Case
from roborefer_vlm.scenes.relations.names import Relation

Function = Callable[[Case], Array]

_SPACE = (Frame.VIEWER, Frame.WORLD, Frame.OBJECT)
_ALL = (*_SPACE, Frame.IMAGE)


@dataclass(frozen=True)
class Rule:
    """How a relation is decided.

    Attributes:
        score: The predicate; its docstring is the definition.
        source: Where the relation comes from.
        fewest: Fewest anchors.
        most: Most anchors; None: any number.
        frames: The frames that change its meaning; empty: it is the same in all of them.
        value: What it measures, in metres or radians; None: it is only a score.
        thresholds: Names of the thresholds it uses.
        takes_distance: Whether a sentence may name metres.
        needs: The field of Case without which it says nothing: "distance_m", "angle_rad" or "".
    """

    score: Function
    source: str
    fewest: int = 1
    most: int | None = 1
    frames: tuple[Frame, ...] = ()
    value: Function | None = None
    thresholds: tuple[str, ...] = ()
    takes_distance: bool = False
    needs: str = ""


def _direction(score: Function, word: str, source: str, *, narrow: bool = False) -> Rule:
    cone = ("narrow_cone", "narrow_proximity_weight") if narrow else ("cone", "proximity_weight")
    return Rule(
        score,
        source,
        frames=_SPACE if word in ("front", "behind") else _ALL,
        value=lambda case: directions.offset(case, word),
        thresholds=(*cone, "reach", "distance_tolerance", "distance_share"),
        takes_distance=True,
    )


def _comparison(score: Function, source: str) -> Rule:
    return Rule(score, source, 0, None, thresholds=("comparison_steepness", "least_size"))


def _part(score: Function) -> Rule:
    return Rule(
        score,
        "sentences (part of a surface)",
        frames=_SPACE,
        thresholds=("part_middle", "outline_slack"),
    )


_REF = "RefSpatial"
_BOTH = "RefSpatial, RoboSpatial"
_WORDS = "sentences"
_REACH = ("reach", "scene_reach", "least_reach")
_NAMED = ("distance_tolerance", "distance_share")

RULES: dict[Relation, Rule] = {
    Relation.LEFT: _direction(directions.left, "left", _BOTH),
    Relation.RIGHT: _direction(directions.right, "right", _BOTH),
    Relation.FRONT: _direction(directions.front, "front", _BOTH),
    Relation.BEHIND: _direction(directions.behind, "behind", _BOTH),
    Relation.ABOVE: _direction(directions.above, "above", f"{_BOTH}: above (world, image)"),
    Relation.BELOW: _direction(directions.below, "below", f"{_BOTH}: below (world, image)"),
    Relation.DIRECTLY_LEFT: _direction(directions.directly_left, "left", _WORDS, narrow=True),
    Relation.DIRECTLY_RIGHT: _direction(directions.directly_right, "right", _WORDS, narrow=True),
    Relation.DIRECTLY_FRONT: _direction(directions.directly_front, "front", _WORDS, narrow=True),
    Relation.DIRECTLY_BEHIND: _direction(
        directions.directly_behind, "behind", _WORDS, narrow=True
    ),
    Relation.DIRECTLY_ABOVE: _direction(directions.directly_above, "above", _WORDS, narrow=True),
    Relation.DIRECTLY_BELOW: _direction(directions.directly_below, "below", _WORDS, narrow=True),
    Relation.NEAR: Rule(
        proximity.near,
        f"{_REF}: close",
        0,
        value=proximity.separation_value,
        thresholds=(*_REACH, "comparison_steepness", "touch"),
        takes_distance=True,
    ),
    Relation.FAR: Rule(
        proximity.far,
        f"{_REF}: far",
        0,
        value=proximity.separation_value,
        thresholds=(*_REACH, "comparison_steepness", "touch"),
        takes_distance=True,
    ),
    Relation.BESIDE: Rule(
        proximity.beside,
        _WORDS,
        value=proximity.distance_value,
        thresholds=(*_REACH, *_NAMED, "outline_slack"),
        takes_distance=True,
    ),
    Relation.AROUND: Rule(
        proximity.around,
        _WORDS,
        value=proximity.distance_value,
        thresholds=(*_REACH, "touch", "outline_slack"),
        takes_distance=True,
    ),
    Relation.TOUCH: Rule(
        proximity.touch, _REF, value=proximity.distance_value, thresholds=("touch",)
    ),
    Relation.FAR_FROM: Rule(
        proximity.far_from,
        f"{_REF}: far-from (separated)",
        value=proximity.distance_value,
        thresholds=("touch",),
    ),
    Relation.BETWEEN: Rule(
        regions.between, _REF, 2, 2, thresholds=("between_width", "least_lane")
    ),
    Relation.AMONG: Rule(
        regions.among, _WORDS, 2, None, thresholds=("hull_margin", "least_reach")
    ),
    Relation.MIDDLE: Rule(regions.middle, _WORDS, 0, None, thresholds=("middle", "least_reach")),
    Relation.CORNER: Rule(
        regions.corner, _REF, value=regions.corner_value, thresholds=("corner", "outline_slack")
    ),
    Relation.EDGE: Rule(
        regions.edge, _REF, value=regions.edge_value, thresholds=("edge", "outline_slack")
    ),
    Relation.LEFT_PART: _part(regions.left_part),
    Relation.RIGHT_PART: _part(regions.right_part),
    Relation.FRONT_PART: _part(regions.front_part),
    Relation.BACK_PART: _part(regions.back_part),
    Relation.FREE_SPACE: Rule(
        regions.free_space,
        _REF,
        0,
        value=regions.free_space_value,
        thresholds=("clearance", "headroom", "contact_blur", "outline_slack"),
    ),
    Relation.ON: Rule(
        containment.on,
        _WORDS,
        thresholds=(
            "contact",
            "point_contact",
            "indirect_support",
            "other_support",
            "outline_slack",
        ),
    ),
    Relation.UNDER: Rule(
        containment.under, _WORDS, thresholds=("contact", "point_contact", "outline_slack")
    ),
    Relation.INSIDE: Rule(
        containment.inside,
        _REF,
        thresholds=("rim", "rim_share", "picture_containment", "outline_slack"),
    ),
    Relation.OUTSIDE: Rule(
        containment.outside,
        _REF,
        thresholds=("rim", "rim_share", "picture_containment", "outline_slack"),
    ),
    Relation.TALL: _comparison(comparisons.tall, _REF),
    Relation.SHORT: _comparison(comparisons.short, _REF),
    Relation.BIG: _comparison(comparisons.big, _REF),
    Relation.SMALL: _comparison(comparisons.small, _REF),
    Relation.WIDE: _comparison(comparisons.wide, _REF),
    Relation.THIN: _comparison(comparisons.thin, _REF),
    Relation.FACE: Rule(facing.face, _REF, 0, thresholds=("facing",)),
    Relation.BACK: Rule(facing.back, _REF, 0, thresholds=("facing",)),
    Relation.DEPTH: Rule(
        proximity.depth,
        _REF,
        0,
        value=proximity.depth_value,
        thresholds=_NAMED,
        takes_distance=True,
        needs="distance_m",
    ),
    Relation.DISTANCE: Rule(
        proximity.distance,
        _REF,
        value=proximity.distance_value,
        thresholds=_NAMED,
        takes_distance=True,
        needs="distance_m",
    ),
    Relation.ANGLE: Rule(
        facing.angle,
        _REF,
        value=facing.angle_value,
        thresholds=("angle_tolerance",),
        needs="angle_rad",
    ),
    Relation.ROTATION_HORIZONTAL: Rule(
        facing.rotation_horizontal,
        _REF,
        0,
        value=facing.rotation_horizontal_value,
        thresholds=("angle_tolerance",),
        needs="angle_rad",
    ),
    Relation.ROTATION_VERTICAL: Rule(
        facing.rotation_vertical,
        _REF,
        0,
        value=facing.rotation_vertical_value,
        thresholds=("angle_tolerance",),
        needs="angle_rad",
    ),
}
