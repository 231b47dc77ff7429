# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Ask for a relation: scores between 0 and 1, or the value that it measures."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np

from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.graph import Array, Scene
from roborefer_vlm.scenes.places import Anchor, Places, describe
from roborefer_vlm.scenes.relations import directions
from roborefer_vlm.scenes.relations.case import Case
from roborefer_vlm.scenes.relations.names import Relation
from roborefer_vlm.scenes.relations.registry import RULES


def relation_scores(
    relation: Relation,
    scene: Scene,
    subjects: Places,
    anchors: Sequence[Anchor] = (),
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
        frame: Whose left and right; relations without directions do not look at it.
        distance_m: Metres that the sentence names, for relations that can be measured.
        angle_rad: Angle that the sentence names, for those of ANGLE and ROTATION.

    Returns:
        Shape (N,), 0 to 1, always finite; 0.5 and more means that it holds. An anchor that is
        among the subjects scores 0: nothing is left of, near, far from or between itself.

    Raises:
        QueryError: The number of anchors, the frame or a value does not suit the relation.
    """
    case = _case(relation, scene, subjects, anchors, frame, distance_m, angle_rad)
    rule = RULES[Relation(relation)]
    if rule.needs and getattr(case, rule.needs) is None:
        raise QueryError(
            f"'{relation}' needs {rule.needs}; relation_values tells what was measured instead"
        )
    if not len(subjects):
        return np.zeros(0)
    scores = _finite(rule.score(case))
    return np.where(subjects.among(anchors), 0.0, scores)


def direction_scores(
    relation: Relation,
    scene: Scene,
    subjects: Places,
    anchors: Sequence[Anchor],
    *,
    frame: Frame = Frame.VIEWER,
) -> Array:
    """Tell how well each subject is aligned with a direction, near or far alike.

    These are the scores of LEFT to BELOW and DIRECTLY_LEFT to DIRECTLY_BELOW before nearness
    lowers them; both hold for the same places.

    Returns:
        Shape (N,), 0 to 1.

    Raises:
        QueryError: The relation is no direction, or as for relation_scores.
    """
    case = _case(relation, scene, subjects, anchors, frame, None, None)
    word = relation.removeprefix("directly_")
    if word not in directions.WORDS:
        raise QueryError(f"'{relation}' is no direction; use {', '.join(directions.WORDS)}")
    if not len(subjects):
        return np.zeros(0)
    scores = directions.alignment(case, word, narrow=word != relation)
    return np.where(subjects.among(anchors), 0.0, _finite(scores))


def relation_values(
    relation: Relation,
    scene: Scene,
    subjects: Places,
    anchors: Sequence[Anchor] = (),
    *,
    frame: Frame = Frame.VIEWER,
) -> Array:
    """Measure what a relation is about, in metres or radians.

    Directions: from side to side along the direction, negative on the other side (in the frame
    IMAGE pixels). NEAR, FAR,
    BESIDE, AROUND, TOUCH, FAR_FROM, DISTANCE: between the surfaces, or to the camera without an
    anchor. DEPTH: along the line of sight. FREE_SPACE: to the nearest thing. CORNER, EDGE: to
    the nearest one. ANGLE: between fronts. ROTATION: to turn left, or to look up.

    Returns:
        Shape (N,), finite.

    Raises:
        QueryError: The relation measures nothing, a subject lacks what is measured, or as for
            relation_scores.
    """
    case = _case(relation, scene, subjects, anchors, frame, None, None)
    function = RULES[Relation(relation)].value
    if function is None:
        measuring = ", ".join(name for name, rule in RULES.items() if rule.value)
        raise QueryError(f"'{relation}' measures nothing; these do: {measuring}")
    if not len(subjects):
        return np.zeros(0)
    values = function(case)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        place = describe(subjects.things[bad[0]]) if subjects.things else f"point {bad[0]}"
        raise QueryError(
            f"'{relation}' cannot be measured for {place}: it has no front, or it is not in front"
            " of the camera"
        )
    return values


def _case(
    relation: Relation,
    scene: Scene,
    subjects: Places,
    anchors: Sequence[Anchor],
    frame: Frame,
    distance_m: float | None,
    angle_rad: float | None,
) -> Case:
    try:
        rule, frame = RULES[Relation(relation)], Frame(frame)
    except ValueError as error:
        raise QueryError(
            f"{error}; relations: {', '.join(Relation)}; frames: {', '.join(Frame)}"
        ) from None
    if len(anchors) < rule.fewest or (rule.most is not None and len(anchors) > rule.most):
        raise QueryError(
            f"'{relation}' was given {len(anchors)} anchors;"
            f" it needs {_count(rule.fewest, rule.most)}"
        )
    if rule.frames and frame not in rule.frames:
        raise QueryError(
            f"'{relation}' has no meaning in frame '{frame}'; use {', '.join(rule.frames)}"
        )
    for name, given in (("distance_m", distance_m), ("angle_rad", angle_rad)):
        if given is not None and not isfinite(given):
            raise QueryError(f"{name} is {given}; a finite number is needed")
    if distance_m is not None and not rule.takes_distance:
        takers = ", ".join(other for other, its in RULES.items() if its.takes_distance)
        raise QueryError(f"'{relation}' takes no distance; these do: {takers}")
    if distance_m is not None and distance_m < 0 and relation != Relation.DEPTH:
        raise QueryError(f"distance_m is {distance_m}; 0 or more metres are needed")
    if angle_rad is not None and rule.needs != "angle_rad":
        takers = ", ".join(other for other, its in RULES.items() if its.needs == "angle_rad")
        raise QueryError(f"'{relation}' takes no angle; these do: {takers}")
    _check_camera(scene)
    return Case(scene, subjects, anchors, frame, distance_m, angle_rad)


def _finite(scores: Array) -> Array:
    """Return scores from 0 to 1, 0 for what is not a number."""
    return np.asarray(np.where(np.isnan(scores), 0.0, np.minimum(np.maximum(scores, 0), 1)))


def _count(fewest: int, most: int | None) -> str:
    if most is None:
        return f"at least {fewest}"
    return str(fewest) if fewest == most else f"{fewest} to {most}"


def _check_camera(scene: Scene) -> None:
    pose = scene.camera.t_scene_optical
    if pose.shape != (4, 4) or not np.isfinite(pose).all():
        raise QueryError("the camera's pose t_scene_optical must be 4 x 4 and finite")
