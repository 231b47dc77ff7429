# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The last look at a trajectory before it is sent, whichever engine made it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from roborefer_grasping.core.kinematics import forward
from roborefer_grasping.core.planning.collision import LEAST_SHARE as LEAST_SHARE
from roborefer_grasping.core.planning.collision import CollisionChecker
from roborefer_grasping.core.planning.interface import Status, Trajectory
from roborefer_grasping.core.planning.timing import extremes
from roborefer_grasping.core.robot import Array, Limits

# Between two looks, seconds.
LOOK_STEP_S = 0.004
# Rounding in messages and sums; far below what a drive can resolve.
_SLACK = 1e-4
# An arm that holds or pushes something stands this much beside where its servos want it.
START_TOLERANCE_RAD = 0.035


class Rule(StrEnum):
    """What a trajectory can violate."""

    START = "start"
    POSITION = "position"
    VELOCITY = "velocity"
    ACCELERATION = "acceleration"
    COLLISION = "collision"
    WORKSPACE = "workspace"
    REST = "rest"


@dataclass(frozen=True)
class Violation:
    """One broken rule, where it is broken worst or first.

    Attributes:
        rule: Which one.
        time_s: When, seconds from the start.
        message: One sentence that names the value and the limit.
    """

    rule: Rule
    time_s: float
    message: str


def start_refused(
    checker: CollisionChecker, limits: Limits, start: Array
) -> tuple[Status, str] | None:
    """Why no motion may begin where the arm is, with one sentence; None when it may."""
    beyond = np.maximum(limits.lower - start, start - limits.upper)
    if beyond.max() > 1e-6:
        joint = int(beyond.argmax())
        return (
            Status.START_OUTSIDE_LIMITS,
            f"joint {joint + 1} stands at {start[joint]:.3f} rad; its limits are"
            f" {limits.lower[joint]:.3f} to {limits.upper[joint]:.3f}",
        )
    touch = checker.first_touch(start)
    # An arm that came to rest close to something must be able to leave.
    if touch and not checker.is_free(start, LEAST_SHARE):
        return (
            Status.START_IN_COLLISION,
            f"at the start {touch.first} is {touch.distance * 1000:.1f} mm from {touch.second}",
        )
    return None


def check(
    trajectory: Trajectory, checker: CollisionChecker, limits: Limits, start: Array
) -> list[Violation]:
    """Look at a trajectory every few milliseconds.

    Args:
        trajectory: The motion.
        checker: Knows world and gripper.
        limits: What the joints may do.
        start: Where the arm is now, radians, shape (6,).

    Returns:
        What is wrong, at most one entry per rule; empty when it may be sent.
    """
    count = int(np.ceil(trajectory.duration / LOOK_STEP_S)) + 1
    times = np.linspace(trajectory.times[0], trajectory.times[-1], count)
    path = trajectory.sample(times)
    found = _limits_broken(trajectory, path, times, limits, start)
    touching = checker.first_blocked(path, LEAST_SHARE)
    if touching >= 0:
        touch = checker.first_touch(path[touching])
        assert touch is not None
        found.append(
            Violation(
                Rule.COLLISION,
                float(times[touching]),
                f"{touch.first} comes to {touch.distance * 1000:.1f} mm from {touch.second}",
            )
        )
    found += _workspace_left(path, times, checker)
    return found


def _limits_broken(
    trajectory: Trajectory, path: Array, times: Array, limits: Limits, start: Array
) -> list[Violation]:
    found = []
    off = float(np.abs(trajectory.positions[0] - start).max())
    if off > START_TOLERANCE_RAD:
        found.append(Violation(Rule.START, 0.0, f"it starts {off:.3f} rad from where the arm is"))
    ends = np.abs(trajectory.velocities[[0, -1]]).max()
    if ends > _SLACK:
        found.append(
            Violation(Rule.REST, 0.0, f"it starts or ends at {ends:.3f} rad/s and not at rest")
        )
    beyond = np.maximum(limits.lower - path, path - limits.upper)
    if beyond.max() > _SLACK:
        row, joint = divmod(int(beyond.argmax()), 6)
        found.append(
            Violation(
                Rule.POSITION,
                float(times[row]),
                f"joint {joint + 1} goes {beyond.max():.3f} rad beyond its limit",
            )
        )
    speed, pull = extremes(trajectory)
    for rule, value, most in (
        (Rule.VELOCITY, speed, limits.velocity),
        (Rule.ACCELERATION, pull, limits.acceleration),
    ):
        ratio = value / most
        if ratio.max() > 1 + _SLACK:
            joint = int(ratio.argmax())
            found.append(
                Violation(
                    rule,
                    0.0,
                    f"joint {joint + 1} reaches {value[joint]:.3f}, its limit is"
                    f" {most[joint]:.3f}",
                )
            )
    return found


def _workspace_left(path: Array, times: Array, checker: CollisionChecker) -> list[Violation]:
    if checker.world.workspace is None:
        return []
    low, high = checker.world.workspace
    tcp = (forward(checker.robot, path) @ checker.gripper.t_tool_tcp)[:, :3, 3]
    outside = np.maximum(low - tcp, tcp - high).max(axis=1)
    # A start outside is no fault of the motion as long as it leads inside.
    first_inside = int(np.argmax(outside <= _SLACK))
    worst = int(outside[first_inside:].argmax()) + first_inside
    if outside[worst] <= _SLACK:
        return []
    where = ", ".join(f"{value:.3f}" for value in tcp[worst])
    return [
        Violation(
            Rule.WORKSPACE,
            float(times[worst]),
            f"the tool leaves the workspace by {outside[worst]:.3f} m at ({where})",
        )
    ]
