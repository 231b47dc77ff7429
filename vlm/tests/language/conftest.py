# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A small table scene with known things, as a camera from above and in front sees it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from roborefer_vlm.scenes.graph import Camera, OrientedBox, Scene, SceneObject, Surface
from roborefer_vlm.types import Intrinsics

WIDTH, HEIGHT, FOCAL = 320, 240, 300.0
TABLE = 100


def camera() -> Camera:
    """A camera 0.8 m in front of the middle of the table and 0.7 m above it, looking down."""
    forward = np.array([0.8, 0.0, -0.7]) / np.hypot(0.8, 0.7)
    right = np.array([0.0, -1.0, 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = (-0.8, 0.0, 0.7)
    k = Intrinsics(WIDTH, HEIGHT, FOCAL, FOCAL, (WIDTH - 1) / 2, (HEIGHT - 1) / 2)
    return Camera(k, pose)


def make_thing(number, name, x, y, size=(0.08, 0.08, 0.1), z=0.0, **more) -> SceneObject:
    """Return a box-shaped thing that stands at (x, y); x is away from the viewer, y is left."""
    center = np.array([x, y, z + size[2] / 2])
    box = OrientedBox(center, np.eye(3), np.array(size, float))
    pixels, _ = camera().project(box.corners)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(pixels.astype(np.float32)).astype(np.int32), 1)
    more.setdefault("support", TABLE)
    return SceneObject(number, name, box, mask=mask > 0, **more)


def make_scene(*things: SceneObject) -> Scene:
    """Return a scene with a table of 1 m by 1 m, with the depth that the camera measures."""
    things = tuple(
        replace(one, mask=one.mask & ~np.any([t.mask for t in on_it], axis=0)) if on_it else one
        for one in things
        for on_it in [[t for t in things if t.support == one.id]]
    )
    view = camera()
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    k = view.intrinsics
    rays = np.stack(
        [(columns - k.cx) / k.fx, (rows - k.cy) / k.fy, np.ones((HEIGHT, WIDTH))], axis=-1
    )
    toward = rays @ view.t_scene_optical[:3, :3].T
    depth = np.where(toward[..., 2] < 0, -view.position[2] / toward[..., 2], 0)
    ground = view.position + toward * depth[..., None]
    on_table = (np.abs(ground[..., :2]) < 0.5).all(axis=-1) & (depth > 0)
    covered = np.any([t.mask for t in things], axis=0) if things else np.zeros_like(on_table)
    for thing in things:
        depth[thing.mask] = view.to_optical(thing.box.center[None])[0, 2]
    outline = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    table = Surface(TABLE, "table", 0.0, outline, on_table & ~covered)
    return Scene(view, things, (table,), depth.astype(np.float32))


@pytest.fixture
def thing():
    """Makes things."""
    return make_thing


@pytest.fixture
def scene():
    """Makes scenes of things."""
    return make_scene


@pytest.fixture(scope="session")
def kitchen() -> Scene:
    """Two mugs, a plate with an apple on it, a bowl, a can and a box."""
    plate = make_thing(3, "plate", 0.0, 0.0, (0.2, 0.2, 0.02), colors={"white": 0.9})
    apple = make_thing(4, "apple", 0.0, 0.0, (0.07, 0.07, 0.07), z=0.02, colors={"red": 0.9})
    return make_scene(
        make_thing(1, "mug", 0.0, 0.3, colors={"red": 0.8, "white": 0.1}, hollow=True),
        make_thing(2, "mug", 0.0, -0.3, colors={"blue": 0.9}, hollow=True),
        plate,
        replace(apple, support=3),
        make_thing(5, "bowl", -0.25, 0.15, (0.14, 0.14, 0.06), colors={"teal": 0.9}, hollow=True),
        make_thing(6, "soup_can", 0.3, 0.1, (0.06, 0.06, 0.1), colors={"red": 0.5, "white": 0.4}),
        make_thing(7, "crackers", 0.3, -0.2, (0.06, 0.16, 0.21), colors={"red": 0.7}),
    )
