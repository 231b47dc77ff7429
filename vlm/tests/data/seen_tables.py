# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Boxes on a table, seen pixel by pixel with true depth and masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from roborefer_vlm.data.views import Fact, Shot, View
from roborefer_vlm.scenes.graph import Camera, OrientedBox, Scene, SceneObject, Surface
from roborefer_vlm.types import Intrinsics

INTRINSICS = Intrinsics(320, 240, 260.0, 260.0, 159.5, 119.5)
TABLE_ID = 100
NOUNS = ("mug", "box", "bowl", "block", "can", "plate", "sponge", "bottle", "jar", "crate")
COLORS = ("red", "green", "blue", "yellow", "white", "black")
EVERYTHING = frozenset(Fact)


def table(low=(0.3, -0.5), high=(1.2, 0.5)):
    """A level table top at z = 0."""
    (x0, y0), (x1, y1) = low, high
    return Surface(TABLE_ID, "table", 0.0, np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))


def turn(yaw):
    """Rotation about up."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def camera(eye=(-0.1, 0.0, 0.7), target=(0.75, 0.0, 0.0)):
    """A camera without roll that looks at a point."""
    sight = np.subtract(target, eye).astype(float)
    sight /= np.linalg.norm(sight)
    right = np.cross(sight, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([right, np.cross(sight, right), sight])
    pose[:3, 3] = eye
    return Camera(INTRINSICS, pose)


def thing(number, name, x, y, size=(0.07, 0.07, 0.1), *, z=0.0, yaw=0.0, color="red", **more):
    """An upright box whose bottom is at z."""
    box = OrientedBox(np.array([x, y, z + size[2] / 2], float), turn(yaw), np.array(size, float))
    more.setdefault("support", TABLE_ID)
    return SceneObject(number, name, box, colors={color: 1.0}, **more)


def view(*things, surface=None, eye=None, trusts=EVERYTHING, key="seen-0"):
    """Look at things: every pixel gets the depth and the thing that its line of sight meets."""
    surface = surface or table()
    seen_from = eye or camera()
    depth, owner = _looked(seen_from, things, surface)
    masked = [replace(t, mask=owner == i) for i, t in enumerate(things)]
    bare = replace(surface, mask=owner == -1)
    scene = Scene(seen_from, masked, [bare], depth)
    nouns = {t.id: (t.name,) for t in things}
    rgb = np.zeros((*depth.shape, 3), np.uint8)
    return View(key, rgb, scene, depth, trusts, nouns)


def shot(*things, **more):
    """One view as a shot."""
    return Shot((view(*things, **more),))


def random_shot(seed, count=7, **more):
    """Boxes at random places that do not overlap, often with one on another."""
    rng = np.random.default_rng([seed, 11])
    things, tries = [], 0
    while len(things) < count and tries < 200:
        tries += 1
        size = rng.uniform((0.04, 0.04, 0.03), (0.13, 0.13, 0.14))
        x, y = rng.uniform((0.4, -0.4), (1.1, 0.4))
        radius = np.hypot(*size[:2]) / 2
        apart = [np.hypot(x - t.box.center[0], y - t.box.center[1]) for t in things]
        reach = [np.hypot(*t.box.size[:2]) / 2 for t in things]
        if any(d < r + radius + 0.01 for d, r in zip(apart, reach, strict=True)):
            continue
        yaw = rng.uniform(-np.pi, np.pi)
        front = turn(rng.uniform(-np.pi, np.pi))[:, 0] if rng.random() < 0.5 else None
        things.append(
            thing(
                len(things) + 1,
                str(rng.choice(NOUNS)),
                x,
                y,
                tuple(size),
                yaw=yaw,
                color=str(rng.choice(COLORS)),
                front=front,
            )
        )
    below = things[0]
    if rng.random() < 0.7:
        side = float(below.box.size[:2].min()) * rng.uniform(0.3, 0.6)
        things.append(
            thing(
                len(things) + 1,
                "cube",
                *below.box.center[:2],
                (side, side, side),
                z=below.box.top,
                color=str(rng.choice(COLORS)),
                support=below.id,
            )
        )
    around = rng.uniform(-0.6, 0.6)
    eye = camera((0.75 - 0.8 * np.cos(around), 0.8 * np.sin(around), rng.uniform(0.6, 0.9)))
    return shot(*things, eye=eye, key=f"seen-{seed:04d}", **more)


def _looked(seen_from, things, surface):
    """Return depth, (height, width), and who owns each pixel: index, -1 surface, -2 nothing."""
    k = seen_from.intrinsics
    u, v = np.meshgrid(np.arange(k.width), np.arange(k.height))
    rays = np.stack([(u - k.cx) / k.fx, (v - k.cy) / k.fy, np.ones(u.shape)], -1)
    steps = rays @ seen_from.t_scene_optical[:3, :3].T
    eye = seen_from.position
    best, owner = np.full(u.shape, np.inf), np.full(u.shape, -2)
    share = (surface.height - eye[2]) / np.minimum(steps[..., 2], -1e-9)
    at = eye + share[..., None] * steps
    low, high = surface.outline.min(axis=0), surface.outline.max(axis=0)
    hit = ((at[..., :2] >= low) & (at[..., :2] <= high)).all(axis=-1) & (steps[..., 2] < 0)
    best[hit], owner[hit] = share[hit], -1
    for i, item in enumerate(things):
        box = item.box
        pixels = seen_from.project(box.corners)[0]
        (u0, v0), (u1, v1) = np.floor(pixels.min(axis=0)), np.ceil(pixels.max(axis=0)) + 1
        window = np.s_[max(int(v0), 0) : max(int(v1), 0), max(int(u0), 0) : max(int(u1), 0)]
        start, step = (eye - box.center) @ box.rotation, steps[window] @ box.rotation
        step = np.where(np.abs(step) < 1e-12, 1e-12, step)
        a, b = (-box.size / 2 - start) / step, (box.size / 2 - start) / step
        enter, leave = np.minimum(a, b).max(axis=-1), np.maximum(a, b).min(axis=-1)
        hit = (enter < leave) & (enter > 0) & (enter < best[window])
        best[window][hit], owner[window][hit] = enter[hit], i
    return np.where(np.isfinite(best), best, 0).astype(np.float32), owner
