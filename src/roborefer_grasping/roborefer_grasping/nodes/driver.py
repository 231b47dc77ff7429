# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the robot's driver says about whether the robot may move at all."""

from __future__ import annotations

from collections.abc import Mapping

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.lifecycle import LifecycleNode
from roborefer_common.core.parameters import Value
from roborefer_common.qos import LATCHED
from std_msgs.msg import Bool

from roborefer_grasping.core.motion import Reason, TaskFailure

# What controllers say when the driver has taken the robot away from them.
_CONSEQUENCES = {
    Reason.EXECUTION_ABORTED,
    Reason.TRAJECTORY_REJECTED,
    Reason.CONTROLLER_UNAVAILABLE,
    Reason.GRIPPER_FAULT,
}


class Driver:
    """Listens to the Bool that tells whether the robot's program runs.

    ur_robot_driver publishes it, latched and on every change: it becomes false with protective
    and emergency stops, and when the program is ended on the teach pendant. A driver that says
    nothing, or a parameter that names no topic, holds up nothing.
    """

    def __init__(self, node: LifecycleNode, values: Mapping[str, Value]) -> None:
        self._node, self._runs = node, True
        self._topic = str(values["robot.program_topic"])
        self._subscription = None
        if self._topic:
            self._subscription = node.create_subscription(
                Bool, self._topic, self._on_program, LATCHED,
                callback_group=MutuallyExclusiveCallbackGroup(),
            )  # fmt: skip

    def close(self) -> None:
        """Unsubscribe."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = None

    def _on_program(self, message: Bool) -> None:
        if message.data != self._runs:
            said = "runs again" if message.data else "does not run: the arm takes no goals"
            self._node.get_logger().warning(f"the robot's program {said}")
        self._runs = bool(message.data)

    def halted(self) -> tuple[Reason, str] | None:
        """Why nothing may move; None when nothing is known against it."""
        if self._runs:
            return None
        return (
            Reason.PROTECTIVE_STOP,
            f"the robot's driver says on '{self._topic}' that its program does not run: a"
            " protective or emergency stop, or the program was ended; release it and start the"
            " program on the teach pendant",
        )

    def cause_of(self, failure: TaskFailure) -> TaskFailure:
        """The failure itself, or the stop of the robot that it comes from."""
        halted = self.halted()
        if halted is None or failure.reason not in _CONSEQUENCES:
            return failure
        return TaskFailure(*halted)
