# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The body of one goal: sensing and controllers, with the goal's cancel, deadline and stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from rclpy.lifecycle import LifecycleNode
from roborefer_common.core.parameters import Value
from roborefer_common.patience import Patience, wait_until

from roborefer_grasping.core.motion import Grip, Look, Progress, Reason, TaskFailure
from roborefer_grasping.core.planning.interface import Trajectory
from roborefer_grasping.core.robot import Array
from roborefer_grasping.nodes.controllers import ArmController, GripperController
from roborefer_grasping.nodes.sensing import Sensing

# Between two feedback messages, seconds.
_FEEDBACK_S = 0.1
_SETTLE_S = 1.0


class RosBody:
    """Implements `roborefer_grasping.core.motion.Body` for one goal."""

    def __init__(
        self,
        node: LifecycleNode,
        sensing: Sensing,
        arm: ArmController,
        gripper: GripperController,
        values: Mapping[str, Value],
        deadline_s: float,
        canceled: Callable[[], bool],
        halted: Callable[[], tuple[Reason, str] | None],
        tell: Callable[[Progress], None],
    ) -> None:
        self._node, self._sensing, self._values = node, sensing, values
        self._arm, self._gripper = arm, gripper
        self._patience = Patience(node.get_clock(), deadline_s)
        self._canceled, self._halted, self._tell = canceled, halted, tell
        self._told: tuple[Progress, int] | None = None

    def check(self) -> None:
        """Raise when the goal is canceled, stopped, or out of time."""
        halted = self._halted()
        if halted is not None:
            raise TaskFailure(*halted)
        if self._canceled():
            raise TaskFailure(Reason.CANCELED, "canceled on request; the arm stands still")
        if self._patience.over:
            raise TaskFailure(
                Reason.TIMEOUT,
                f"the goal's {self._patience.seconds:.1f} s are over; allow it more time",
            )

    def remaining_s(self) -> float:
        """Time left until the goal's deadline, seconds."""
        return self._patience.left_s

    def now_ns(self) -> int:
        """Present time of the node's clock."""
        return self._sensing.now_ns()

    def joints(self) -> Array:
        """Where the joints are now, radians, shape (6,)."""
        return self._sensing.state().position

    def jaw(self) -> float:
        """Present distance of the pads, metres."""
        return self._sensing.jaw()

    def look(self, after_ns: int = 0) -> Look:
        """Return a depth image taken at or after a time."""
        return self._sensing.look(after_ns, self.check)

    def follow(self, trajectory: Trajectory, watch: Callable[[float], None]) -> None:
        """Follow a trajectory; the arm rests when joint states or camera are lost on the way."""
        lost_s = float(self._values["depth.lost_s"])

        def look_up(passed_s: float) -> None:
            self._sensing.state()
            age = self._sensing.depth_age_s()
            if age > lost_s:
                raise TaskFailure(
                    Reason.NO_DEPTH,
                    f"the camera was lost on the way: its last depth image is {age:.1f} s old;"
                    " look at the camera",
                )
            watch(passed_s)

        self._arm.follow(trajectory, self.check, look_up)

    def settle(self, joints: Array, tolerance: float) -> bool:
        """Wait a moment until the joints are this close to a configuration."""
        return wait_until(
            lambda: bool(np.abs(self.joints() - joints).max() < tolerance),
            Patience(self._node.get_clock(), _SETTLE_S),
            self._sensing.changed,
            self.check,
        )

    def grip(self, opening: float, force: float) -> Grip:
        """Bring the pads to a distance."""
        return self._gripper.grip(opening, force, self.check, lambda: self._halted() is not None)

    def report(self, progress: Progress) -> None:
        """Publish feedback, at most some times a second within a phase."""
        now = self.now_ns()
        if self._told is not None:
            last, when = self._told
            same = (last.phase, last.attempt) == (progress.phase, progress.attempt)
            if same and 0 <= now - when < _FEEDBACK_S * 1e9:
                return
        self._told = (progress, now)
        self._tell(progress)
