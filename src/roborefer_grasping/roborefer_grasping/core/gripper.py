# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A parallel-jaw gripper as numbers; lengths in metres, along the axes of tool0.

The jaw closes along y. The tool centre point (TCP) lies in the middle of the pads; its frame has
the axes of tool0, so z points out of the gripper towards the thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np

from roborefer_grasping.core.robot import Array
from roborefer_grasping.exceptions import RobotError


@dataclass(frozen=True)
class Gripper:
    """Dimensions of a gripper; the defaults are those of a Robotiq 2F-85.

    Attributes:
        tcp_offset: From the flange to the middle of the pads.
        opening: Widest distance of the pads.
        pad_length: Of the pads along z.
        pad_width: Of the pads along x.
        finger_thickness: Of a finger along y, pad included.
        finger_reach: How far a finger's tip lies beyond the middle of its pad.
        palm: Size of the box from the flange to the roots of the fingers.
        clearance: Least free distance on either side of a thing that is approached.
        force: Greatest closing force, newtons.
    """

    tcp_offset: float = 0.1285
    opening: float = 0.085
    pad_length: float = 0.033
    pad_width: float = 0.022
    finger_thickness: float = 0.016
    finger_reach: float = 0.0165
    palm: tuple[float, float, float] = (0.075, 0.075, 0.090)
    clearance: float = 0.004
    force: float = 40.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            values = value if isinstance(value, tuple) else (value,)
            if not all(isfinite(v) and v > 0 for v in values):
                raise RobotError(f"gripper: {name} is {value}; it must be positive")
        if self.tcp_offset <= self.palm[2]:
            raise RobotError(
                f"gripper: the pads at {self.tcp_offset} m must lie beyond the palm, which is"
                f" {self.palm[2]} m long"
            )

    @property
    def t_tool_tcp(self) -> Array:
        """Pose of the TCP in tool0, shape (4, 4)."""
        pose = np.eye(4)
        pose[2, 3] = self.tcp_offset
        return pose

    @property
    def widest(self) -> float:
        """Widest thing that fits between the pads."""
        return self.opening - 2 * self.clearance
