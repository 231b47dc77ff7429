# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Picks things from random cluttered tables and puts them where another pixel points.

    python benchmarks/pick_place.py [--quick] [--json FILE] [--out DIR] [--only perfect|noise]

A scene is 5 to 9 things of the library, drawn by seed and settled. What is asked for is drawn
from what the camera sees, nothing else is told to the arm:

- The thing: any that shows at least 60 pixels, but no plates, which only stand around (`--thing
  plate` asks for nothing else; README of roborefer_grasping says why they cannot be taken). The
  reference is one of its pixels (2 pixels away from its outline where it has such), with the
  depth that the sensor measured there.
- The place: a pixel that shows the bare table within the region where things stand, such that a
  circle around the point as large as the thing's footprint, plus 2 cm, holds nothing else, and at
  most a tenth of it does not show. Where a scene has no such place for a thing, another thing is
  asked for; scenes without any are left out and counted.

Then the tasks of the `arm` node run as they are (segmentation, self filter, grasps, placements,
planning, verification by look, one retry after a grasp that was seen to fail), on the physics and
the controllers of the simulated cell. Success, by the truth of the simulation a second after the
end: the middle of the thing's footprint lies within 3 cm of the referred place, the thing stands
upright unless it is one that rolls, and nothing else moved by more than 2 cm or leans. All of it
is done twice: with a sensor that measures what is there, and with the sensor model (noise, holes,
flying pixels). A cycle is simulated time from the goal to rest at home, plus the real time that
seeing and planning took on this machine.

What the task says at its end is compared with the truth: `told_failure_of_success` and
`told_success_of_failure` count where it was wrong; `not_measured` counts placements of which it
says that it could not measure how far from its place the thing stands.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import signal
import statistics
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any

# Two processes draw pictures side by side; each needs only its own core.
os.environ.setdefault("LP_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
from roborefer_sim.core.gl import choose_gl

choose_gl()

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from _simulated_body import FRAME_S, FRAME_SIZE, Film, SimulatedBody  # noqa: E402
from roborefer_grasping.core.gripper import Gripper  # noqa: E402
from roborefer_grasping.core.motion import Look, Reason, TaskFailure  # noqa: E402
from roborefer_grasping.core.motion_pick import PickTask, PickWish  # noqa: E402
from roborefer_grasping.core.motion_place import PlaceTask, PlaceWish  # noqa: E402
from roborefer_grasping.core.motion_reference import Kind, Reference  # noqa: E402
from roborefer_grasping.core.motion_settings import Settings  # noqa: E402
from roborefer_grasping.core.motion_task import Hand  # noqa: E402
from roborefer_grasping.core.planning.embedded import EmbeddedPlanner  # noqa: E402
from roborefer_grasping.core.robot import Array, robot_named  # noqa: E402
from roborefer_grasping.core.view import DepthView  # noqa: E402
from roborefer_sim.core.arm import HOME  # noqa: E402
from roborefer_sim.core.camera import View  # noqa: E402
from roborefer_sim.core.cell import Cell  # noqa: E402
from roborefer_sim.core.clutter import Clutter, random_cell  # noqa: E402
from roborefer_sim.core.library import Make  # noqa: E402
from roborefer_sim.core.sensor import PERFECT, SensorModel  # noqa: E402
from roborefer_sim.core.simulation import Simulation  # noqa: E402
from tqdm import tqdm  # noqa: E402

SCENES, QUICK_SCENES, WALL_RUNS = 200, 10, 12
PROCESSES = 2
NOT_ASKED_FOR = ("plate",)
LEAST_PIXELS, FREE_M, MOST_HIDDEN = 60, 0.02, 0.1
NEAR_M, SHIFT_M, TILT_RAD = 0.03, 0.02, 0.3
TABLE_LOW, TABLE_HIGH = np.array([0.28, -0.32]), np.array([0.68, 0.32])

CATEGORIES = {
    "segment": {Reason.NOTHING_THERE, Reason.REFERENCE_ON_ROBOT, Reason.NO_DEPTH},
    "no_grasp": {Reason.NO_GRASP, Reason.TOO_WIDE},
    "unreachable": {Reason.UNREACHABLE, Reason.OUTSIDE_WORKSPACE},
    "no_path": {
        Reason.NO_PATH, Reason.PLANNING_TIMEOUT, Reason.START_IN_COLLISION,
        Reason.UNSAFE_TRAJECTORY,
    },
    "grasp_missed": {Reason.GRASP_MISSED, Reason.TARGET_MOVED},
    "grasp_lost": {Reason.GRASP_LOST, Reason.OBJECT_LOST},
    "no_place": {Reason.NO_STABLE_PLACE, Reason.PLACE_OCCUPIED},
}  # fmt: skip


# ---- what is asked for -------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Request:
    """A thing and a place.

    Attributes:
        name: Of the thing; known to the judge only.
        pick: Column and row.
        place: Column and row.
        goal: x and y of the place on the table, metres; known to the judge only.
        kind: What the reference to the place means.
    """

    name: str
    pick: tuple[int, int]
    place: tuple[int, int]
    goal: Array
    kind: Kind = Kind.FREE_SPACE


def draw_request(
    cell: Cell, truth: View, seen: DepthView, seed: int, only: str = ""
) -> Request | None:
    """Draw a thing and a place for it, by the rules on top; None where there are none.

    Args:
        cell: The scene.
        truth: What the camera would see without flaws.
        seen: What it sees.
        seed: Of the draw.
        only: The kind of thing that is asked for; "" asks for any.
    """
    rng = np.random.default_rng(seed)
    bodies = truth.bodies
    ids = cell.body_ids()
    kinds = {thing.name: thing.make.thing.key for thing in cell.placed}
    table = DepthView(truth.depth_m, seen.fx, seen.fy, seen.cx, seen.cy, seen.t_base_optical)
    spots = np.argwhere(
        (bodies == 0)
        & seen.measured
        & (np.abs(table.points[..., 2]) < 1e-3)
        & ((table.points[..., :2] > TABLE_LOW) & (table.points[..., :2] < TABLE_HIGH)).all(-1)
    )
    for body in rng.permutation(list(ids)):
        shown = (bodies == body) & seen.measured
        if shown.sum() < LEAST_PIXELS or not _asked_for(kinds[ids[int(body)]], only):
            continue
        inner = cv2.erode(shown.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        v, u = rng.choice(np.argwhere(inner if inner.any() else shown))
        for row, column in rng.permutation(spots)[:2000]:
            goal = table.points[row, column, :2]
            if _has_room(cell, ids[int(body)], goal, table, bodies == 0):
                name = ids[int(body)]
                return Request(name, (int(u), int(v)), (int(column), int(row)), goal)
    return None


def _asked_for(kind: str, only: str) -> bool:
    return kind == only if only else kind not in NOT_ASKED_FOR


def _has_room(cell: Cell, name: str, goal: Array, view: DepthView, bare: Any) -> bool:
    makes = {thing.name: thing.make for thing in cell.placed}
    radius = radius_of(makes[name]) + FREE_M
    for other, make in makes.items():
        if other == name:
            continue
        near = np.hypot(*(footprint_middle(cell, other, make) - goal))
        if near < radius + radius_of(make):
            return False
    around = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = np.array([[np.cos(a), np.sin(a)] for a in around])
    disc = np.vstack([ring * radius * share for share in (0.35, 0.7, 1.0)]) + goal
    pixels, _ = view.project(np.column_stack([disc, np.zeros(len(disc))]))
    columns, rows = np.round(pixels).astype(int).T
    height, width = bare.shape
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    seen = bare[np.where(inside, rows, 0), np.where(inside, columns, 0)] & inside
    return bool(seen.mean() >= 1 - MOST_HIDDEN)


def radius_of(make: Make) -> float:
    """Of the circle around a thing's footprint, metres."""
    low, high = make.bounds
    return float(np.hypot(*(high - low)[:2])) / 2


def footprint_middle(cell: Cell, name: str, make: Make) -> Array:
    """Where the middle of a thing is from above, shape (2,), metres."""
    low, high = make.bounds
    pose = cell.pose_of(name)
    return np.asarray((pose[:3, :3] @ ((low + high) / 2) + pose[:3, 3])[:2])


# ---- one run -----------------------------------------------------------------------------


@dataclass
class Run:
    """What came of a scene.

    Attributes:
        seed: Of the scene.
        thing: Its kind.
        category: "" for success, "left_out" for a scene that asks for nothing, else why not.
        message: What was wrong, for people.
        told: What the task itself said at its end; "" for success.
        cycle_s: Simulated time plus time for seeing and planning; of successes.
        think_s: The latter part.
        attempts: Grasps tried by moving.
        error_m: From the middle of the footprint to the place; negative when it was not placed.
        measured: Whether the task measured where the thing stands after it was placed.
        frames: Pictures for the video wall.
    """

    seed: int
    thing: str = ""
    category: str = ""
    message: str = ""
    told: str = ""
    cycle_s: float = 0.0
    think_s: float = 0.0
    attempts: int = 0
    error_m: float = -1.0
    measured: bool = False
    frames: list[Any] = field(default_factory=list)


def settings() -> Settings:
    """What the node's parameters are, with one retry."""
    return Settings(
        robot=robot_named("ur5"),
        gripper=Gripper(),
        home=np.array(HOME),
        low=np.array([-0.60, -0.80, -0.02]),
        high=np.array([0.95, 0.80, 1.30]),
        max_attempts=2,
    )


@dataclass(frozen=True)
class Job:
    """A scene to do: its seed, the sensor, whether to film it, its clutter, what is asked for."""

    seed: int
    noise: bool
    film: bool = False
    clutter: Clutter | None = None
    only: str = ""


Draw = Callable[[Cell, View, DepthView, int, str], Request | None]
Judge = Callable[[Cell, Request, dict[str, Array], Run], None]


def run(job: Job, draw: Draw, judge: Judge) -> Run:
    """Do one scene from beginning to end.

    Args:
        job: Which scene.
        draw: Says what is asked for; None leaves the scene out.
        judge: Fills in what came of it, by the truth.
    """
    seed, noise, film, clutter = job.seed, job.noise, job.film, job.clutter
    cell = random_cell(seed, clutter)
    simulation = Simulation(cell)
    body = SimulatedBody(simulation, SensorModel() if noise else PERFECT, seed)
    try:
        request = draw(cell, body.truth, body.first.view, seed, job.only)
        if request is None:
            return Run(seed, category="left_out")
        result = Run(seed, request.name.partition("_")[2].rpartition("_")[0])
        camera = Film(cell, request.goal) if film else None
        if camera:
            body.on_step = camera.step
        before = {thing.name: cell.pose_of(thing.name) for thing in cell.placed}
        _do(body, request, result)
        body.wait(1.0)
        judge(cell, request, before, result)
        if camera:
            result.frames = camera.frames
            camera.close()
        return result
    finally:
        body.close()


def _do(body: SimulatedBody, request: Request, result: Run) -> None:
    values = settings()
    planner, hand = EmbeddedPlanner(values.robot, values.gripper), Hand()
    limits = values.limits(0.0, 0.0)
    begin, began_s, busy = perf_counter(), body.simulation.now_s, body.busy_s
    pick = _reference(body.first, request.pick, Kind.OBJECT)
    place = _reference(body.first, request.place, request.kind)
    picking = PickTask(values, body, planner, hand, limits)
    placing = PlaceTask(values, body, planner, hand, limits)
    try:
        picking.run(PickWish(pick, place))
        placing.run(PlaceWish(place))
    except TaskFailure as failure:
        result.told, result.message = failure.reason, str(failure)
    result.measured = placing.record.position_error >= 0
    result.attempts = picking.record.attempts
    result.think_s = perf_counter() - begin - (body.busy_s - busy)
    result.cycle_s = body.simulation.now_s - began_s + result.think_s


def _reference(look: Look, pixel: tuple[int, int], kind: Kind) -> Reference:
    height, width = look.view.depth_m.shape
    u, v = pixel
    return Reference(look.view.points[v, u], (u, v), (width, height), look.stamp_ns, kind=kind)


def judge(cell: Cell, request: Request, before: dict[str, Array], result: Run) -> None:
    """Fill in what came of it, by the truth."""
    make = next(thing.make for thing in cell.placed if thing.name == request.name)
    error = float(np.hypot(*(footprint_middle(cell, request.name, make) - request.goal)))
    upright = make.thing.rolls or cell.tilt_of(request.name) < TILT_RAD
    disturbed = [
        name
        for name, pose in before.items()
        if name != request.name
        and (
            np.linalg.norm(cell.pose_of(name)[:3, 3] - pose[:3, 3]) > SHIFT_M
            or cell.tilt_of(name) > TILT_RAD
        )
    ]
    if disturbed:
        result.category = "knocked_over"
        result.message = f"{', '.join(disturbed)} was disturbed. {result.message}"
    elif error > NEAR_M or not upright:
        by_reason = (name for name, reasons in CATEGORIES.items() if result.told in reasons)
        result.category = next(by_reason, "place_missed")
        if result.category == "place_missed":
            tilt = cell.tilt_of(request.name)
            result.message += f" It lies {error:.3f} m from the place and leans {tilt:.2f} rad."
    if not result.told or result.category in ("", "place_missed"):
        result.error_m = error


# ---- figures -----------------------------------------------------------------------------


def run_safely(job: Job, draw: Draw = draw_request, judge: Judge = judge) -> tuple[bool, Run]:
    """Turn a defect of the program into a failure of its scene."""
    try:
        return job.noise, run(job, draw, judge)
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        return job.noise, Run(job.seed, category="defect", message=message)


def run_all(
    jobs: list[Job], processes: int, work: Callable[[Job], tuple[bool, Run]] = run_safely
) -> Iterator[tuple[bool, Run]]:
    """Do all runs, several at a time; Ctrl-C ends them."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        done = pool.imap_unordered(work, jobs)
        yield from tqdm(done, total=len(jobs), unit="run", smoothing=0.05)


def figures_of(runs: list[Run], suffix: str) -> dict[str, Any]:
    """Sum up the runs of one sensor."""
    left_out = [r.seed for r in runs if r.category == "left_out"]
    runs = [r for r in runs if r.category != "left_out"]
    if not runs:
        return {}
    good = [r for r in runs if not r.category]
    figures: dict[str, Any] = {
        f"success_percent{suffix}": 100 * len(good) / len(runs),
        f"scenes{suffix}": len(runs),
        f"left_out{suffix}": left_out,
        f"failures{suffix}": dict(Counter(r.category for r in runs if r.category)),
        f"retried{suffix}": sum(r.attempts > 1 for r in runs),
        f"told_failure_of_success{suffix}": sum(bool(r.told) for r in good),
        f"told_success_of_failure{suffix}": sum(
            not r.told and r.measured for r in runs if r.category
        ),
        f"not_measured{suffix}": sum(not r.told and not r.measured for r in runs),
        f"not_measured_of_failure{suffix}": sum(
            not r.told and not r.measured for r in runs if r.category
        ),
    }
    if good:
        figures |= {
            f"cycle_median_s{suffix}": statistics.median(r.cycle_s for r in good),
            f"think_median_s{suffix}": statistics.median(r.think_s for r in good),
            f"think_p95_s{suffix}": float(np.percentile([r.think_s for r in good], 95)),
            f"place_error_median_mm{suffix}": 1000 * statistics.median(r.error_m for r in good),
        }
    return figures


def write_wall(runs: list[Run], path: Path) -> None:
    """Write a mosaic of runs as a video."""
    width, height = FRAME_SIZE
    shown = sorted((r for r in runs if r.frames), key=lambda r: r.seed)[:WALL_RUNS]
    if not shown:
        return
    columns = 4
    rows = -(-len(shown) // columns)
    code = cv2.VideoWriter.fourcc(*"mp4v")
    video = cv2.VideoWriter(str(path), code, 1 / FRAME_S, (columns * width, rows * height))
    for index in range(max(len(r.frames) for r in shown) + 5):
        wall = np.zeros((rows * height, columns * width, 3), np.uint8)
        for tile, one in enumerate(shown):
            over = index >= len(one.frames)
            frame = one.frames[min(index, len(one.frames) - 1)][..., ::-1].copy()
            text = one.thing + (f": {one.category or 'done'}" if over else "")
            color = (80, 80, 255) if over and one.category else (255, 255, 255)
            cv2.putText(frame, text, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, 1, 16)
            row, column = divmod(tile, columns)
            here = np.s_[row * height : (row + 1) * height, column * width : (column + 1) * width]
            wall[here] = frame
        video.write(wall)
    video.release()


def main() -> None:
    """Do all runs, print the figures, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SCENES} scenes")
    parser.add_argument("--scenes", type=int, help=f"other than {SCENES} scenes")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--only", choices=("perfect", "noise"), help="with one sensor only")
    parser.add_argument("--thing", default="", help="ask for this kind only, even for a plate")
    parser.add_argument("--containers", action="store_true", help="things stand in things, too")
    parser.add_argument("--processes", type=int, default=PROCESSES, help="side by side")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--out", type=Path, help="write a video wall into this folder")
    args = parser.parse_args()
    load_before = os.getloadavg()[0]
    count = args.scenes or (QUICK_SCENES if args.quick else SCENES)
    sensors = [noise for name, noise in (("perfect", False), ("noise", True))
               if args.only in (None, name)]  # fmt: skip
    clutter = Clutter(in_containers=0.5) if args.containers else None
    filmed = args.first + WALL_RUNS if args.out else args.first
    jobs = [
        Job(seed, noise, noise and seed < filmed, clutter, args.thing)
        for seed in range(args.first, args.first + count)
        for noise in sensors
    ]
    begin = perf_counter()
    runs: dict[bool, list[Run]] = {False: [], True: []}
    try:
        for noise, one in run_all(jobs, args.processes):
            runs[noise].append(one)
            if one.category:
                sensor = "noise" if noise else "perfect"
                tqdm.write(f"{one.seed} {sensor} {one.thing}: {one.category}: {one.message}")
    except KeyboardInterrupt:
        print("interrupted; the figures are those of the runs until now")
    results = {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in (figures_of(runs[False], "") | figures_of(runs[True], "_noise")).items()
    }
    results["conditions"] = {
        "quick": count < SCENES,
        "first_seed": args.first,
        "containers": args.containers,
        "thing": args.thing,
        "not_asked_for": () if args.thing else NOT_ASKED_FOR,
        "processes": args.processes,
        "complete": sum(map(len, runs.values())) == len(jobs),
        "wall_s": round(perf_counter() - begin),
        "failed_runs": [
            f"{one.seed} {'noise' if noise else 'perfect'} {one.thing}: {one.category}:"
            f" {one.message.strip()}"
            for noise in sensors
            for one in sorted(runs[noise], key=lambda r: r.seed)
            if one.category not in ("", "left_out")
        ],
        "cores": os.cpu_count(),
        "load_before": round(load_before, 2),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("mujoco-core", "ompl", "toppra")},
        "machine": platform.machine(),
        "system": platform.system(),
    }
    for name, value in results.items():
        print(f"{name:32} {value}")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        write_wall(runs[True] or runs[False], args.out / "pick_place.mp4")


if __name__ == "__main__":
    main()
