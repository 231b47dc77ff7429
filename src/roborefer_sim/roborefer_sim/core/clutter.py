# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Random cluttered tables: things drawn by seed, put down without touching, and settled."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

import mujoco
import numpy as np

from roborefer_sim.core.cell import Cell, Layout, Placed
from roborefer_sim.core.library import Library, Make, standard_library
from roborefer_sim.exceptions import SceneError

ATTEMPTS_PER_THING = 200
# A thing is put down this far above the table, so that it does not start inside it, metres.
DROP_M = 0.001
SETTLE_STEP_S = 0.25
LONGEST_SETTLING_S = 5.0
STILL_M_S = 0.003
# A thing that leans this much has tipped over, radians; a plate may rest on its rim a little.
MOST_TILT_RAD = 0.12
# How far a thing may have slid or rolled while settling, metres.
MOST_DRIFT_M = 0.03


@dataclass(frozen=True)
class Clutter:
    """What a random table looks like.

    Attributes:
        fewest: Least number of things.
        most: Greatest number of things.
        low: Lowest x and y of the region in world, metres.
        high: Highest x and y of the region in world, metres.
        gap: Least distance between the circles around two things, metres.
        keys: Things to draw from; empty means all of the library.
        in_containers: Chance that a small thing goes into a container that is there already.
        same_kind: Chance that a thing is of a kind that is there already, which makes referring
            to it harder.
    """

    fewest: int = 5
    most: int = 9
    low: tuple[float, float] = (0.28, -0.32)
    high: tuple[float, float] = (0.68, 0.32)
    gap: float = 0.015
    keys: tuple[str, ...] = ()
    in_containers: float = 0.0
    same_kind: float = 0.25

    def __post_init__(self) -> None:
        if not 1 <= self.fewest <= self.most:
            raise SceneError(f"fewest {self.fewest} and most {self.most} must be 1 <= a <= b")
        if not (self.low[0] < self.high[0] and self.low[1] < self.high[1]):
            raise SceneError(f"the region {self.low} to {self.high} is empty")


def random_cell(
    seed: int,
    clutter: Clutter | None = None,
    layout: Layout | None = None,
    library: Library | None = None,
    tries: int = 20,
) -> Cell:
    """Build a settled random cell; the same seed gives the same cell.

    Raises:
        SceneError: No arrangement stood still and upright within the tries.
    """
    clutter, library = clutter or Clutter(), library or standard_library()
    rng = np.random.default_rng(seed)
    reason = ""
    for _ in range(tries):
        placed = draw_things(rng, clutter, library)
        cell = Cell(placed, layout)
        reason = settle(cell)
        if not reason:
            return cell
    raise SceneError(f"seed {seed}: no scene stood after {tries} tries; the last one: {reason}")


def draw_things(rng: np.random.Generator, clutter: Clutter, library: Library) -> list[Placed]:
    """Draw things with places that do not touch; fewer than wanted when the region is full."""
    keys = clutter.keys or tuple(library.things)
    wanted = int(rng.integers(clutter.fewest, clutter.most + 1))
    placed: list[Placed] = []
    for _ in range(wanted * 3):
        if len(placed) == wanted:
            break
        make = _draw_make(rng, clutter, library, keys, placed)
        name = _free_name(make, placed)
        if rng.random() < clutter.in_containers and (inside := _inside(rng, make, placed)):
            placed.append(Placed(name, make, inside, rng.uniform(-np.pi, np.pi)))
        elif spot := _free_spot(rng, make, clutter, placed):
            placed.append(Placed(name, make, spot, rng.uniform(-np.pi, np.pi)))
    if len(placed) < clutter.fewest:
        raise SceneError(
            f"only {len(placed)} of {clutter.fewest} things fit into {clutter.low} to"
            f" {clutter.high}; enlarge the region or lower `fewest`"
        )
    return placed


def settle(cell: Cell) -> str:
    """Let things come to rest; return why the scene is no good, or "".

    The places at rest become those to which `reset` returns.
    """
    before = {thing.name: cell.pose_of(thing.name) for thing in cell.placed}
    names = list(before)
    elapsed = 0.0
    while elapsed < LONGEST_SETTLING_S:
        cell.step(SETTLE_STEP_S)
        elapsed += SETTLE_STEP_S
        if not names or max(_speed(cell, name) for name in names) < STILL_M_S:
            break
    else:
        return f"things still move after {LONGEST_SETTLING_S} s"
    for name in names:
        after = cell.pose_of(name)
        if cell.tilt_of(name) > MOST_TILT_RAD:
            return f"{name} tipped over"
        if hypot(*(after - before[name])[:2, 3]) > MOST_DRIFT_M:
            return f"{name} slid away"
    keep_as_start(cell)
    return ""


def keep_as_start(cell: Cell) -> None:
    """Make the present places of all things those to which `reset` returns."""
    for thing in cell.placed:
        joint = cell.model.joint(f"{thing.name}_free")
        start = int(joint.qposadr[0])
        cell.model.qpos0[start : start + 7] = cell.data.qpos[start : start + 7]
    cell.reset()


def _speed(cell: Cell, name: str) -> float:
    velocity = np.zeros(6)
    body = int(cell.model.body(name).id)
    mujoco.mj_objectVelocity(
        cell.model, cell.data, int(mujoco.mjtObj.mjOBJ_BODY), body, velocity, 0
    )
    return float(np.linalg.norm(velocity[3:]))


def _draw_make(
    rng: np.random.Generator,
    clutter: Clutter,
    library: Library,
    keys: tuple[str, ...],
    placed: list[Placed],
) -> Make:
    if placed and rng.random() < clutter.same_kind:
        key = placed[int(rng.integers(len(placed)))].make.thing.key
    else:
        key = keys[int(rng.integers(len(keys)))]
    thing = library.thing(key)
    color = thing.colors[int(rng.integers(len(thing.colors)))]
    return library.make(key, color, thing.scales[int(rng.integers(len(thing.scales)))])


def _free_name(make: Make, placed: list[Placed]) -> str:
    base = f"{make.color}_{make.thing.key}"
    number = sum(thing.name.rpartition("_")[0] == base for thing in placed) + 1
    return f"{base}_{number}"


def _free_spot(
    rng: np.random.Generator, make: Make, clutter: Clutter, placed: list[Placed]
) -> tuple[float, float, float] | None:
    radius = make.footprint_radius
    for _ in range(ATTEMPTS_PER_THING):
        x, y = (float(rng.uniform(a, b)) for a, b in zip(clutter.low, clutter.high, strict=True))
        distances = (
            hypot(x - other.position[0], y - other.position[1])
            - radius
            - other.make.footprint_radius
            for other in placed
        )
        if all(distance >= clutter.gap for distance in distances):
            return x, y, DROP_M
    return None


def _inside(
    rng: np.random.Generator, make: Make, placed: list[Placed]
) -> tuple[float, float, float] | None:
    """A place above the floor of a container that is wide enough and still empty."""
    radius = make.footprint_radius
    for index in rng.permutation(len(placed)):
        container = placed[int(index)]
        room = container.make.thing.inside
        taken = any(
            hypot(o.position[0] - container.position[0], o.position[1] - container.position[1])
            < 0.02
            for o in placed
            if o is not container
        )
        if room is None or taken or container.position[2] > DROP_M:
            continue
        free = room.radius or min(room.size) / 2
        if radius < free * container.make.scale - 0.004:
            x, y, z = container.position
            return x, y, z + 0.012 * container.make.scale
    return None
