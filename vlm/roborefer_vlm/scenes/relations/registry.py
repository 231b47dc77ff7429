# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Which function answers for which relation, and what it needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.graph import Array, Scene
from roborefer_vlm.scenes.places import Anchor, Places
from roborefer_vlm.scenes.relations import directions, proximity, regions
from roborefer_vlm.scenes.relations.case import Case
from roborefer_vlm.scenes.relations.names import Relation


@dataclass(frozen=True)
class Rule:
    """How a relation is decided.

    Attributes:
        score: The predicate; its docstring is the definition.
        fewest: Fewest anchors.
        most: Most anchors; None: any number.
    """

    score: Callable[[Case], Array]
    fewest: int = 1
    most: int | None = 1


RULES: dict[Relation, Rule] = {
    Relation.LEFT: Rule(directions.left),
    Relation.RIGHT: Rule(directions.right),
    Relation.FRONT: Rule(directions.front),
    Relation.BEHIND: Rule(directions.behind),
    Relation.NEAR: Rule(proximity.near),
    Relation.FAR: Rule(proximity.far),
    Relation.BETWEEN: Rule(regions.between, 2, 2),
}


def relation_scores(
    relation: Relation,
    scene: Scene,
    subjects: Places,
    anchors: Sequence[Anchor],
    *,
    frame: Frame = Frame.VIEWER,
    distance_m: float | None = None,
    angle_rad: float | None = None,
) -> Array:
    """Tell how well each subject is in a relation to the anchors.

    Args:
        relation: Which one.
        scene: Where all of it is.
        subjects: The N candidates.
        anchors: What the words refer to, things or surfaces; how many depends on the relation.
        frame: Whose left and right.
        distance_m: Metres that the sentence names, for relations that can be measured.
        angle_rad: Angle that the sentence names.

    Returns:
        Shape (N,), 0 to 1, always finite; 0.5 and more means that it holds. An anchor that is
        among the subjects scores 0: nothing is left of, near or between itself.

    Raises:
        QueryError: The number of anchors, the frame or a value does not suit the relation.
    """
    rule = RULES[relation]
    if len(anchors) < rule.fewest or (rule.most is not None and len(anchors) > rule.most):
        raise QueryError(f"'{relation}' was given {len(anchors)} anchors; {rule.fewest} needed")
    case = Case(scene, subjects, anchors, frame, distance_m, angle_rad)
    if not len(subjects):
        return np.zeros(0)
    scores = np.clip(rule.score(case), 0, 1)
    return np.where(subjects.among(anchors), 0.0, scores)
