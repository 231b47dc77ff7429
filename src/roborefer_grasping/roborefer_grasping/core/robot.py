# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""UR arms as numbers: link lengths, limits and names.

Frames are those of ur_description: `base_link` (x forward, z up) and `tool0` (z out of the
flange). Sources: UR5, DH parameters of the CB3 manual; UR5e, UR support article 45257; limits as
in Universal_Robots_ROS2_Description, config/<robot>/joint_limits.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi

import numpy as np
import numpy.typing as npt

from roborefer_grasping.exceptions import RobotError

Array = npt.NDArray[np.float64]

JOINTS = (
    "shoulder_pan_joint",
    "shoulder_lift_joint",
    "elbow_joint",
    "wrist_1_joint",
    "wrist_2_joint",
    "wrist_3_joint",
)


@dataclass(frozen=True, eq=False)
class Limits:
    """What the joints may do; every array has shape (6,).

    Attributes:
        lower: Radians.
        upper: Radians.
        velocity: Radians per second.
        acceleration: Radians per second squared.
        jerk: Radians per second cubed.
    """

    lower: Array
    upper: Array
    velocity: Array
    acceleration: Array
    jerk: Array

    def __post_init__(self) -> None:
        for name in ("lower", "upper", "velocity", "acceleration", "jerk"):
            value = getattr(self, name)
            if value.shape != (6,) or not np.isfinite(value).all():
                raise RobotError(f"limits: {name} is {value}; 6 finite numbers are needed")
        if not (self.lower < self.upper).all():
            raise RobotError(f"limits: lower {self.lower} must be below upper {self.upper}")
        for name in ("velocity", "acceleration", "jerk"):
            if not (getattr(self, name) > 0).all():
                raise RobotError(f"limits: {name} is {getattr(self, name)}; it must be positive")

    def scaled(self, velocity: float = 1.0, acceleration: float = 1.0) -> Limits:
        """Return slower limits; the factors are above 0 and at most 1.

        Raises:
            RobotError: A factor is outside; limits can never be raised.
        """
        for name, factor in (("velocity", velocity), ("acceleration", acceleration)):
            if not 0 < factor <= 1:
                raise RobotError(
                    f"{name} scaling is {factor}; more than 0 and at most 1 is needed"
                )
        return Limits(
            self.lower,
            self.upper,
            self.velocity * velocity,
            self.acceleration * acceleration,
            self.jerk * acceleration,
        )


@dataclass(frozen=True, eq=False)
class Robot:
    """An arm of the UR family.

    Attributes:
        name: Such as "ur5e".
        a: DH link lengths, metres, shape (6,).
        d: DH link offsets, metres, shape (6,).
        alpha: DH link twists, radians, shape (6,).
        limits: What the joints may do.
    """

    name: str
    a: Array
    d: Array
    alpha: Array
    limits: Limits

    @property
    def reach(self) -> float:
        """Farthest that the wrist gets from the shoulder, metres."""
        return float(abs(self.a[1]) + abs(self.a[2]))


def _limits() -> Limits:
    turn = np.array([2 * pi, 2 * pi, pi, 2 * pi, 2 * pi, 2 * pi])
    # UR publishes no accelerations; 180 deg/s2 is what its own description uses. The jerk lets an
    # arm at full speed come to rest within 0.3 s of cancelling at the default speed scaling.
    return Limits(-turn, turn, np.full(6, pi), np.full(6, pi), np.full(6, 60.0))


_ALPHA = np.array([pi / 2, 0, 0, pi / 2, -pi / 2, 0])
ROBOTS: Mapping[str, Robot] = {
    "ur5": Robot(
        "ur5",
        np.array([0, -0.425, -0.39225, 0, 0, 0]),
        np.array([0.089159, 0, 0, 0.10915, 0.09465, 0.0823]),
        _ALPHA,
        _limits(),
    ),
    "ur5e": Robot(
        "ur5e",
        np.array([0, -0.425, -0.3922, 0, 0, 0]),
        np.array([0.1625, 0, 0, 0.1333, 0.0997, 0.0996]),
        _ALPHA,
        _limits(),
    ),
}


def robot_named(name: str) -> Robot:
    """Return the robot of this name.

    Raises:
        RobotError: There is none; the message lists those that are known.
    """
    if name not in ROBOTS:
        raise RobotError(f"no robot '{name}'; known are {', '.join(ROBOTS)}")
    return ROBOTS[name]
