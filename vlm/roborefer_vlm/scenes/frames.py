# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Reference frames: from whose view left, right, front and behind are meant.

All axes are unit vectors of the scene's frame; the first two are horizontal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np

from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.graph import Array, Camera, Scene, SceneObject
from roborefer_vlm.scenes.places import UP, Anchor, describe

# Below this length the horizontal part of a direction is noise.
_LEAST_HORIZONTAL = 0.1


class Frame(StrEnum):
    """From whose view a direction is meant."""

    # The picture's axes laid flat on the ground: right is along the columns, "in front of" is
    # nearer to the viewer, "behind" farther (the relative frame of English).
    VIEWER = "viewer"
    # The scene's own axes, wherever the camera is: left is +y, "behind" is +x and "in front of"
    # is -x, as for somebody who looks along x. Gravity is down.
    WORLD = "world"
    # The anchor's own: "in front of" is where its face looks, left is the left hand of somebody
    # who sits in it and looks out. For a viewer who faces it, that is mirrored.
    OBJECT = "object"
    # The flat picture: left, right, above and below in pixels; it has no front and no behind.
    IMAGE = "image"


@dataclass(frozen=True, eq=False)
class Axes:
    """Directions of a frame, unit vectors of shape (3,).

    Attributes:
        front: Where "in front of" points to.
        left: Where "left of" points to.
        up: Against gravity.
    """

    front: Array
    left: Array
    up: Array


def axes_of(frame: Frame, scene: Scene, anchor: Anchor | None = None) -> Axes:
    """Return the directions that words have in a frame.

    Args:
        frame: Whose view.
        scene: Where the camera stands.
        anchor: The thing that words such as "left of" refer to; OBJECT needs it.

    Raises:
        QueryError: The frame is OBJECT and the anchor has no face or none that looks sideways,
            or the frame is IMAGE, which has no directions in space.
    """
    if frame is Frame.VIEWER:
        return viewer_axes(scene.camera)
    if frame is Frame.WORLD:
        return Axes(np.array([-1.0, 0, 0]), np.array([0.0, 1, 0]), UP)
    if frame is Frame.OBJECT:
        return _object_axes(anchor)
    raise QueryError("frame 'image' has no directions in space; use viewer, world or object")


# Every relation in a view asks for them.
@lru_cache(maxsize=16)
def viewer_axes(camera: Camera) -> Axes:
    """Return the viewer's directions: the picture's axes, laid flat.

    The columns give left and right, so that looking straight down works; only a camera on its
    side takes its line of sight instead.
    """
    columns, rows, sight = camera.t_scene_optical[:3, :3].T
    right = _horizontal(columns)
    away = _horizontal(sight)
    if away is None:
        away = _horizontal(-rows)
    if right is None:
        # Of perpendicular axes at most one is vertical.
        assert away is not None
        right = np.cross(away, UP)
    front = np.cross(right, UP)
    # A camera that hangs upside down swaps left and right of the picture, not near and far.
    if away is not None and front @ away > 0:
        front = -front
    return Axes(front, -right, UP)


def front_of(thing: Anchor) -> Array | None:
    """Return the unit vector of a thing's face, or None where it has none.

    Raises:
        QueryError: It is not finite or has no length.
    """
    if not isinstance(thing, SceneObject) or thing.front is None:
        return None
    front = np.asarray(thing.front, float)
    length = float(np.linalg.norm(front))
    if not np.isfinite(length) or length == 0:
        raise QueryError(f"front of {describe(thing)} is {front}; a unit vector is needed")
    return np.asarray(front / length)


def _object_axes(anchor: Anchor | None) -> Axes:
    if anchor is None:
        raise QueryError("frame 'object' needs an anchor; use viewer or world without one")
    face = front_of(anchor)
    if face is None:
        raise QueryError(
            f"{describe(anchor)} has no front, so frame 'object' means nothing for it;"
            " use viewer or world"
        )
    front = _horizontal(face)
    if front is None:
        raise QueryError(
            f"front of {describe(anchor)} is {face}, straight up or down; its left and right are"
            " not defined, use viewer or world"
        )
    return Axes(front, np.cross(UP, front), UP)


def _horizontal(direction: Array) -> Array | None:
    flat = np.array([direction[0], direction[1], 0.0])
    length = float(np.linalg.norm(flat))
    return None if length < _LEAST_HORIZONTAL else flat / length
