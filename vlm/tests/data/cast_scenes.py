# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Small scenes with the true depth and masks of every box, found by casting rays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from roborefer_vlm.data.sources.box_casting import cast
from roborefer_vlm.scenes.graph import Camera, OrientedBox, Scene, SceneObject, Surface
from roborefer_vlm.types import Intrinsics

INTRINSICS = Intrinsics(640, 480, 500.0, 500.0, 319.5, 239.5)
TABLE = Surface(100, "table", 0.0, np.array([[0.3, -0.6], [1.5, -0.6], [1.5, 0.6], [0.3, 0.6]]))


def turn(yaw):
    """Rotation about up."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def camera(eye=(0, 0, 0.6), target=(0.9, 0, 0), intrinsics=INTRINSICS):
    """A camera without roll that looks at a point."""
    sight = np.subtract(target, eye).astype(float)
    sight /= np.linalg.norm(sight)
    right = np.cross(sight, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([right, np.cross(sight, right), sight])
    pose[:3, 3] = eye
    return Camera(intrinsics, pose)


def thing(number, x, y, size=(0.06, 0.06, 0.1), *, z=None, yaw=0.0, name="", **more):
    """An upright box that stands on the table, or whose centre is at z."""
    center = np.array([x, y, size[2] / 2 if z is None else z], float)
    box = OrientedBox(center, turn(yaw), np.array(size, float))
    return SceneObject(number, name or f"thing{number}", box, **more)


def slab(surface, thickness=0.03):
    """A surface as a thin upright box below its height, as large as its outline's frame."""
    low, high = surface.outline.min(axis=0), surface.outline.max(axis=0)
    center = np.append((low + high) / 2, surface.height - thickness / 2)
    return OrientedBox(center, np.eye(3), np.append(high - low, thickness))


def scene(*things, view=None, surfaces=(TABLE,), depth=True, hidden=()):
    """Masks and, if wanted, depth; what is hidden is in the depth but not in the scene."""
    view = view or camera()
    boxes = [t.box for t in (*things, *hidden)] + [slab(s) for s in surfaces]
    picture = cast(view, boxes)
    seen = tuple(replace(t, mask=picture.owners == i) for i, t in enumerate(things))
    depth_m = np.where(np.isfinite(picture.depth_m), picture.depth_m, 0).astype(np.float32)
    return Scene(view, seen, surfaces, depth_m if depth else None)
