# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Everything that a pick or a place may choose, checked once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.motion import Reason, TaskFailure
from roborefer_grasping.core.occupancy import OccupancySettings
from roborefer_grasping.core.robot import Array, Limits, Robot
from roborefer_grasping.core.tasks import TaskSettings
from roborefer_grasping.exceptions import RobotError


@dataclass(frozen=True, eq=False)
class Settings:
    """What the parameters say, without their names.

    Attributes:
        robot: The arm, with the configured limits of its kind.
        gripper: On its flange.
        home: Configuration in which the arm does not hide the scene, radians, shape (6,).
        low: Lowest corner of the workspace in the frame of the base, metres.
        high: Highest corner of the workspace, metres.
        scene: Volume that is looked at.
        support_z: Lowest and highest z at which the support is looked for, metres.
        least_valid: Least share of pixels with a depth for an image to be of use.
        velocity: Share of the robot's speed limits, 0 to 1.
        acceleration: Share of the robot's acceleration limits, 0 to 1.
        force: Greatest closing force, newtons.
        least_width: Pads closer than this hold nothing, metres.
        tasks: Distances and times of planning.
        max_attempts: Most grasps tried by moving.
        tolerance: Default of Place's position_tolerance, metres.
        yaw_tolerance: Default of Place's yaw_tolerance, radians.
        missed: Farther off than the tolerance and this, a placed thing is not there, metres.
        home_first: Whether an arm that stands elsewhere goes home before it looks.
        home_after_pick: Whether the arm goes home with what it took.
        home_after_place: Whether the arm goes home after letting go.
    """

    robot: Robot
    gripper: Gripper
    home: Array
    low: Array
    high: Array
    scene: OccupancySettings = field(default_factory=OccupancySettings)
    support_z: tuple[float, float] = (-0.05, 0.05)
    least_valid: float = 0.05
    velocity: float = 0.5
    acceleration: float = 0.5
    force: float = 40.0
    least_width: float = 0.002
    tasks: TaskSettings = field(default_factory=TaskSettings)
    max_attempts: int = 3
    tolerance: float = 0.02
    yaw_tolerance: float = 0.26
    missed: float = 0.01
    home_first: bool = True
    home_after_pick: bool = True
    home_after_place: bool = True

    def __post_init__(self) -> None:
        limits = self.robot.limits
        if (
            self.home.shape != (6,)
            or not ((self.home >= limits.lower) & (self.home <= limits.upper)).all()
        ):
            raise RobotError(f"home is {self.home}; 6 angles within the robot's limits are needed")
        if self.low.shape != (3,) or self.high.shape != (3,) or not (self.low < self.high).all():
            raise RobotError(f"the workspace {self.low} to {self.high} is empty")

    def limits(self, velocity: float, acceleration: float) -> Limits:
        """Limits of a request, whose factors can only lower those of the parameters.

        Args:
            velocity: More than 0 to 1, or 0 for the parameters' own.
            acceleration: Likewise.

        Raises:
            TaskFailure: INVALID_GOAL when a factor is anything else.
        """
        factors = []
        for name, factor in (("velocity", velocity), ("acceleration", acceleration)):
            if not 0 <= factor <= 1:
                raise TaskFailure(
                    Reason.INVALID_GOAL,
                    f"{name}_scaling is {factor}; 0 or more and at most 1 is needed",
                )
            factors.append(factor or 1.0)
        return self.robot.limits.scaled(self.velocity * factors[0], self.acceleration * factors[1])

    def planning_within(self, seconds: float) -> TaskSettings:
        """Task settings for planning that has at most this time."""
        return replace(self.tasks, deadline_s=float(np.clip(seconds, 0.1, self.tasks.deadline_s)))
