# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether a camera clearly moved to the left or to the right between two views of a scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roborefer_vlm.scenes.frames import viewer_axes
from roborefer_vlm.scenes.graph import Camera, Scene
from roborefer_vlm.scenes.relations import Relation

# Of the way from the first camera to the middle of the things: a smaller step sideways may pass
# for none.
_LEAST_STEP = 0.12
# Of the whole way between the cameras that has to be sideways.
_LEAST_SHARE = 0.6
# Beyond this turn, one camera's left is no longer the other one's.
_MOST_TURN_DEG = 75.0


@dataclass(frozen=True)
class Sideways:
    """A step sideways.

    Attributes:
        side: LEFT or RIGHT, as seen in the first view.
        step: Its length, as share of the distance from the first camera to the things.
    """

    side: Relation
    step: float


def moved_sideways(first: Scene, second: Scene) -> Sideways | None:
    """Return to which side the camera moved from one view to another; None: not clearly.

    A camera that goes around a table to the left turns to the right meanwhile; what counts is
    where it stands.

    Args:
        first: With at least one thing.
        second: The same scene.
    """
    way = second.camera.position - first.camera.position
    before, after = _left(first.camera), _left(second.camera)
    middle = np.mean([thing.box.center for thing in first.objects], axis=0)
    away = float(np.linalg.norm(middle - first.camera.position))
    step = float(way @ before)
    if before @ after < np.cos(np.deg2rad(_MOST_TURN_DEG)) or step * (way @ after) <= 0:
        return None
    if abs(step) < max(_LEAST_STEP * away, _LEAST_SHARE * float(np.linalg.norm(way))):
        return None
    return Sideways(Relation.LEFT if step > 0 else Relation.RIGHT, abs(step) / away)


def _left(camera: Camera) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(viewer_axes(camera).left, float)
