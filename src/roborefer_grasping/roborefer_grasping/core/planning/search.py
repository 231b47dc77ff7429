# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Searches joint space for free polylines, with OMPL's RRT-Connect, and makes them short."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, pairwise
from math import pi
from time import monotonic

import numpy as np
from ompl import base, geometric, util

from roborefer_grasping.core.planning.collision import LEAST_SHARE, CollisionChecker
from roborefer_grasping.core.planning.curve import without_repetitions
from roborefer_grasping.core.robot import Array

# Largest change of a joint between two checks of an edge while searching, radians; each attempt
# halves it. What is found is then looked at more closely, with a share of the padding: at 0.04 rad
# the tool moves by some 3 cm, and a corner of a thing may come between.
EDGE_STEP = 0.04
FINE_STEP = 0.006
# Beyond the span of start and goals, joints are sampled this much farther, by turns, radians.
_ROOMS = (1.5 * pi, 0.4 * pi)
# Configurations that the first attempt may look at; each further one may look at as many more.
_LOOKS = 15_000
_LONGEST_EXTENSION = 1.2
_SHORTCUTS = 80
# An arm that stands in the padding leaves it through a configuration that is free and at most this
# far away, radians.
_WAYS_OUT = (0.05, 0.1, 0.2, 0.4)
_TRIES_PER_WAY_OUT = 40

util.setLogLevel(util.LogLevel.LOG_ERROR)


def find_paths(
    checker: CollisionChecker, start: Array, goals: Array, until: float
) -> Iterator[tuple[Array, int]]:
    """Find free polylines from the start to any of the goals, one after the other.

    Args:
        checker: Knows what is free; goals must be, the start at least with `LEAST_SHARE`.
        start: Radians, shape (6,).
        goals: Radians, shape (M, 6), in the order in which straight lines are tried.
        until: Monotonic time at which to give up.

    Yields:
        Corner points, shape (N, 6), from start to goal, and the index of the goal; the next one
        is searched when it is asked for.
    """
    share = checker.share_from(start)
    for index, goal in enumerate(goals):
        if monotonic() > until:
            return
        line = np.stack([start, goal])
        if checker.edge_is_free(start, goal, EDGE_STEP) and _holds(checker, line, share):
            yield line, index
    begin = start if checker.is_free(start) else _way_out(checker, start)
    if begin is None:
        return
    for path in _connections(checker, begin, goals, until):
        index = int(np.abs(goals - path[-1]).max(axis=1).argmin())
        path[-1] = goals[index]
        path = without_repetitions(np.vstack([start, path]))
        short = shorten(checker, path, until)
        for candidate in (short, path):
            if _holds(checker, candidate, share):
                yield candidate, index
                break


def _holds(checker: CollisionChecker, path: Array, share: float) -> bool:
    """Look closely at a polyline, with a share of the padding."""
    return all(checker.edge_is_free(a, b, FINE_STEP, share) for a, b in pairwise(path))


def _way_out(checker: CollisionChecker, start: Array) -> Array | None:
    """Find a free configuration near a start that is closer to something than the padding."""
    limits = checker.robot.limits
    rng = np.random.default_rng(0)
    for reach in np.repeat(_WAYS_OUT, _TRIES_PER_WAY_OUT):
        beside = np.clip(start + rng.uniform(-reach, reach, 6), limits.lower, limits.upper)
        if checker.is_free(beside) and checker.edge_is_free(start, beside, EDGE_STEP, LEAST_SHARE):
            return np.asarray(beside)
    return None


def shorten(checker: CollisionChecker, path: Array, until: float) -> Array:
    """Cut corners of a free polyline while it stays free; chance is seeded, so it repeats."""
    path = _without_needless_corners(checker, path)
    rng = np.random.default_rng(0)
    for _ in range(_SHORTCUTS):
        if len(path) < 3 or monotonic() > until:
            break
        path = _try_shortcut(checker, path, rng)
    return _without_needless_corners(checker, path)


def _connections(
    checker: CollisionChecker, start: Array, goals: Array, until: float
) -> Iterator[Array]:
    """Search again and again, with other chance, more patience and finer steps."""
    for attempt in count(1):
        if monotonic() >= until:
            return
        room = _ROOMS[attempt % len(_ROOMS)]
        path = _attempt(checker, start, goals, room, attempt, until)
        if path is not None:
            yield path


def _attempt(
    checker: CollisionChecker,
    start: Array,
    goals: Array,
    room: float,
    attempt: int,
    until: float,
) -> Array | None:
    """One run of RRT-Connect; the same arguments give the same path unless time runs out.

    Args:
        checker: Knows what is free.
        start: Radians, shape (6,).
        goals: Radians, shape (M, 6).
        room: How far beyond start and goals joints are sampled, radians.
        attempt: From 1; decides chance, patience and resolution.
        until: Monotonic time at which to give up.
    """
    space = _space(checker, start, goals, room)
    information = base.SpaceInformation(space)
    looked_at, most = 0, _LOOKS * attempt
    step = max(FINE_STEP, EDGE_STEP * 0.5 ** (attempt - 1))

    def is_free(state: object) -> bool:
        nonlocal looked_at
        looked_at += 1
        return checker.is_free(_values(state))

    information.setStateValidityChecker(is_free)
    # The resolution is a share of the diagonal of the space.
    information.setStateValidityCheckingResolution(step / space.getMaximumExtent())
    information.setup()
    problem = base.ProblemDefinition(information)
    problem.addStartState(_state(space, start))
    targets = base.GoalStates(information)
    for goal in goals:
        targets.addState(_state(space, goal))
    problem.setGoal(targets)
    _seed(attempt)
    planner = geometric.RRTConnect(information)
    planner.setRange(_LONGEST_EXTENSION)
    planner.setProblemDefinition(problem)
    planner.setup()
    planner.solve(
        base.PlannerTerminationCondition(lambda: looked_at > most or monotonic() > until)
    )
    if not problem.hasExactSolution():
        return None
    path = problem.getSolutionPath()
    return np.array([_values(path.getState(i)) for i in range(path.getStateCount())])


def _space(
    checker: CollisionChecker, start: Array, goals: Array, room: float
) -> base.RealVectorStateSpace:
    limits = checker.robot.limits
    ends = np.vstack([start[None], goals])
    lower = np.maximum(limits.lower, ends.min(axis=0) - room)
    upper = np.minimum(limits.upper, ends.max(axis=0) + room)
    space = base.RealVectorStateSpace(6)
    bounds = base.RealVectorBounds(6)
    for joint in range(6):
        # A start on a limit may lie outside by rounding, which OMPL would refuse.
        bounds.setLow(joint, float(lower[joint]) - 1e-6)
        bounds.setHigh(joint, float(upper[joint]) + 1e-6)
    space.setBounds(bounds)
    return space


def _seed(seed: int) -> None:
    """Let every random generator that OMPL makes from here on repeat itself.

    OMPL warns that generators made earlier go on as they were; each search makes its own.
    """
    util.setLogLevel(util.LogLevel.LOG_NONE)
    util.RNG.setSeed(seed)
    util.setLogLevel(util.LogLevel.LOG_ERROR)


def _values(state: object) -> Array:
    return np.array([state[joint] for joint in range(6)])  # type: ignore[index]


def _state(space: base.RealVectorStateSpace, joints: Array) -> object:
    state = space.allocState()
    for joint, value in enumerate(joints):
        state[joint] = float(value)
    return state


def _without_needless_corners(checker: CollisionChecker, path: Array) -> Array:
    """Go from each corner straight to the farthest later one that is free to reach."""
    kept, here = [0], 0
    while here < len(path) - 1:
        there = len(path) - 1
        while there > here + 1 and not checker.edge_is_free(path[here], path[there], EDGE_STEP):
            there -= 1
        kept.append(there)
        here = there
    return path[kept]


def _try_shortcut(checker: CollisionChecker, path: Array, rng: np.random.Generator) -> Array:
    lengths = np.abs(np.diff(path, axis=0)).max(axis=1)
    ends = np.cumsum(lengths)
    low, high = np.sort(rng.uniform(0, ends[-1], 2))
    i, j = np.searchsorted(ends, [low, high])
    if i == j:
        return path
    first = path[i] + (path[i + 1] - path[i]) * (1 - (ends[i] - low) / lengths[i])
    second = path[j] + (path[j + 1] - path[j]) * (1 - (ends[j] - high) / lengths[j])
    if not checker.edge_is_free(first, second, EDGE_STEP):
        return path
    return np.vstack([path[: i + 1], first, second, path[j + 1 :]])
