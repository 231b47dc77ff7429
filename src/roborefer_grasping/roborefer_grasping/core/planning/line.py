# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Straight lines of the tool: configurations along them, without a jump."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.kinematics import forward, inverse
from roborefer_grasping.core.robot import Array, Robot

# Between two points of a line, metres and radians.
STEP_M = 0.008
STEP_RAD = 0.05
# More than this between two points means that the arm would have to swing around.
LARGEST_JUMP_RAD = 0.30


def poses_between(first: Array, last: Array) -> Array:
    """Poses on the straight line from one to another, both included, shape (N, 4, 4)."""
    turns = Rotation.from_matrix(np.stack([first[:3, :3], last[:3, :3]]))
    angle = float((turns[0].inv() * turns[1]).magnitude())
    distance = float(np.linalg.norm(last[:3, 3] - first[:3, 3]))
    count = max(2, int(np.ceil(max(distance / STEP_M, angle / STEP_RAD))) + 1)
    shares = np.linspace(0, 1, count)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = Slerp([0, 1], turns)(shares).as_matrix()
    poses[:, :3, 3] = first[:3, 3] + shares[:, None] * (last[:3, 3] - first[:3, 3])
    return poses


def follow_line(robot: Robot, gripper: Gripper, start: Array, poses: Array) -> Array | str:
    """Configurations that lead the TCP from where it is straight through the poses.

    Args:
        robot: The arm.
        gripper: Where the TCP is.
        start: Radians, shape (6,).
        poses: Of the TCP in base_link, shape (M, 4, 4).

    Returns:
        Configurations from start to the last pose, shape (N, 6); or why there are none.
    """
    here = forward(robot, start) @ gripper.t_tool_tcp
    corners = [here, *poses]
    lines = [poses_between(a, b) for a, b in pairwise(corners)]
    along = np.concatenate([line[1:] for line in lines])
    return follow_poses(robot, gripper, start, along)


def ways_along(
    robot: Robot, gripper: Gripper, poses: Array, free_joint_6: float = 0.0
) -> list[Array]:
    """All ways in which the arm can follow poses that are close to each other.

    Args:
        robot: The arm.
        gripper: Where the TCP is.
        poses: Of the TCP in base_link, shape (N, 4, 4).
        free_joint_6: Value of joint 6 where the wrist is singular and it may be anything.

    Returns:
        One array of shape (N, 6) per branch of the arm that reaches all poses without a jump and
        within limits; the first configuration lies within -pi and pi.
    """
    branches = inverse(robot, poses @ np.linalg.inv(gripper.t_tool_tcp), free_joint_6)
    steps = np.diff(branches, axis=0)
    steps = np.remainder(steps + np.pi, 2 * np.pi) - np.pi
    paths = np.concatenate([branches[:1], branches[:1] + np.cumsum(steps, axis=0)])
    with np.errstate(invalid="ignore"):
        goes = (np.abs(steps) <= LARGEST_JUMP_RAD).all(axis=(0, 2))
        goes &= ((paths >= robot.limits.lower) & (paths <= robot.limits.upper)).all(axis=(0, 2))
    return [paths[:, branch] for branch in np.flatnonzero(goes)]


def follow_poses(robot: Robot, gripper: Gripper, start: Array, poses: Array) -> Array | str:
    """As `follow_line`, for poses that are close to each other already."""
    branches = inverse(robot, poses @ np.linalg.inv(gripper.t_tool_tcp), float(start[5]))
    path = [np.asarray(start, float)]
    for index, solutions in enumerate(branches):
        here = path[-1]
        near = here + np.remainder(solutions - here + np.pi, 2 * np.pi) - np.pi
        distance = np.abs(near - here).max(axis=1)
        if np.isnan(distance).all():
            return f"the arm cannot reach point {index + 1} of {len(poses)} on the straight line"
        best = int(np.nanargmin(distance))
        if distance[best] > LARGEST_JUMP_RAD:
            return f"the arm would have to swing around at point {index + 1} of {len(poses)}"
        path.append(near[best])
    path_array = np.array(path)
    beyond = np.maximum(robot.limits.lower - path_array, path_array - robot.limits.upper)
    if beyond.max() > 0:
        return "a joint would leave its limits on the straight line"
    return path_array
