# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Puts small things into bowls and baskets, where a pixel on the container's floor points.

    python benchmarks/place_inside.py [--quick] [--json FILE] [--only perfect|noise]

A scene is 3 to 5 things, drawn by seed and settled: bowls, baskets and things that fit into them.
The container is one of those that show at least 60 pixels of their floor, the place one of these
pixels, with depth, around which the thing's circle fits with 6 mm to spare; its reference has the
kind INSIDE. The thing is one that stands on the table. Scenes without such a pair are left out
and counted. The rest is as in `pick_place.py`. Success, by the truth of the simulation a
second after the end: the middle of the thing lies within the container's walls and below its rim,
the container moved by less than 3 cm and does not lean, and nothing else was disturbed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections import Counter
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from pick_place import (
    CATEGORIES,
    PROCESSES,
    SHIFT_M,
    TILT_RAD,
    Job,
    Request,
    Run,
    footprint_middle,
    radius_of,
    run_all,
    run_safely,
)
from roborefer_grasping.core.motion_reference import Kind
from roborefer_grasping.core.robot import Array
from roborefer_sim.core.camera import View
from roborefer_sim.core.cell import Cell, Placed
from roborefer_sim.core.clutter import Clutter
from roborefer_sim.core.library import Make
from tqdm import tqdm

SCENES, QUICK_SCENES, FIRST_SEED = 60, 6, 5000
KEYS = ("bowl", "basket", "block", "ball", "lemon", "apple", "marker", "banana", "brick")
CLUTTER = Clutter(fewest=3, most=5, keys=KEYS, same_kind=0.0)
CONTAINERS = ("bowl", "basket")
LEAST_PIXELS, SPARE_M, DEEP_M, CONTAINER_SHIFT_M = 60, 0.006, 0.02, 0.03


def room_of(make: Make) -> tuple[float, float]:
    """Half lengths of a container's floor along its own axes, metres."""
    inside = make.thing.inside
    assert inside is not None
    x, y = inside.size if not inside.radius else (2 * inside.radius, 2 * inside.radius)
    return x / 2 * make.scale, y / 2 * make.scale


def within(container: Placed, pose: Array, point: Array, margin: float) -> bool:
    """Whether a point, x, y and z in world, lies inside a container, margin from its walls."""
    local = np.linalg.inv(pose) @ np.array([*point, 1.0])
    x, y = room_of(container.make)
    inside = container.make.thing.inside
    assert inside is not None
    if inside.radius:
        return bool(np.hypot(*local[:2]) < x - margin)
    return bool(abs(local[0]) < x - margin and abs(local[1]) < y - margin)


def draw_request(cell: Cell, truth: View, seen: Any, seed: int, only: str = "") -> Request | None:
    """Draw a thing and a container for it, by the rules on top; None where there are none."""
    rng = np.random.default_rng(seed)
    ids = cell.body_ids()
    placed = {thing.name: thing for thing in cell.placed}
    view = replace(seen, depth_m=truth.depth_m)
    numbers = rng.permutation(list(ids))
    for container in (placed[ids[int(n)]] for n in numbers):
        if container.make.thing.key not in CONTAINERS:
            continue
        for body in numbers:
            thing = placed[ids[int(body)]]
            shown = (truth.bodies == body) & seen.measured
            if thing.make.thing.key in CONTAINERS or shown.sum() < LEAST_PIXELS:
                continue
            spot = _spot(cell, container, thing, view, truth, seen.measured, rng)
            if spot is not None:
                v, u = rng.choice(np.argwhere(shown))
                return Request(thing.name, (int(u), int(v)), *spot, Kind.INSIDE)
    return None


def _spot(
    cell: Cell,
    container: Placed,
    thing: Placed,
    view: Any,
    truth: View,
    measured: Any,
    rng: Any,
) -> tuple[tuple[int, int], Array] | None:
    """A pixel of a container's floor around which a thing fits, and where that is."""
    pose = cell.pose_of(container.name)
    radius = radius_of(thing.make)
    number = next(n for n, name in cell.body_ids().items() if name == container.name)
    low = view.points[..., 2] < pose[2, 3] + DEEP_M * container.make.scale / 2
    pixels = np.argwhere((truth.bodies == number) & low)
    if len(pixels) < LEAST_PIXELS:
        return None
    for row, column in rng.permutation(pixels):
        if not measured[row, column]:
            continue
        point = view.points[row, column]
        if within(container, pose, point, radius + SPARE_M):
            return (int(column), int(row)), point[:2]
    return None


def judge(cell: Cell, request: Request, before: dict[str, Array], result: Run) -> None:
    """Fill in what came of it, by the truth."""
    placed = {thing.name: thing for thing in cell.placed}
    point = np.array([*request.goal, 0.0])
    container = next(
        t for t in cell.placed
        if t.make.thing.key in CONTAINERS and within(t, before[t.name], point, 0.0)
    )  # fmt: skip
    make = placed[request.name].make
    middle = footprint_middle(cell, request.name, make)
    result.error_m = float(np.hypot(*(middle - request.goal)))
    lowest = cell.pose_of(request.name)[2, 3]
    inside = container.make.thing.inside
    assert inside is not None
    there = within(container, cell.pose_of(container.name), np.array([*middle, 0.0]), 0.0)
    there = there and lowest < inside.height * container.make.scale
    moved = {
        name: float(np.linalg.norm(cell.pose_of(name)[:3, 3] - pose[:3, 3]))
        for name, pose in before.items()
        if name != request.name
    }
    disturbed = [
        name
        for name, way in moved.items()
        if way > (CONTAINER_SHIFT_M if name == container.name else SHIFT_M)
        or cell.tilt_of(name) > TILT_RAD
    ]
    by_reason = (name for name, reasons in CATEGORIES.items() if result.told in reasons)
    if disturbed:
        result.category = "knocked_over"
        result.message = f"{', '.join(disturbed)} was disturbed. {result.message}"
    elif not there:
        result.category = next(by_reason, "not_inside")
    result.thing += f" into {container.make.thing.key}"


def run_inside(job: Job) -> tuple[bool, Run]:
    """As in `pick_place`, with this request and this judge."""
    return run_safely(job, draw_request, judge)


def main() -> None:
    """Do all runs, print the figures, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SCENES} scenes")
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="first seed")
    parser.add_argument("--only", choices=("perfect", "noise"), help="with one sensor only")
    parser.add_argument("--processes", type=int, default=PROCESSES, help="side by side")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    load_before, begin = os.getloadavg()[0], perf_counter()
    count = QUICK_SCENES if args.quick else SCENES
    sensors = [name == "noise" for name in ("perfect", "noise") if args.only in (None, name)]
    jobs = [
        Job(seed, noise, clutter=CLUTTER)
        for seed in range(args.first, args.first + count)
        for noise in sensors
    ]
    runs: dict[bool, list[Run]] = {False: [], True: []}
    for noise, one in run_all(jobs, args.processes, run_inside):
        runs[noise].append(one)
        if one.category not in ("", "left_out"):
            sensor = "noise" if noise else "perfect"
            tqdm.write(f"{one.seed} {sensor} {one.thing}: {one.category}: {one.message}")
    results: dict[str, Any] = {}
    for noise, suffix in ((False, ""), (True, "_noise")):
        done = [r for r in runs[noise] if r.category != "left_out"]
        if done:
            good = sum(not r.category for r in done)
            failures = Counter(r.category for r in done if r.category)
            results |= {
                f"inside_success_percent{suffix}": round(100 * good / len(done), 1),
                f"inside_scenes{suffix}": len(done),
                f"inside_left_out{suffix}": len(runs[noise]) - len(done),
                f"inside_failures{suffix}": dict(failures),
            }
    results["conditions"] = {
        "quick": args.quick,
        "first_seed": args.first,
        "wall_s": round(perf_counter() - begin),
        "failed_runs": [
            f"{one.seed} {'noise' if noise else 'perfect'} {one.thing}: {one.category}:"
            f" {one.message.strip()}"
            for noise in sensors
            for one in sorted(runs[noise], key=lambda r: r.seed)
            if one.category not in ("", "left_out")
        ],
        "cores": os.cpu_count(),
        "processes": args.processes,
        "load_before": round(load_before, 2),
        "python": platform.python_version(),
        "mujoco-core": metadata.version("mujoco-core"),
        "machine": platform.machine(),
        "system": platform.system(),
    }
    for name, value in results.items():
        print(f"{name:32} {value}")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
