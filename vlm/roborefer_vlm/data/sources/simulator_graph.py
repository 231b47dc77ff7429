# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From a simulated table and a picture of it to the scene graph, which holds the whole truth."""

from __future__ import annotations

from math import cos, sin

import numpy as np
from roborefer_sim.core.camera import View as Picture
from roborefer_sim.core.camera import pinhole_of
from roborefer_sim.core.cell import Cell, Placed
from roborefer_sim.core.library import Library

from roborefer_vlm.data.sources.simulator_scene import Table, named, named_colors, palette_shares
from roborefer_vlm.scenes.graph import (
    Array,
    Camera,
    OrientedBox,
    Scene,
    SceneObject,
    Surface,
)
from roborefer_vlm.types import Intrinsics

# A dish that is lower inside, at scale 1, carries things rather than holds them, metres.
LEAST_DEPTH_M = 0.03
# What is not level with the table's top is its side or the floor, metres.
LEVEL_M = 0.004
# Things that lie on their side, and things that plainly stand.
LYING = frozenset({"marker", "banana"})
UPRIGHT = frozenset({"bottle", "carton", "cereal_box", "soda_can", "soup_can"})


def scene_of(table: Table, cell: Cell, picture: Picture, library: Library) -> Scene:
    """Return the scene graph of a picture.

    The frame is that of the simulated world: z up, the table's top at z = 0. Things have the ids
    1, 2, ... in the order in which they were placed; the table has the next one. Boxes stand
    upright and are aligned with each thing's own axes.

    Args:
        table: What stands where.
        cell: The same, as a model; its layout holds the camera of the picture.
        picture: Without flaws.
        library: For the palette.
    """
    table_id = len(table.placed) + 1
    objects = []
    for index, (thing, carrier) in enumerate(zip(table.placed, table.carriers, strict=True)):
        make = thing.make
        known = named(make)
        rotation = _about_up(thing.yaw)
        front = None if make.thing.front is None else rotation @ np.array(make.thing.front)
        inside = make.thing.inside
        objects.append(
            SceneObject(
                id=index + 1,
                name=make.thing.noun if known else "",
                box=box_of(thing),
                colors=(named_colors if known else palette_shares)(library, make),
                attributes=_attributes(make.thing.key),
                front=front,
                mask=picture.bodies == cell.model.body(thing.name).id,
                support=table_id if carrier is None else carrier + 1,
                hollow=inside is not None and inside.height >= LEAST_DEPTH_M,
            )
        )
    return Scene(
        camera=_camera_of(cell),
        objects=objects,
        surfaces=[_table_of(table_id, cell, picture)],
        depth_m=picture.depth_m,
    )


def box_of(thing: Placed) -> OrientedBox:
    """Return the smallest box along a thing's own axes, from its true geometry."""
    low, high = thing.make.bounds
    rotation = _about_up(thing.yaw)
    center = np.array(thing.position) + rotation @ ((low + high) / 2)
    return OrientedBox(center, rotation, high - low)


def _about_up(yaw: float) -> Array:
    c, s = cos(yaw), sin(yaw)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _attributes(key: str) -> frozenset[str]:
    words = [word for word, keys in (("lying", LYING), ("upright", UPRIGHT)) if key in keys]
    return frozenset(words)


def _camera_of(cell: Cell) -> Camera:
    k = pinhole_of(cell.layout.camera)
    return Camera(
        Intrinsics(k.width, k.height, k.fx, k.fy, k.cx, k.cy), cell.layout.camera.t_world_optical
    )


def _table_of(wanted: int, cell: Cell, picture: Picture) -> Surface:
    (x0, y0), (x1, y1) = cell.layout.table_low, cell.layout.table_high
    # Table and floor are both of the world's body; only the top lies at z = 0.
    pose, k = cell.layout.camera.t_world_optical, pinhole_of(cell.layout.camera)
    across = pose[2, 0] / k.fx * (np.arange(k.width) - k.cx)
    down = pose[2, 1] / k.fy * (np.arange(k.height) - k.cy)
    heights = (across + down[:, None] + pose[2, 2]) * picture.depth_m + pose[2, 3]
    mask = (picture.bodies == 0) & (picture.depth_m > 0) & (np.abs(heights) < LEVEL_M)
    outline = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    return Surface(wanted, "table", 0.0, outline, mask)
