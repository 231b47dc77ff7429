# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Random looks at random tables of the simulator's library, with the truth behind every pixel."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin

import mujoco
import numpy as np
from roborefer_sim.core.arm import ARM_JOINTS, HOME
from roborefer_sim.core.camera import photographer, pinhole_of
from roborefer_sim.core.cell import CameraPlace, Cell, Layout
from roborefer_sim.core.clutter import Clutter, random_cell
from roborefer_sim.core.library import Make, standard_library
from roborefer_sim.core.sensor import SensorModel, measure, scaled
from roborefer_sim.core.strangers import with_strangers
from roborefer_vlm.types import Intrinsics, Query


@dataclass(frozen=True, eq=False)
class Look:
    """One view of one table.

    Attributes:
        query: What an engine is asked; its text is to be replaced.
        bodies: Number of the thing behind each pixel, int32, (height, width): index into makes,
            -1 for table and room, -2 for the robot.
        makes: The things; those of a key that begins with "strange" are not in the library.
    """

    query: Query
    bodies: np.ndarray
    makes: tuple[Make, ...]

    def mask(self, index: int) -> np.ndarray:
        """Return the visible pixels of a thing, shape (height, width)."""
        return self.bodies == index


def default_look(seed: int, clutter: Clutter | None = None) -> Look:
    """Look at the table of a seed as the simulated cell does."""
    cell = random_cell(seed, clutter)
    return _take(cell, SensorModel(), np.random.default_rng([seed, 1]))


def random_look(seed: int, clutter: Clutter, *, strange: float = 0.0) -> Look:
    """Look at the table of a seed from anywhere, in any light.

    Args:
        seed: Of everything.
        clutter: How many things, and of what kinds.
        strange: Chance that things of no known kind are among them.
    """
    rng = np.random.default_rng([seed, 2])
    library = standard_library()
    if rng.random() < strange:
        library = with_strangers(library, rng, 6)
    color = np.clip(rng.uniform(0.15, 0.85) * (1 + 0.25 * rng.standard_normal(3)), 0.05, 0.95)
    usual = rng.random() < 0.4
    layout = Layout(
        camera=random_camera(rng),
        with_arm=bool(rng.random() < 0.7),
        table_color=(0.62, 0.52, 0.41) if usual else tuple(float(c) for c in color),
        light=0.7 if usual else float(rng.uniform(0.4, 0.95)),
        shadows=bool(rng.random() < 0.8),
    )
    cell = random_cell(seed, clutter, layout, library)
    if layout.with_arm and rng.random() < 0.5:
        for name, angle in zip(ARM_JOINTS, HOME, strict=True):
            cell.data.joint(name).qpos[0] = angle + rng.normal(0, 0.5)
        mujoco.mj_forward(cell.model, cell.data)
    sensor = scaled(SensorModel(), float(rng.uniform(0.5, 1.5)))
    return _take(cell, sensor, rng)


def random_camera(rng: np.random.Generator) -> CameraPlace:
    """Draw a camera that sees the middle of the table: often nearly that of the cell."""
    target = (0.46 + rng.normal(0, 0.04), rng.normal(0, 0.05), 0.02)
    if rng.random() < 0.45:
        at = np.array([1.12, 0.0, 0.72]) + rng.normal(0, 0.06, 3)
        focal = 615 * rng.uniform(0.9, 1.1)
    else:
        around, reach = rng.uniform(-np.pi, np.pi), rng.uniform(0.35, 0.85)
        height = rng.uniform(0.4, 0.95)
        at = np.array([target[0] + reach * cos(around), reach * sin(around), height])
        focal = rng.uniform(480, 750)
    x, y, z = (float(value) for value in at)
    return CameraPlace((x, y, z), tuple(float(t) for t in target), focal=float(focal))


def _take(cell: Cell, sensor: SensorModel, rng: np.random.Generator) -> Look:
    camera = cell.layout.camera
    eye = photographer(cell)
    try:
        view = measure(eye.take(), camera.focal, sensor, rng)
    finally:
        eye.close()
    k = pinhole_of(camera)
    table = np.full(cell.model.nbody + 1, -2, np.int32)
    table[[0, -1]] = -1
    for index, thing in enumerate(cell.placed):
        table[cell.model.body(thing.name).id] = index
    query = Query(
        np.ascontiguousarray(view.rgb),
        "nothing yet",
        depth_m=np.ascontiguousarray(view.depth_m),
        intrinsics=Intrinsics(k.width, k.height, k.fx, k.fy, k.cx, k.cy),
    )
    return Look(query, table[view.bodies], tuple(thing.make for thing in cell.placed))
