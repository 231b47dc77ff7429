# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Boxes on a table, seen pixel by pixel with true depth and masks."""

from __future__ import annotations

import cast_scenes
import numpy as np
from cast_scenes import turn
from roborefer_vlm.data.views import Fact, Shot, View
from roborefer_vlm.scenes.graph import OrientedBox, SceneObject, Surface
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


def camera(eye=(-0.1, 0.0, 0.7), target=(0.75, 0.0, 0.0)):
    """A camera without roll that looks at a point."""
    return cast_scenes.camera(eye, target, INTRINSICS)


def thing(number, name, x, y, size=(0.07, 0.07, 0.1), *, z=0.0, yaw=0.0, color="red", **more):
    """An upright box whose bottom is at z."""
    box = OrientedBox(np.array([x, y, z + size[2] / 2], float), turn(yaw), np.array(size, float))
    more.setdefault("support", TABLE_ID)
    return SceneObject(number, name, box, colors={color: 1.0}, **more)


def view(*things, surface=None, eye=None, trusts=EVERYTHING, key="seen-0"):
    """Look at things on a table; their masks and the depth are true."""
    surfaces = (surface or table(),)
    scene = cast_scenes.scene(*things, view=eye or camera(), surfaces=surfaces)
    nouns = {t.id: (t.name,) for t in things}
    rgb = np.zeros((*scene.depth_m.shape, 3), np.uint8)
    return View(key, rgb, scene, scene.depth_m, trusts, nouns)


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
