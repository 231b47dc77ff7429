# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Random looks at random tables of the simulator's library, with the truth behind every pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import cos, sin

import mujoco
import numpy as np
from roborefer_sim.core.arm import ARM_JOINTS, HOME
from roborefer_sim.core.camera import photographer, pinhole_of
from roborefer_sim.core.cell import CameraPlace, Cell, Layout
from roborefer_sim.core.clutter import Clutter, random_cell
from roborefer_sim.core.library import Library, Make, Part, Thing, standard_library
from roborefer_sim.core.sensor import SensorModel, measure, scaled
from roborefer_vlm.types import Intrinsics, Query

STRANGE = "strange"


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


def with_strangers(library: Library, rng: np.random.Generator, count: int) -> Library:
    """Add things that are no known kind: odd bodies made of two to four parts, or odd sizes."""
    things = dict(library.things)
    for number in range(count):
        key = f"{STRANGE}_{number}"
        things[key] = _stranger(key, rng, tuple(library.palette))
    return replace(library, things=things)


def _stranger(key: str, rng: np.random.Generator, palette: tuple[str, ...]) -> Thing:
    kind = rng.integers(5)
    parts: list[Part] = []
    if kind == 0:  # A book or a slab, larger than any sponge.
        size = (rng.uniform(0.12, 0.2), rng.uniform(0.1, 0.16), rng.uniform(0.015, 0.04))
        parts = [_part("box", size, (0, 0, size[2] / 2))]
    elif kind == 1:  # A tin or tub, wider than any can.
        radius, height = rng.uniform(0.045, 0.07), rng.uniform(0.03, 0.16)
        parts = [_part("cylinder", (radius, height), (0, 0, height / 2))]
    elif kind == 2:  # A body with a smaller one on top, as of a lamp, bell or chess piece.
        radius, height = rng.uniform(0.03, 0.05), rng.uniform(0.01, 0.03)
        thin, tall = rng.uniform(0.006, 0.012), rng.uniform(0.06, 0.14)
        head = rng.uniform(0.015, 0.035)
        parts = [
            _part("cylinder", (radius, height), (0, 0, height / 2)),
            _part("cylinder", (thin, tall), (0, 0, height + tall / 2), palette, rng),
            _part("sphere", (head,), (0, 0, height + tall), palette, rng),
        ]
    elif kind == 3:  # A cross, an angle, a tool.
        long, wide, high = (
            rng.uniform(0.09, 0.18),
            rng.uniform(0.012, 0.03),
            rng.uniform(0.01, 0.03),
        )
        other, shift = rng.uniform(0.05, 0.1), rng.uniform(-0.5, 0.5) * long
        parts = [
            _part("box", (long, wide, high), (0, 0, high / 2)),
            _part("box", (wide, other, high), (shift, 0, high / 2), palette, rng),
        ]
    else:  # A stack of boxes that shrink, as a stair or house.
        size, z = np.array([0.09, 0.07, 0.03]) * rng.uniform(0.8, 1.3, 3), 0.0
        for _ in range(3):
            x, y, h = (float(v) for v in size)
            parts.append(_part("box", (x, y, h), (0, 0, z + h / 2), palette, rng))
            z, size = z + h, size * (0.65, 0.65, 1.0)
    colors = tuple(rng.choice(palette, 3, replace=False))
    return Thing(key=key, noun=STRANGE, also=(), kinds=(), mass=0.2, colors=colors,
                 scales=(1.0,), parts=tuple(parts))  # fmt: skip


def _part(
    shape: str,
    lengths: tuple[float, ...],
    at: tuple[float, float, float],
    palette: tuple[str, ...] = (),
    rng: np.random.Generator | None = None,
) -> Part:
    names = {"box": ("size",), "cylinder": ("radius", "height"), "sphere": ("radius",)}[shape]
    values = (
        {"size": tuple(map(float, lengths))}
        if shape == "box"
        else {name: (float(value),) for name, value in zip(names, lengths, strict=True)}
    )
    color = "body" if rng is None else str(rng.choice(palette))
    return Part(shape, values, tuple(map(float, at)), (0.0, 0.0, 0.0), color, 0.0)  # type: ignore[arg-type]


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
