# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Views for tests without a renderer: boxes on a table, drawn far to near."""

from __future__ import annotations

import cv2
import numpy as np
from roborefer_vlm.data.views import Fact, Shot, View
from roborefer_vlm.scenes.graph import Camera, OrientedBox, Scene, SceneObject, Surface
from roborefer_vlm.scenes.polygons import convex_hull
from roborefer_vlm.types import Intrinsics

INTRINSICS = Intrinsics(640, 480, 500.0, 500.0, 320.0, 240.0)
TABLE = Surface(
    100, "table", 0.0, np.array([[0.3, -0.6], [1.5, -0.6], [1.5, 0.6], [0.3, 0.6]]), None
)
ALL_FACTS = frozenset(Fact)
# name -> size, further nouns, kinds, whether it has a front
LIBRARY = {
    "block": ((0.05, 0.05, 0.05), ("cube",), ("toy",), False),
    "brick": ((0.09, 0.045, 0.035), (), ("toy",), False),
    "mug": ((0.08, 0.08, 0.1), ("cup",), ("container",), True),
    "bowl": ((0.15, 0.15, 0.06), (), ("container",), False),
    "box": ((0.12, 0.06, 0.17), ("carton",), ("container",), True),
    "apple": ((0.07, 0.07, 0.07), (), ("fruit", "food"), False),
    "banana": ((0.17, 0.05, 0.035), (), ("fruit", "food"), False),
}
PALETTE = ("red", "green", "blue", "yellow", "white")


def turn(yaw):
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def camera(eye=(0, 0, 0.6), target=(0.9, 0, 0)):
    sight = np.subtract(target, eye).astype(float)
    sight /= np.linalg.norm(sight)
    right = np.cross(sight, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([right, np.cross(sight, right), sight])
    pose[:3, 3] = eye
    return Camera(INTRINSICS, pose)


def thing(number, name, x, y, *, color="red", yaw=0.0, z=None, size=None, front=None, **more):
    """A thing of the library that stands on the table, or whose centre is at z."""
    size = np.array(LIBRARY[name][0] if size is None else size, float)
    if front is None and LIBRARY[name][3]:
        front = turn(yaw) @ np.array([1.0, 0, 0])
    box = OrientedBox(np.array([x, y, size[2] / 2 if z is None else z]), turn(yaw), size)
    return SceneObject(
        number, name, box, {color: 1.0}, front=front, support=more.pop("support", 100), **more
    )


def table_depth(look):
    """Depth of an endless empty table, at most 5 m, shape (height, width)."""
    k = look.intrinsics
    u, v = np.meshgrid(np.arange(k.width), np.arange(k.height))
    rays = np.stack([(u - k.cx) / k.fx, (v - k.cy) / k.fy, np.ones(u.shape)], axis=-1)
    down = rays @ look.t_scene_optical[2, :3]
    depth = np.where(down < -1e-3, -look.position[2] / np.minimum(down, -1e-3), 5.0)
    return np.minimum(depth, 5.0).astype(np.float32)


def view(*things, look=None, key="built-0", trusts=ALL_FACTS, surfaces=(TABLE,)):
    """Draw silhouettes of boxes from far to near; their depth is that of their middle."""
    look = look or camera()
    k = look.intrinsics
    numbers = np.zeros((k.height, k.width), np.int32)
    depth = table_depth(look)
    order = sorted(things, key=lambda t: -float(look.to_optical(t.box.center[None])[0, 2]))
    for item in order:
        corners, _ = look.project(item.box.corners)
        if not np.isfinite(corners).all():
            continue
        hull = np.round(convex_hull(corners)).astype(np.int32)
        cv2.fillPoly(numbers, [hull], item.id)
        cv2.fillPoly(depth, [hull], float(look.to_optical(item.box.center[None])[0, 2]))
    masked = tuple(
        SceneObject(
            **{**{n: getattr(t, n) for n in t.__dataclass_fields__}, "mask": numbers == t.id}
        )
        for t in things
    )
    scene = Scene(look, masked, surfaces, depth)
    return View(
        key,
        np.zeros((k.height, k.width, 3), np.uint8),
        scene,
        depth,
        frozenset(trusts),
        {t.id: (t.name, *LIBRARY[t.name][1]) for t in things},
        {t.id: LIBRARY[t.name][2] for t in things},
    )


def random_view(seed, most=9):
    """Random things that do not overlap, seen by a camera somewhere before the table."""
    rng = np.random.default_rng([seed, 7])
    things = []
    for _ in range(200):
        if len(things) == rng.integers(4, most + 1):
            break
        name = str(rng.choice(list(LIBRARY)))
        x, y = rng.uniform(0.6, 1.2), rng.uniform(-0.35, 0.35)
        factor = rng.choice([0.8, 1.0, 1.25])
        size = np.array(LIBRARY[name][0]) * factor
        room = [np.hypot(*(t.box.size[:2] + size[:2])) / 2 for t in things]
        steps = [np.hypot(*(t.box.center[:2] - (x, y))) for t in things]
        if any(step < least for step, least in zip(steps, room, strict=True)):
            continue
        color, yaw = str(rng.choice(PALETTE)), float(rng.uniform(-np.pi, np.pi))
        things.append(thing(len(things) + 1, name, x, y, color=color, yaw=yaw, size=size))
    eye = (rng.uniform(-0.1, 0.2), rng.uniform(-0.5, 0.5), rng.uniform(0.5, 0.9))
    look = camera(eye, (0.9 + rng.normal(0, 0.03), rng.normal(0, 0.03), 0))
    return view(*things, look=look, key=f"built-{seed}")


def shot(*views):
    return Shot(tuple(views))
