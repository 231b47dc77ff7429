# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Small scenes for tests: upright boxes on a table and a camera that looks at them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from roborefer_vlm.scenes.graph import Camera, OrientedBox, Scene, SceneObject, Surface
from roborefer_vlm.scenes.relations import Places, relation_scores
from roborefer_vlm.types import Intrinsics

INTRINSICS = Intrinsics(640, 480, 500.0, 500.0, 320.0, 240.0)
TABLE = Surface(
    100, "table", 0.0, np.array([[0.3, -0.6], [1.5, -0.6], [1.5, 0.6], [0.3, 0.6]]), None
)


def turn(yaw):
    """Rotation about up."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def camera(eye=(0, 0, 0.6), target=(0.9, 0, 0)):
    """A camera without roll that looks at a point."""
    sight = np.subtract(target, eye).astype(float)
    sight /= np.linalg.norm(sight)
    right = np.cross(sight, [0, 0, 1.0])
    right = np.array([0, -1.0, 0]) if np.linalg.norm(right) < 1e-9 else right
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([right, np.cross(sight, right), sight])
    pose[:3, 3] = eye
    return Camera(INTRINSICS, pose)


def thing(number, x, y, size=(0.06, 0.06, 0.1), *, z=None, yaw=0.0, name="", **more):
    """An upright box that stands on the table, or whose centre is at z."""
    center = np.array([x, y, size[2] / 2 if z is None else z], float)
    box = OrientedBox(center, turn(yaw), np.array(size, float))
    return SceneObject(number, name or f"thing{number}", box, **more)


def scene(*things, view=None, surfaces=(TABLE,)):
    return Scene(view or camera(), things, surfaces)


def score(relation, subject, *anchors, view=None, others=(), **more):
    """Score of one thing, or of one point given as three numbers."""
    subjects = (
        Places.of_objects([subject])
        if hasattr(subject, "id")
        else Places.of_points([list(subject)])
    )
    seen = [s for s in (subject, *anchors, *others) if isinstance(s, SceneObject)]
    return float(relation_scores(relation, scene(*seen, view=view), subjects, anchors, **more)[0])


def moved(item, rotation, shift):
    """A thing after a rigid motion of the world."""
    box = replace(
        item.box,
        center=rotation @ item.box.center + shift,
        rotation=rotation @ item.box.rotation,
    )
    front = None if item.front is None else rotation @ item.front
    points = None if item.points is None else item.points @ rotation.T + shift
    return replace(item, box=box, front=front, points=points)


def moved_camera(view, rotation, shift):
    """A camera after the same motion."""
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = rotation, shift
    return Camera(view.intrinsics, motion @ view.t_scene_optical)


def scaled(item, factor):
    """A thing in a world that is larger by a factor."""
    box = replace(item.box, center=item.box.center * factor, size=item.box.size * factor)
    return replace(item, box=box)
