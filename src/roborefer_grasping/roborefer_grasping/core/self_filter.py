# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the robot in a depth image, so that it is neither an obstacle nor a target to itself."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.kinematics import forward, link_transforms
from roborefer_grasping.core.planning.arm_shapes import arm_solids, gripper_solids
from roborefer_grasping.core.robot import Array, Robot
from roborefer_grasping.core.view import DepthView, Mask
from roborefer_grasping.core.world import Held, Shape

# A measured point this close to a solid of the robot belongs to it: sensor noise, calibration and
# the fit of the solids together, metres.
MARGIN_M = 0.02
# Around the robot's outline a sensor mixes it with what is behind, pixels.
_FRINGE_PX = 3


def robot_mask(
    view: DepthView,
    robot: Robot,
    gripper: Gripper,
    joints: Array,
    jaw: float,
    held: Held | None = None,
    margin: float = MARGIN_M,
) -> Mask:
    """Pixels that show the robot or what it holds, shape (height, width).

    Args:
        view: The look.
        robot: The arm.
        gripper: On its flange.
        joints: At the time of the image, radians, shape (6,).
        jaw: Distance of the pads then, metres.
        held: What moves with the gripper, in the frame of the TCP.
        margin: Farthest distance of a point from a solid that it belongs to, metres.
    """
    mask = np.zeros(view.depth_m.shape, bool)
    rows, columns = np.nonzero(view.measured)
    inside = on_robot(view.points[rows, columns], robot, gripper, joints, jaw, held, margin)
    mask[rows[inside], columns[inside]] = True
    fringe = ndimage.binary_dilation(mask, iterations=_FRINGE_PX)
    return np.asarray(fringe)


def on_robot(
    points: Array,
    robot: Robot,
    gripper: Gripper,
    joints: Array,
    jaw: float,
    held: Held | None = None,
    margin: float = MARGIN_M,
) -> Mask:
    """Tell which points of the base's frame, shape (N, 3), lie on the robot; shape (N,)."""
    inside = np.zeros(len(points), bool)
    solids = _solids(robot, gripper, joints, jaw, held)
    reaches = [np.abs(pose[:3, :3]) @ (half + margin) for _, half, pose in solids]
    middles = np.array([pose[:3, 3] for _, _, pose in solids])
    low, high = (middles - reaches).min(axis=0), (middles + reaches).max(axis=0)
    # Most points are far from the whole robot.
    close = np.flatnonzero(((points >= low) & (points <= high)).all(axis=1))
    for (is_box, half, pose), middle, reach in zip(solids, middles, reaches, strict=True):
        grown = half + margin
        near = close[(np.abs(points[close] - middle) <= reach).all(axis=1)]
        local = np.abs((points[near] - middle) @ pose[:3, :3])
        if is_box:
            hit = (local <= grown).all(axis=1)
        else:
            hit = (np.hypot(local[:, 0], local[:, 1]) <= grown[0]) & (local[:, 2] <= grown[2])
        inside[near[hit]] = True
    return inside


def _solids(
    robot: Robot, gripper: Gripper, joints: Array, jaw: float, held: Held | None
) -> list[tuple[bool, Array, Array]]:
    """Whether it is a box, half lengths and pose in the frame of the base, of each solid."""
    found = []
    moved = _link_frames(robot, joints)
    for solid in (*arm_solids(robot), *gripper_solids(robot, gripper)):
        pose = solid.pose.copy()
        pose[1, 3] += solid.finger * jaw / 2
        found.append((solid.is_box, solid.half, moved[solid.link] @ pose))
    if held is not None:
        tcp = forward(robot, joints) @ gripper.t_tool_tcp
        for part in held.parts:
            # A sphere in its box: what is around a held thing is held, too.
            is_box = part.shape is not Shape.CYLINDER
            found.append((is_box, part.size / 2, tcp @ part.pose))
    return found


def _link_frames(robot: Robot, joints: Array) -> list[Array]:
    """Poses of the frames that `LinkSolid` speaks of: the DH frame before each joint, turned."""
    frames = link_transforms(robot, joints)[0]
    half_turn = np.diag([-1.0, -1.0, 1.0, 1.0])
    moved = [half_turn]
    for index in range(6):
        before = half_turn if index == 0 else frames[index - 1]
        c, s = np.cos(joints[index]), np.sin(joints[index])
        turn = np.eye(4)
        turn[:2, :2] = [[c, -s], [s, c]]
        moved.append(before @ turn)
    return moved
