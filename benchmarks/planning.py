# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures the embedded motion planner on random pick-and-place problems among clutter.

    python benchmarks/planning.py [--quick] [--json FILE] [--only NAME]

A problem is a table with 5 to 7 boxes and cylinders and a wall at the side, a UR5 that starts
anywhere, a box to take and a place for it at least 25 cm away; "hard" ones have a partition of
32 cm between the two. A solution has five timed motions: to a grasp (12 headings and all branches
of the arm, straight on for the last 10 cm), straight to it, straight up with the box, to the
place (12 headings again), straight down. The grasp is chosen together with the place: only grasps
with a free way to the place count. A seed for which every one of these ways, looked at one by one,
leaves the arm's reach or collides (in the padded model) has no solution of this form; it is left
out and counted, with the reason. Whatever has a way at both ends is taken, and counts as a failure
when it is not solved, whether a path exists or not.

Every motion is then replayed every 2 ms by a checker that shares no code with the planner: coal
with the convex hulls of UR's meshes, UR's URDF, and finite differences for the limits. Nothing is
padded there; a violation is a sample with real contact or beyond a limit. While the held box is
set off or down, its touching the table is meant and not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib import metadata
from math import cos, hypot, pi, sin
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.planning.collision import CollisionChecker
from roborefer_grasping.core.planning.embedded import EmbeddedPlanner
from roborefer_grasping.core.planning.interface import PlanRequest, PlanResult, Trajectory
from roborefer_grasping.core.planning.line import poses_between, ways_along
from roborefer_grasping.core.robot import Array, Limits, robot_named
from roborefer_grasping.core.world import Held, Obstacle, Shape, World
from tqdm import tqdm

# The second opinion on collisions also serves the tests, and lies with them.
sys.path.insert(0, str(Path(__file__).parents[1] / "src/roborefer_grasping/test"))

HEADINGS = 12
APPROACH_M = 0.10
# Fingers reach this far below the top of the box, to the middle of the pads.
GRASP_DEPTH_M = 0.02
LINE_SHARE = 0.3
DEADLINE_S = 5.0
REPLAY_STEP_S = 0.002
LEAST_WAY_M = 0.25
PARTITION_M = (0.02, 0.50, 0.32)
# The partition may not stand where the robot does.
BASE_RADIUS_M = 0.10
TABLE, TARGET = "table", "target"
ROBOT, GRIPPER = robot_named("ur5"), Gripper()
LINE_LIMITS = ROBOT.limits.scaled(LINE_SHARE, LINE_SHARE)


# ---- problems ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Problem:
    """Something to take and a place to put it, both upright on the table."""

    name: str
    start: Array
    clutter: tuple[Obstacle, ...]
    target: Obstacle
    place: Array

    def world(self, with_target: bool) -> World:
        """All obstacles, with an open jaw."""
        return World((*self.clutter, self.target) if with_target else self.clutter)

    def grasps(self) -> list[Array]:
        """Poses of the TCP from above, one per heading."""
        x, y, z = self.target.pose[:3, 3]
        top = z + self.target.size[2] / 2
        return [from_above(x, y, top - GRASP_DEPTH_M, yaw) for yaw in headings()]

    def held(self, grasp: Array) -> Held:
        """The target in the frame of the TCP."""
        pose = np.linalg.inv(grasp) @ self.target.pose
        return Held(TARGET, (replace(self.target, pose=pose),))

    def goals(self, grasp: Array) -> list[Array]:
        """Poses of the TCP that put the box down, one per heading of the box."""
        poses = []
        for yaw in headings():
            placed = upright(*self.place, self.target.pose[2, 3] + 0.001, yaw)
            poses.append(placed @ np.linalg.inv(self.target.pose) @ grasp)
        return poses


def headings() -> list[float]:
    """Angles about the vertical, radians."""
    return [2 * pi * i / HEADINGS for i in range(HEADINGS)]


def upright(x: float, y: float, z: float, yaw: float) -> Array:
    """Return a pose whose z axis points up."""
    pose = np.eye(4)
    pose[:2, :2] = [[cos(yaw), -sin(yaw)], [sin(yaw), cos(yaw)]]
    pose[:3, 3] = x, y, z
    return pose


def from_above(x: float, y: float, z: float, yaw: float) -> Array:
    """Return a pose whose z axis points down."""
    return upright(x, y, z, yaw) @ np.diag([1.0, -1.0, -1.0, 1.0])


def draw(name: str, seed: int, partition: bool) -> Problem | str:
    """Draw a problem; a string says why this seed gives none."""
    rng = np.random.default_rng(seed)
    pick, place = spot(rng), spot(rng)
    while hypot(*(pick - place)) < LEAST_WAY_M or (
        partition and hypot(*(pick + place) / 2) < PARTITION_M[1] / 2 + BASE_RADIUS_M
    ):
        pick, place = spot(rng), spot(rng)
    size = rng.uniform([0.04, 0.04, 0.06], [0.06, 0.05, 0.12])
    pose = upright(*pick, size[2] / 2, rng.uniform(-pi, pi))
    target = Obstacle(TARGET, Shape.BOX, size, pose)
    side = rng.choice([-1, 1])
    clutter = [
        Obstacle(TABLE, Shape.BOX, np.array([1.6, 1.8, 0.1]), upright(0.35, 0.0, -0.05, 0.0)),
        Obstacle("wall", Shape.BOX, np.array([0.7, 0.02, 0.4]), upright(0.5, side * 0.6, 0.2, 0)),
    ]
    if partition:
        x, y = (pick + place) / 2
        across = float(np.arctan2(*(place - pick)[::-1]))
        pose = upright(x, y, PARTITION_M[2] / 2, across)
        clutter.append(Obstacle("partition", Shape.BOX, np.array(PARTITION_M), pose))
    clutter += things(rng, [pick, place])
    checker = CollisionChecker(ROBOT, GRIPPER, World((*clutter, target)))
    start = rng.uniform(-pi, pi, 6)
    while not checker.is_free(start):
        start = rng.uniform(-pi, pi, 6)
    problem = Problem(name, start, tuple(clutter), target, place)
    if not list(pick_ways(problem, start)):
        return "no free way to the box"
    if not any(next(place_ways(problem, g, start), None) for g in problem.grasps()):
        return "no free way to the place"
    return problem


def spot(rng: np.random.Generator) -> Array:
    """Somewhere on the table that the arm reaches from above, shape (2,)."""
    while True:
        x, y = rng.uniform([0.25, -0.5], [0.75, 0.5])
        if 0.33 < hypot(x, y) < 0.72:
            return np.array([x, y])


def things(rng: np.random.Generator, kept_free: list[Array]) -> Iterator[Obstacle]:
    """5 to 7 boxes and cylinders; they may touch each other, but not the spots kept free."""
    for number in range(int(rng.integers(5, 8))):
        width, depth, height = rng.uniform([0.04, 0.04, 0.05], [0.12, 0.12, 0.25])
        where = spot(rng)
        # The hand is 75 mm wide; half of its diagonal, and a little.
        while min(hypot(*(where - s)) for s in kept_free) < 0.07 + max(width, depth) / 2:
            where = spot(rng)
        pose = upright(*where, height / 2, rng.uniform(-pi, pi))
        if rng.random() < 0.5:
            yield Obstacle(f"box_{number}", Shape.BOX, np.array([width, depth, height]), pose)
        else:
            size = np.array([width, width, height])
            yield Obstacle(f"cylinder_{number}", Shape.CYLINDER, size, pose)


def problems(kind: str, count: int) -> tuple[list[Problem], Counter[str]]:
    """The first problems of a kind, and how many seeds gave none, by reason."""
    taken: list[Problem] = []
    left_out: Counter[str] = Counter()
    seed = 0
    while len(taken) < count:
        drawn = draw(f"{kind}_{seed}", seed, kind == "hard")
        if isinstance(drawn, str):
            left_out[drawn] += 1
        else:
            taken.append(drawn)
        seed += 1
    return taken, left_out


# ---- solving -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Way:
    """Configurations along a straight way, and where it leads."""

    path: Array
    goal: Array
    grasp: Array


@dataclass(frozen=True, eq=False)
class Segment:
    """A motion, the world it is for, and the limits that were asked for."""

    name: str
    trajectory: Trajectory
    world: World
    limits: Limits


@dataclass
class Attempt:
    """What came of a problem.

    Attributes:
        segments: The five motions when solved.
        stages_s: Seconds per stage.
        why: What failed last, when not solved.
    """

    segments: list[Segment] = field(default_factory=list)
    stages_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    why: str = ""

    @property
    def solved(self) -> bool:
        """Whether all motions are there."""
        return len(self.segments) == 5


def straight_ways(
    checker: CollisionChecker, goal: Array, grasp: Array, start: Array
) -> Iterator[Way]:
    """Free ways straight down to a goal, one per branch of the arm."""
    above = goal.copy()
    above[2, 3] += APPROACH_M
    for path in ways_along(ROBOT, GRIPPER, poses_between(goal, above), float(start[5])):
        if checker.first_blocked(path) < 0:
            yield Way(path[::-1], goal, grasp)


def pick_ways(problem: Problem, start: Array) -> Iterator[Way]:
    """Free ways to all grasps of the box."""
    world = problem.world(True).allowing(TARGET, TABLE)
    checker = CollisionChecker(ROBOT, GRIPPER, world)
    for grasp in problem.grasps():
        yield from straight_ways(checker, grasp, grasp, start)


def carrying(problem: Problem, grasp: Array) -> World:
    """The world while the box is held."""
    held = problem.held(grasp)
    along = np.abs(held.parts[0].pose[1, :2]) @ problem.target.size[:2]
    return replace(problem.world(False), held=held, jaw=float(along))


def place_ways(problem: Problem, grasp: Array, start: Array) -> Iterator[Way]:
    """Free ways to put down the box, held by this grasp."""
    checker = CollisionChecker(ROBOT, GRIPPER, carrying(problem, grasp).allowing(TABLE))
    for goal in problem.goals(grasp):
        yield from straight_ways(checker, goal, grasp, start)


class Solver:
    """Solves one problem after the other and keeps the time of each stage."""

    def __init__(self) -> None:
        self._planner = EmbeddedPlanner(ROBOT, GRIPPER)

    def solve(self, problem: Problem) -> Attempt:
        """Plan all five motions; another grasp is tried where one leads no further."""
        attempt = Attempt()
        begin, begin_cpu = perf_counter(), process_time()
        ways = self._suitable_ways(problem, attempt)
        while ways and not attempt.solved:
            used = self._with_any_of(problem, ways, attempt)
            ways = [way for way in ways if used is not None and way.grasp is not used]
        attempt.stages_s["total"] = perf_counter() - begin
        attempt.stages_s["cpu"] = process_time() - begin_cpu
        return attempt

    def _suitable_ways(self, problem: Problem, attempt: Attempt) -> list[Way]:
        begin = perf_counter()
        suits: dict[int, bool] = {}
        ways = []
        for way in pick_ways(problem, problem.start):
            key = id(way.grasp)
            if key not in suits:
                suits[key] = next(place_ways(problem, way.grasp, problem.start), None) is not None
            if suits[key]:
                ways.append(way)
        attempt.stages_s["goal_sets"] += perf_counter() - begin
        attempt.why = "" if ways else "no grasp with a free way to the place"
        return ways

    def _with_any_of(self, problem: Problem, ways: list[Way], attempt: Attempt) -> Array | None:
        """Fill in the motions; return the grasp that was tried, None when none was reached."""
        attempt.segments.clear()
        world = problem.world(True)
        result = self._to_any(attempt, "to_grasp", world, problem.start, ways)
        if result.trajectory is None:
            return None
        way = ways[result.goal]
        here = result.trajectory.positions[-1]
        closing = world.allowing(TARGET, TABLE)
        held = carrying(problem, way.grasp)
        above = way.grasp.copy()
        above[2, 3] += APPROACH_M
        reached = self._line(attempt, "approach", closing, here, way.grasp)
        if reached is None:
            return way.grasp
        lifted = self._line(attempt, "lift", held.allowing(TABLE), reached, above)
        if lifted is None:
            return way.grasp
        begin = perf_counter()
        places = list(place_ways(problem, way.grasp, lifted))
        attempt.stages_s["goal_sets"] += perf_counter() - begin
        result = self._to_any(attempt, "to_place", held, lifted, places)
        if result.trajectory is not None:
            end = result.trajectory.positions[-1]
            self._line(attempt, "lower", held.allowing(TABLE), end, places[result.goal].goal)
        return way.grasp

    def _to_any(
        self, attempt: Attempt, name: str, world: World, start: Array, ways: list[Way]
    ) -> PlanResult:
        goals = np.array([way.path[0] for way in ways])
        request = PlanRequest(start, joints=goals, whole_turns=True, deadline_s=DEADLINE_S)
        return self._plan(attempt, name, world, request, ROBOT.limits)

    def _line(
        self, attempt: Attempt, name: str, world: World, start: Array, goal: Array
    ) -> Array | None:
        request = PlanRequest(start, line=goal[None], limits=LINE_LIMITS)
        result = self._plan(attempt, name, world, request, LINE_LIMITS)
        return result.trajectory.positions[-1] if result.trajectory else None

    def _plan(
        self, attempt: Attempt, name: str, world: World, request: PlanRequest, limits: Limits
    ) -> PlanResult:
        begin = perf_counter()
        self._planner.set_world(world)
        attempt.stages_s["worlds"] += perf_counter() - begin
        result = self._planner.plan(request)
        for stage, seconds in result.stages_s.items():
            attempt.stages_s[stage] += seconds
        if result.trajectory is None:
            attempt.why = f"{name}: {result.status}: {result.message}"
        else:
            attempt.segments.append(Segment(name, result.trajectory, world, limits))
        return result


# ---- replay ------------------------------------------------------------------------------


def replay(segments: list[Segment]) -> tuple[int, int, Counter[str]]:
    """Look at every 2 ms of some motions.

    Returns:
        How many samples there are, how many are violations, and violations by kind.
    """
    from independent import CoalCell

    kinds: Counter[str] = Counter()
    samples = violations = 0
    last: Array | None = None
    for segment in segments:
        trajectory = segment.trajectory
        count = int(np.ceil(trajectory.duration / REPLAY_STEP_S)) + 1
        times = trajectory.times[0] + REPLAY_STEP_S * np.arange(count)
        path = trajectory.sample(times)
        bad = beyond_limits(path, segment.limits, kinds, segment.name)
        if last is not None and np.abs(path[0] - last).max() > 1e-6:
            kinds[f"{segment.name}: does not start where the motion before ended"] += 1
            bad[0] = True
        last = trajectory.positions[-1]
        cell = CoalCell(GRIPPER, segment.world)
        for index, joints in enumerate(path):
            contact = cell.contact(joints)
            if contact:
                kinds[f"{segment.name}: {contact[0]} touches {contact[1]}"] += 1
                bad[index] = True
        samples += count
        violations += int(bad.sum())
    return samples, violations, kinds


def beyond_limits(path: Array, limits: Limits, kinds: Counter[str], name: str) -> Any:
    """Samples beyond position, velocity or acceleration limits, by finite differences."""
    slack = 1e-3
    # Before the first and after the last sample the arm rests.
    rested = np.concatenate([path[:1], path[:1], path, path[-1:], path[-1:]])
    velocity = np.diff(rested, axis=0) / REPLAY_STEP_S
    acceleration = np.diff(velocity, axis=0) / REPLAY_STEP_S
    bad = np.zeros(len(path), bool)
    for kind, value in (
        ("position", np.maximum(limits.lower - path, path - limits.upper)),
        ("velocity", np.abs(velocity[1:-2]) / limits.velocity - 1),
        ("acceleration", np.abs(acceleration[1:-1]) / limits.acceleration - 1),
    ):
        over = (value > slack).any(axis=1)
        if over.any():
            kinds[f"{name}: {kind} beyond its limit"] += int(over.sum())
        bad |= over
    return bad


# ---- figures -----------------------------------------------------------------------------


def measure(quick: bool, only: str) -> dict[str, Any]:
    """Solve and replay all problems."""
    count = 5 if quick else 50
    solver = Solver()
    figures: dict[str, Any] = {}
    stages: dict[str, list[float]] = defaultdict(list)
    failures: dict[str, str] = {}
    kinds: Counter[str] = Counter()
    samples = violations = 0
    seconds: list[float] = []
    for kind in ("easy", "hard"):
        taken, left_out = problems(kind, count)
        solved = 0
        for problem in tqdm(taken, desc=kind, unit="problem"):
            if only and problem.name != only:
                continue
            attempt = solver.solve(problem)
            for stage, value in attempt.stages_s.items():
                stages[stage].append(value * 1000)
            if not attempt.solved:
                failures[problem.name] = attempt.why
                continue
            seen, bad, found = replay(attempt.segments)
            samples, violations, kinds = samples + seen, violations + bad, kinds + found
            solved += 1
            seconds.append(sum(s.trajectory.duration for s in attempt.segments))
        figures[f"{kind}_success"] = solved
        figures[f"{kind}_problems"] = len(taken)
        figures[f"{kind}_left_out"] = dict(left_out)
    total = stages.pop("total")
    figures["plan_median_ms"] = statistics.median(total)
    figures["plan_p95_ms"] = float(np.percentile(total, 95))
    for stage, values in sorted(stages.items()):
        figures[f"{stage}_median_ms"] = statistics.median(values)
        figures[f"{stage}_p95_ms"] = float(np.percentile(values, 95))
    figures["motion_median_s"] = statistics.median(seconds) if seconds else None
    figures["samples"] = samples
    figures["violations"] = violations
    figures["violations_by_kind"] = dict(kinds)
    figures["failures"] = failures
    return figures


def main() -> None:
    """Run all measurements, print them, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="5 instead of 50 problems of a kind")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--only", default="", help="one problem, for example hard_7")
    args = parser.parse_args()
    load_before = os.getloadavg()[0]
    results = {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in measure(args.quick, args.only).items()
    }
    results["conditions"] = {
        "quick": args.quick,
        "deadline_s": DEADLINE_S,
        "cores": os.cpu_count(),
        "load_before": round(load_before, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("mujoco-core", "ompl", "toppra", "coal")},
        "machine": platform.machine(),
        "system": platform.system(),
    }
    for name, value in results.items():
        print(f"{name:28} {value}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
