# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads what MoveIt answers, and checks what the shared verifier cannot know: goal and line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from moveit_msgs.msg import MoveItErrorCodes
from trajectory_msgs.msg import JointTrajectory

from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.kinematics import forward
from roborefer_grasping.core.planning.interface import PlanRequest, Status, Trajectory
from roborefer_grasping.core.planning.timing import extremes, slowed_within
from roborefer_grasping.core.robot import Array, Limits, Robot
from roborefer_grasping.exceptions import PlanningError

# A motion that ends this close to a goal has reached it.
GOAL_M, GOAL_RAD = 0.002, 0.01
# The tool may leave a straight line by this much between two points.
LINE_M = 0.003
# A motion is stretched in time where move_group knows higher limits than we do, but not more than
# this: what is faster than that is no matter of rounding.
MOST_STRETCH = 2.0
_LINE_LOOKS_S = 0.02

_STATUS: Mapping[int, Status] = {
    MoveItErrorCodes.SUCCESS: Status.OK,
    MoveItErrorCodes.FAILURE: Status.TIMEOUT,
    MoveItErrorCodes.PLANNING_FAILED: Status.TIMEOUT,
    MoveItErrorCodes.TIMED_OUT: Status.TIMEOUT,
    MoveItErrorCodes.PREEMPTED: Status.TIMEOUT,
    MoveItErrorCodes.INVALID_MOTION_PLAN: Status.UNSAFE,
    MoveItErrorCodes.MOTION_PLAN_INVALIDATED_BY_ENVIRONMENT_CHANGE: Status.UNSAFE,
    MoveItErrorCodes.START_STATE_IN_COLLISION: Status.START_IN_COLLISION,
    MoveItErrorCodes.START_STATE_INVALID: Status.START_OUTSIDE_LIMITS,
    MoveItErrorCodes.START_STATE_VIOLATES_PATH_CONSTRAINTS: Status.START_OUTSIDE_LIMITS,
    MoveItErrorCodes.INVALID_ROBOT_STATE: Status.START_OUTSIDE_LIMITS,
    MoveItErrorCodes.GOAL_IN_COLLISION: Status.GOAL_IN_COLLISION,
    MoveItErrorCodes.GOAL_STATE_INVALID: Status.GOAL_IN_COLLISION,
    MoveItErrorCodes.GOAL_VIOLATES_PATH_CONSTRAINTS: Status.GOAL_UNREACHABLE,
    MoveItErrorCodes.GOAL_CONSTRAINTS_VIOLATED: Status.GOAL_UNREACHABLE,
    MoveItErrorCodes.INVALID_GOAL_CONSTRAINTS: Status.GOAL_UNREACHABLE,
    MoveItErrorCodes.NO_IK_SOLUTION: Status.GOAL_UNREACHABLE,
}


def status_of(code: MoveItErrorCodes) -> Status:
    """What an error code means here; what is not about the motion is about the engine."""
    return _STATUS.get(code.val, Status.ENGINE_UNAVAILABLE)


def trajectory_from_msg(
    message: JointTrajectory, joints: Sequence[str], limits: Limits
) -> Trajectory | str:
    """Read a trajectory, joints in our order, stretched in time where that keeps the limits.

    Returns:
        The motion; or what is wrong with the message, to follow "move_group's answer".
    """
    missing = [name for name in joints if name not in message.joint_names]
    if missing:
        return f"says nothing of {', '.join(missing)}"
    order = [list(message.joint_names).index(name) for name in joints]
    times = [p.time_from_start.sec + p.time_from_start.nanosec * 1e-9 for p in message.points]
    rows = []
    for point in message.points:
        accelerations = point.accelerations or [0.0] * len(message.joint_names)
        rows.append((point.positions, point.velocities, accelerations))
        if any(len(values) != len(message.joint_names) for values in rows[-1]):
            return "has points without position and velocity of every joint"
    if len(rows) < 2:
        return f"has {len(rows)} points"
    table = np.array(rows, float)[:, :, order]
    try:
        trajectory = Trajectory(np.array(times), table[:, 0], table[:, 1], table[:, 2])
    except PlanningError as error:
        return f"is no trajectory: {error}"
    speed, pull = extremes(trajectory)
    stretch = max((speed / limits.velocity).max(), np.sqrt((pull / limits.acceleration).max()))
    return slowed_within(trajectory, limits) if stretch <= MOST_STRETCH else trajectory


def goal_reached(end: Array, request: PlanRequest, robot: Robot, gripper: Gripper) -> int | None:
    """Index of the goal where a motion ends, or None; for a line its last pose is the goal."""
    if request.joints is not None:
        off = np.abs(request.joints - end)
        if request.whole_turns:
            off = np.abs(np.remainder(off + np.pi, 2 * np.pi) - np.pi)
        near = off.max(axis=1)
        return int(near.argmin()) if near.min() <= GOAL_RAD else None
    goals = request.poses if request.line is None else request.line[-1:]
    assert goals is not None
    tcp = forward(robot, end) @ gripper.t_tool_tcp
    for index, goal in enumerate(goals):
        cosine = (np.trace(goal[:3, :3].T @ tcp[:3, :3]) - 1) / 2
        turned = float(np.arccos(np.clip(cosine, -1, 1)))
        if np.linalg.norm(goal[:3, 3] - tcp[:3, 3]) <= GOAL_M and turned <= GOAL_RAD:
            return index if request.line is None else len(request.line) - 1
    return None


def strays_from_line(
    trajectory: Trajectory, request: PlanRequest, robot: Robot, gripper: Gripper
) -> str:
    """Say by how much the tool leaves the straight lines that were asked for; empty if not."""
    assert request.line is not None
    count = int(np.ceil(trajectory.duration / _LINE_LOOKS_S)) + 1
    path = trajectory.sample(np.linspace(trajectory.times[0], trajectory.times[-1], count))
    tcp = (forward(robot, path) @ gripper.t_tool_tcp)[:, :3, 3]
    corners = np.vstack([tcp[:1], request.line[:, :3, 3]])
    away = np.full(len(tcp), np.inf)
    for first, last in pairwise(corners):
        along = last - first
        share = np.clip((tcp - first) @ along / max(float(along @ along), 1e-12), 0, 1)
        away = np.minimum(away, np.linalg.norm(tcp - first - share[:, None] * along, axis=1))
    if away.max() <= LINE_M:
        return ""
    return f"the tool leaves the straight line by {away.max() * 1000:.1f} mm"
