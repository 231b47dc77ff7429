# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""RoboSpatial's configuration where it is beyond doubt, under every definition at hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.frames import Frame, axes_of
from roborefer_vlm.scenes.graph import Scene, SceneObject
from roborefer_vlm.scenes.places import Places
from roborefer_vlm.scenes.relations import Relation, configuration_of, direction_scores
from roborefer_vlm.scenes.relations.configuration import corner_depths, silhouette

OPPOSITES = {
    Relation.LEFT: Relation.RIGHT,
    Relation.RIGHT: Relation.LEFT,
    Relation.FRONT: Relation.BEHIND,
    Relation.BEHIND: Relation.FRONT,
    Relation.ABOVE: Relation.BELOW,
    Relation.BELOW: Relation.ABOVE,
}
# The middle of neither silhouette comes closer to the frame of the other than this share of the
# picture's width.
LEAST_APART = 0.01
# Along a line of sight or an axis of a thing the middles are apart by this much, and by this
# share of both half lengths along it.
LEAST_STEP_M = 0.03
LEAST_STEP_SHARE = 0.5
# From here on the graded relation holds, too: within 60 degrees of the direction.
HOLDS = 0.5


@dataclass(frozen=True)
class Configured:
    """One direction in which a thing clearly lies from another one.

    Attributes:
        relation: LEFT, RIGHT, FRONT, BEHIND, ABOVE or BELOW; its opposite is clearly false.
        margin: How clearly: the share of the picture's width for left and right as the camera
            sees them, else metres.
    """

    relation: Relation
    margin: float


def clear_configuration(
    scene: Scene, first: SceneObject, second: SceneObject, frame: Frame
) -> list[Configured]:
    """Return the directions that hold with a margin; empty where all of them are doubtful.

    A direction counts if RoboSpatial's lenient definition says so (`configuration_of`), if it does
    so with a margin, and if the graded relation of the same name holds as well. In the world's
    frame RoboSpatial takes left, right, front and behind as the camera sees them, others take
    the scene's axes; there both have to agree.

    Raises:
        QueryError: As for `configuration_of`.
    """
    found = configuration_of(scene, first, second, frame)
    subject = Places.of_objects([first])
    clear = []
    for relation in OPPOSITES:
        if not getattr(found, relation.value):
            continue
        margin = _margin(scene, first, second, frame, relation)
        if margin <= 0:
            continue
        if direction_scores(relation, scene, subject, [second], frame=frame)[0] >= HOLDS:
            clear.append(Configured(relation, margin))
    return clear


def has_side(thing: SceneObject, scene: Scene) -> bool:
    """Tell whether a thing has a left, right, front and back of its own."""
    try:
        axes_of(Frame.OBJECT, scene, thing)
    except QueryError:
        return False
    return True


def _margin(
    scene: Scene, first: SceneObject, second: SceneObject, frame: Frame, relation: Relation
) -> float:
    """Return by how much a direction that holds does so; 0 where it is too little."""
    if relation in (Relation.ABOVE, Relation.BELOW):
        return abs(float(first.box.center[2] - second.box.center[2]))
    if frame is Frame.OBJECT:
        axes = axes_of(frame, scene, second)
        axis = axes.left if relation in (Relation.LEFT, Relation.RIGHT) else axes.front
        along = [t.box.corners @ axis for t in (first, second)]
        return _step(along[0], along[1])
    if relation in (Relation.FRONT, Relation.BEHIND):
        return _step(corner_depths(scene, first), corner_depths(scene, second))
    mine, theirs = silhouette(scene, first), silhouette(scene, second)
    if mine.centroid[0] > theirs.centroid[0]:
        mine, theirs = theirs, mine
    width = scene.camera.intrinsics.width
    apart = min(theirs.centroid[0] - mine.high[0], theirs.low[0] - mine.centroid[0]) / width
    return float(apart) if apart >= LEAST_APART else 0.0


def _step(mine: np.ndarray, theirs: np.ndarray) -> float:
    """Return how far the middles of two spans are apart; 0 where it is too little."""
    step = abs(float(mine.mean() - theirs.mean()))
    halves = (np.ptp(mine) + np.ptp(theirs)) / 2
    return step if step >= max(LEAST_STEP_M, LEAST_STEP_SHARE * halves) else 0.0
