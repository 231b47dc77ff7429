# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What is asked of a motion planner and what it answers, whichever engine plans.

All poses are in the frame of the arm's base (`base_link`), all tool poses are of the TCP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np

from roborefer_grasping.core.robot import Array, Limits
from roborefer_grasping.core.world import World
from roborefer_grasping.exceptions import PlanningError


class Status(StrEnum):
    """How planning ended."""

    OK = "ok"
    START_OUTSIDE_LIMITS = "start_outside_limits"
    START_IN_COLLISION = "start_in_collision"
    # No configuration of the arm reaches any goal.
    GOAL_UNREACHABLE = "goal_unreachable"
    # Every configuration that reaches a goal collides.
    GOAL_IN_COLLISION = "goal_in_collision"
    # The straight line leaves what the arm can do, or touches something.
    LINE_BLOCKED = "line_blocked"
    TIMEOUT = "timeout"
    TIMING_FAILED = "timing_failed"
    # What an engine answered did not pass the shared verifier.
    UNSAFE = "unsafe"
    ENGINE_UNAVAILABLE = "engine_unavailable"


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A timed motion of all six joints.

    Attributes:
        times: Seconds from the start, increasing, shape (N,).
        positions: Radians, shape (N, 6).
        velocities: Radians per second, shape (N, 6).
        accelerations: Radians per second squared, shape (N, 6).
    """

    times: Array
    positions: Array
    velocities: Array
    accelerations: Array

    def __post_init__(self) -> None:
        count = len(self.times)
        if count < 2 or not (np.diff(self.times) > 0).all():
            raise PlanningError(f"a trajectory needs at least 2 points in order, not {count}")
        for name in ("positions", "velocities", "accelerations"):
            value = getattr(self, name)
            if value.shape != (count, 6) or not np.isfinite(value).all():
                raise PlanningError(f"{name} must be {count} rows of 6 finite numbers")

    @property
    def duration(self) -> float:
        """Seconds from the first to the last point."""
        return float(self.times[-1] - self.times[0])

    def sample(self, times: Array, order: int = 0) -> Array:
        """Positions, or derivatives of order 1 or 2, at these times, shape (M, 6).

        Between points the motion is the cubic through positions and velocities, which is what
        joint_trajectory_controller follows when it gets both. Beyond the ends it rests.
        """
        asked = np.atleast_1d(times)
        t = np.clip(asked, self.times[0], self.times[-1])
        i = np.clip(np.searchsorted(self.times, t, side="right") - 1, 0, len(self.times) - 2)
        span = (self.times[i + 1] - self.times[i])[:, None]
        s = (t - self.times[i])[:, None] / span
        step = self.positions[i + 1] - self.positions[i]
        v0, v1 = self.velocities[i] * span, self.velocities[i + 1] * span
        square, cube = 3 * step - 2 * v0 - v1, v0 + v1 - 2 * step
        if order == 0:
            return np.asarray(self.positions[i] + s * (v0 + s * (square + s * cube)))
        if order == 1:
            value = (v0 + s * (2 * square + 3 * s * cube)) / span
        else:
            value = (2 * square + 6 * s * cube) / span**2
        return np.where((asked == t)[:, None], value, 0.0)


@dataclass(frozen=True, eq=False)
class PlanRequest:
    """A motion that ends at any one of several goals.

    Exactly one of `joints`, `poses` and `line` is given.

    Attributes:
        start: Radians, shape (6,).
        joints: Goal configurations, shape (M, 6).
        poses: Goal poses of the TCP, shape (M, 4, 4), best first.
        line: Poses of the TCP to go through in straight lines, shape (M, 4, 4).
        whole_turns: A goal of `joints` counts as reached whole turns of joints away, too.
        limits: What the joints may do; the engine's own limits when None.
        deadline_s: Time for the whole answer.
    """

    start: Array
    joints: Array | None = None
    poses: Array | None = None
    line: Array | None = None
    whole_turns: bool = False
    limits: Limits | None = None
    deadline_s: float = 5.0

    def __post_init__(self) -> None:
        if np.shape(self.start) != (6,) or not np.isfinite(self.start).all():
            raise PlanningError(f"start is {self.start}; 6 finite angles are needed")
        goals = [g for g in (self.joints, self.poses, self.line) if g is not None]
        if len(goals) != 1 or not len(goals[0]) or not np.isfinite(goals[0]).all():
            raise PlanningError("exactly one of joints, poses and line must be given, and finite")
        wanted = (6,) if self.joints is not None else (4, 4)
        if goals[0].shape[1:] != wanted:
            raise PlanningError(f"goals have shape {goals[0].shape}; (M, {wanted}) is needed")
        if not (np.isfinite(self.deadline_s) and self.deadline_s > 0):
            raise PlanningError(f"deadline_s is {self.deadline_s}; it must be positive")


@dataclass(frozen=True, eq=False)
class PlanResult:
    """What a planner found.

    Attributes:
        status: How it ended.
        message: One sentence for people; empty when OK.
        trajectory: The motion; None unless OK.
        goal: Index of the goal that it reaches; -1 unless OK.
        stages_s: Seconds per stage, such as "goals", "search", "timing", "verify".
        engine: Which engine planned.
    """

    status: Status
    message: str = ""
    trajectory: Trajectory | None = None
    goal: int = -1
    stages_s: Mapping[str, float] = field(default_factory=dict)
    engine: str = ""


class MotionPlanner(Protocol):
    """Plans one motion at a time in the world it was given last."""

    def set_world(self, world: World) -> None:
        """Take over obstacles, held thing and what may be touched."""

    def plan(self, request: PlanRequest) -> PlanResult:
        """Find a motion; never raises for a goal that cannot be reached."""

    def close(self) -> None:
        """Let go of connections; calling it twice is allowed."""
