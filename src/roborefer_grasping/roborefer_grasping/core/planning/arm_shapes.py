# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The arm and its gripper as a few cylinders and boxes that enclose them.

A UR arm is made of tubes and joint housings, so a few solids enclose the convex hulls of its links
within a centimetre; they are checked several times faster than meshes and need no files. Each
solid is given in the frame of its link, whose z axis is the axis of the joint that moves it (frame
i - 1 of the DH table, turned by joint i).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.robot import Array, Robot

# Distance of upper arm and forearm from the shoulder's axis, along the axis of joint 2, metres;
# from ur_description. The DH table knows only what is left of both.
_SIDE_OFFSETS: Mapping[str, tuple[float, float]] = {
    "ur5": (0.13585, 0.01615),
    "ur5e": (0.138, 0.007),
}
_SLIM_TUBE, _SHOULDER, _JOINT, _ELBOW, _WRIST = 0.0420, 0.0730, 0.0650, 0.0605, 0.0460


@dataclass(frozen=True, eq=False)
class LinkSolid:
    """A box or cylinder that moves with a link.

    Attributes:
        link: 0 for the base, 1 to 6 for what joints 1 to 6 move.
        name: Of the part, for people.
        is_box: Otherwise a cylinder along its z axis.
        half: Half lengths, shape (3,), metres; a cylinder's first one is its radius.
        pose: In the frame of the link, shape (4, 4).
        finger: -1 and 1 for the two fingers, whose y moves with the jaw; else 0.
    """

    link: int
    name: str
    is_box: bool
    half: Array
    pose: Array
    finger: int = 0


def arm_solids(robot: Robot) -> list[LinkSolid]:
    """Solids that enclose the arm from its base to the flange."""
    upper, fore = _SIDE_OFFSETS[robot.name]
    a, d = robot.a, robot.d
    return [
        # As wide as the plug of the cable at its back reaches.
        _cylinder(0, "base", "z", 0.112, (0, 0), (-0.004, d[0] - 0.067)),
        _cylinder(1, "shoulder", "z", _SHOULDER, (0, 0), (d[0] - 0.068, d[0] + 0.070)),
        _cylinder(1, "shoulder_side", "y", _ELBOW, (0, d[0]), (-0.072, 0.0)),
        _cylinder(2, "upper_arm_root", "z", _JOINT, (0, 0), (upper - 0.067, upper + 0.071)),
        _block(2, "upper_arm", (a[1], 0.0), 0.0615, (upper - 0.067, upper + 0.071)),
        _cylinder(2, "upper_arm_end", "z", _JOINT, (a[1], 0), (upper - 0.067, upper + 0.071)),
        _cylinder(3, "forearm_root", "z", _ELBOW, (0, 0), (fore - 0.041, fore + 0.057)),
        _cylinder(3, "forearm_neck", "x", _ELBOW, (0, fore), (-0.075, 0.0)),
        _block(3, "forearm_upper", (-0.21, -0.03), 0.0585, (fore - 0.052, fore + 0.057)),
        _block(3, "forearm", (a[2], -0.21), 0.050, (fore - 0.058, fore + 0.053)),
        _cylinder(3, "forearm_end", "z", _SLIM_TUBE, (a[2], 0), (fore - 0.058, fore + 0.049)),
        _cylinder(4, "wrist_1", "y", _WRIST, (0, fore + 0.090), (-0.049, 0.058)),
        _cylinder(4, "wrist_1_cap", "z", _SLIM_TUBE, (0, 0), (fore + 0.046, fore + 0.134)),
        _cylinder(5, "wrist_2", "y", _WRIST, (0, 0.091), (-0.058, 0.049)),
        _cylinder(5, "wrist_2_cap", "z", _SLIM_TUBE, (0, 0), (0.048, 0.134)),
        _cylinder(6, "wrist_3", "z", _WRIST, (0, 0), (0.046, d[5] + 0.001)),
    ]


def gripper_solids(robot: Robot, gripper: Gripper) -> list[LinkSolid]:
    """Palm and fingers; the fingers stand where the jaw is closed."""
    flange = float(robot.d[5])
    length, width, height = gripper.palm
    tip = gripper.tcp_offset + gripper.finger_reach
    finger = (gripper.pad_width, gripper.finger_thickness, tip - height)
    solids = [_box("palm", (length, width, height), (0, 0, flange + height / 2))]
    for side in (-1, 1):
        center = (0.0, side * gripper.finger_thickness / 2, flange + (height + tip) / 2)
        solids.append(_box(f"finger_{side}", finger, center, side))
    return solids


def _block(
    link: int, name: str, along: tuple[float, float], half_width: float, span: tuple[float, float]
) -> LinkSolid:
    """A box along the x axis of the link, even to both sides of its y, with a span along z."""
    pose = np.eye(4)
    pose[:3, 3] = (sum(along) / 2, 0.0, sum(span) / 2)
    half = np.array([(along[1] - along[0]) / 2, half_width, (span[1] - span[0]) / 2])
    return LinkSolid(link, name, True, half, pose)


def _cylinder(
    link: int,
    name: str,
    axis: str,
    radius: float,
    across: tuple[float, float],
    span: tuple[float, float],
) -> LinkSolid:
    """A cylinder along an axis of the link; across are the other two coordinates, in order."""
    pose, middle = np.eye(4), sum(span) / 2
    index = "xyz".index(axis)
    pose[[i for i in range(3) if i != index], 3] = across
    pose[index, 3] = middle
    # Columns put the cylinder's z onto the wanted axis, right-handed.
    pose[:3, :3] = np.roll(np.eye(3), 2 - index, axis=1)
    return LinkSolid(link, name, False, np.array([radius, radius, (span[1] - span[0]) / 2]), pose)


def _box(
    name: str,
    size: tuple[float, float, float],
    center: tuple[float, float, float],
    finger: int = 0,
) -> LinkSolid:
    pose = np.eye(4)
    pose[:3, 3] = center
    return LinkSolid(6, name, True, np.array(size) / 2, pose, finger)
