# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Searches joint space for a free polyline, with OMPL's RRT-Connect, and makes it short."""

from __future__ import annotations

from math import pi
from time import monotonic

import numpy as np
from ompl import base, geometric, util

from roborefer_grasping.core.planning.collision import CollisionChecker
from roborefer_grasping.core.robot import Array

# Largest change of a joint between two checks of an edge, radians.
EDGE_STEP = 0.04
# Beyond the span of start and goals, joints are sampled this much farther, radians.
_ROOM = 1.5 * pi
_LONGEST_EXTENSION = 1.2
_SHORTCUTS = 80

util.setLogLevel(util.LogLevel.LOG_ERROR)


def find_path(
    checker: CollisionChecker, start: Array, goals: Array, deadline_s: float
) -> tuple[Array, int] | None:
    """Find a free polyline from the start to any of the goals.

    Args:
        checker: Knows what is free; start and goals must be.
        start: Radians, shape (6,).
        goals: Radians, shape (M, 6), in the order in which straight lines are tried.
        deadline_s: Time for search and shortening.

    Returns:
        Corner points, shape (N, 6), from start to goal, and the index of the goal; None when the
        time was not enough.
    """
    until = monotonic() + deadline_s
    for index, goal in enumerate(goals):
        if monotonic() > until:
            return None
        if checker.edge_is_free(start, goal, EDGE_STEP):
            return np.stack([start, goal]), index
    path = _connect(checker, start, goals, until - monotonic())
    if path is None:
        return None
    index = int(np.abs(goals - path[-1]).max(axis=1).argmin())
    path[0], path[-1] = start, goals[index]
    return shorten(checker, path, until), index


def shorten(checker: CollisionChecker, path: Array, until: float) -> Array:
    """Cut corners of a free polyline while it stays free; chance is seeded, so it repeats."""
    path = _without_needless_corners(checker, path)
    rng = np.random.default_rng(0)
    for _ in range(_SHORTCUTS):
        if len(path) < 3 or monotonic() > until:
            break
        path = _try_shortcut(checker, path, rng)
    return _without_needless_corners(checker, path)


def _connect(
    checker: CollisionChecker, start: Array, goals: Array, seconds: float
) -> Array | None:
    if seconds <= 0:
        return None
    limits = checker.robot.limits
    ends = np.vstack([start[None], goals])
    lower = np.maximum(limits.lower, ends.min(axis=0) - _ROOM)
    upper = np.minimum(limits.upper, ends.max(axis=0) + _ROOM)
    space = base.RealVectorStateSpace(6)
    bounds = base.RealVectorBounds(6)
    for joint in range(6):
        # A start on a limit may lie outside by rounding, which OMPL would refuse.
        bounds.setLow(joint, float(lower[joint]) - 1e-6)
        bounds.setHigh(joint, float(upper[joint]) + 1e-6)
    space.setBounds(bounds)
    information = base.SpaceInformation(space)
    information.setStateValidityChecker(lambda state: checker.is_free(_values(state)))
    # The resolution is a share of the diagonal of the space.
    information.setStateValidityCheckingResolution(EDGE_STEP / space.getMaximumExtent())
    information.setup()
    problem = base.ProblemDefinition(information)
    problem.addStartState(_state(space, start))
    targets = base.GoalStates(information)
    for goal in goals:
        targets.addState(_state(space, goal))
    problem.setGoal(targets)
    planner = geometric.RRTConnect(information)
    planner.setRange(_LONGEST_EXTENSION)
    planner.setProblemDefinition(problem)
    planner.setup()
    planner.solve(seconds)
    if not problem.hasExactSolution():
        return None
    path = problem.getSolutionPath()
    return np.array([_values(path.getState(i)) for i in range(path.getStateCount())])


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
