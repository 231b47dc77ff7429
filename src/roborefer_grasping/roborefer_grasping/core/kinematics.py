# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Forward and inverse kinematics of UR arms, in closed form and for many poses at once.

A UR arm has up to eight configurations per tool pose: shoulder left or right, wrist up or down,
elbow up or down. The derivation follows from the DH table alone: joint 1 from where the wrist
centre lies seen from above, joint 5 from how far the tool leans out of the arm's plane, joint 6
from the tool's rotation, joints 2 to 4 from the planar arm that is left.
"""

from __future__ import annotations

from itertools import product
from math import pi

import numpy as np

from roborefer_grasping.core.robot import Array, Robot

# From base_link of ROS to the base frame of the DH table.
_HALF_TURN = np.diag([-1.0, -1.0, 1.0, 1.0])
# Below this, joint 5 lines up axes 4 and 6, and joint 6 is free to choose.
_SINGULAR = 1e-7
# Rounding may carry a cosine this far beyond 1 at the edge of what can be reached.
_ROUNDING = 1e-9


def link_transforms(robot: Robot, joints: Array) -> Array:
    """Poses of all six DH frames in base_link.

    Args:
        robot: The arm.
        joints: Radians, shape (N, 6).

    Returns:
        Shape (N, 6, 4, 4); the last one is tool0.
    """
    joints = np.atleast_2d(joints)
    poses = np.empty((len(joints), 6, 4, 4))
    pose = np.broadcast_to(_HALF_TURN, (len(joints), 4, 4))
    for index in range(6):
        pose = pose @ _dh(robot, index, joints[:, index])
        poses[:, index] = pose
    return poses


def forward(robot: Robot, joints: Array) -> Array:
    """Pose of tool0 in base_link: (N, 4, 4) for joints of shape (N, 6), one pose for (6,)."""
    poses = link_transforms(robot, joints)[:, 5]
    return np.asarray(poses[0] if np.ndim(joints) == 1 else poses)


def inverse(robot: Robot, poses: Array, free_joint_6: float = 0.0) -> Array:
    """All configurations that bring tool0 to each pose.

    Args:
        robot: The arm.
        poses: Of tool0 in base_link, shape (N, 4, 4).
        free_joint_6: Value of joint 6 where the wrist is singular and it may be anything.

    Returns:
        Radians within -pi and pi, shape (N, 8, 6); a branch that does not exist is NaN.
    """
    poses = np.asarray(poses, float).reshape(-1, 4, 4)
    target = _HALF_TURN @ poses
    result = np.full((len(poses), 8, 6), np.nan)
    d4, d6 = robot.d[3], robot.d[5]
    wrist = target[:, :3, 3] - d6 * target[:, :3, 2]
    out = np.hypot(wrist[:, 0], wrist[:, 1])
    heading = np.arctan2(wrist[:, 1], wrist[:, 0])
    with np.errstate(invalid="ignore", divide="ignore"):
        lean = _arccos(d4 / out)
        for branch, (shoulder, wrist_side, elbow) in enumerate(product((1, -1), repeat=3)):
            q1 = heading + shoulder * lean + pi / 2
            s1, c1 = np.sin(q1), np.cos(q1)
            aside = target[:, 0, 3] * s1 - target[:, 1, 3] * c1
            q5 = wrist_side * _arccos((aside - d4) / d6)
            s5 = np.sin(q5)
            q6 = np.arctan2(
                -(target[:, 0, 1] * s1 - target[:, 1, 1] * c1) * np.sign(s5),
                (target[:, 0, 0] * s1 - target[:, 1, 0] * c1) * np.sign(s5),
            )
            q6 = np.where(np.abs(s5) < _SINGULAR, free_joint_6, q6)
            planar = (
                _inverse_of(_dh(robot, 0, q1))
                @ target
                @ _inverse_of(_dh(robot, 4, q5) @ _dh(robot, 5, q6))
            )
            result[:, branch] = _planar_arm(robot, planar, q1, q5, q6, elbow)
    wrapped = np.remainder(result + pi, 2 * pi) - pi
    # At the edge of reach a rounded branch may miss its pose: only what hits counts.
    flat = np.nan_to_num(wrapped.reshape(-1, 6))
    error = np.abs(forward(robot, flat).reshape(len(poses), 8, 4, 4) - poses[:, None]).max((2, 3))
    return np.where((error < 1e-6)[..., None], wrapped, np.nan)


def _planar_arm(robot: Robot, planar: Array, q1: Array, q5: Array, q6: Array, elbow: int) -> Array:
    """Joints 2 to 4 from the pose of frame 4 in frame 1, put together with the other three."""
    a2, a3, d4 = robot.a[1], robot.a[2], robot.d[3]
    x = planar[:, 0, 3] - d4 * planar[:, 0, 1]
    y = planar[:, 1, 3] - d4 * planar[:, 1, 1]
    squared = x * x + y * y
    q3 = elbow * _arccos((squared - a2 * a2 - a3 * a3) / (2 * a2 * a3))
    q2 = np.arctan2(y, x) - np.arctan2(a3 * np.sin(q3), a2 + a3 * np.cos(q3))
    turned = _inverse_of(_dh(robot, 1, q2) @ _dh(robot, 2, q3)) @ planar
    q4 = np.arctan2(turned[:, 1, 0], turned[:, 0, 0])
    return np.stack([q1, q2, q3, q4, q5, q6], axis=-1)


def with_full_turns(robot: Robot, configurations: Array, near: Array, most: int = 32) -> Array:
    """Add the configurations that differ by whole turns, as far as limits allow, nearest first.

    Args:
        robot: The arm.
        configurations: Radians, shape (N, 6), without NaN.
        near: Where the arm is now, shape (6,); decides the order.
        most: How many to return at most.

    Returns:
        Radians, shape (M, 6), M at most `most`; those outside the limits are left out.
    """
    lower, upper = robot.limits.lower, robot.limits.upper
    found = []
    for configuration in np.atleast_2d(configurations):
        choices = []
        for value, low, high in zip(configuration, lower, upper, strict=True):
            shifted = value + 2 * pi * np.array([-2, -1, 0, 1, 2])
            choices.append(shifted[(shifted >= low) & (shifted <= high)])
        if all(len(choice) for choice in choices):
            grid = np.meshgrid(*choices, indexing="ij")
            found.append(np.stack([axis.ravel() for axis in grid], axis=-1))
    if not found:
        return np.empty((0, 6))
    every = np.concatenate(found)
    order = np.argsort(np.abs(every - near).max(axis=1), kind="stable")
    return np.asarray(every[order[:most]])


def _dh(robot: Robot, index: int, angle: Array) -> Array:
    a, d, alpha = robot.a[index], robot.d[index], robot.alpha[index]
    c, s = np.cos(angle), np.sin(angle)
    ca, sa = np.cos(alpha), np.sin(alpha)
    zero, one = np.zeros_like(c), np.ones_like(c)
    rows = [
        [c, -s * ca, s * sa, a * c],
        [s, c * ca, -c * sa, a * s],
        [zero, sa * one, ca * one, d * one],
        [zero, zero, zero, one],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _inverse_of(poses: Array) -> Array:
    result = np.zeros_like(poses)
    rotation = np.swapaxes(poses[..., :3, :3], -1, -2)
    result[..., :3, :3] = rotation
    result[..., :3, 3] = -(rotation @ poses[..., :3, 3, None])[..., 0]
    result[..., 3, 3] = 1.0
    return result


def _arccos(value: Array) -> Array:
    inside = np.abs(value) <= 1 + _ROUNDING
    return np.where(inside, np.arccos(np.clip(value, -1, 1)), np.nan)
