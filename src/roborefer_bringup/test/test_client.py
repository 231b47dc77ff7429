# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The client tells what became of a goal, also when its server ends in the middle."""

import threading

import pytest
import rclpy
from rclpy.action import ActionServer
from rclpy.context import Context
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from roborefer_bringup.client import Robot, RobotError

from roborefer_msgs.action import ExecuteInstruction
from roborefer_msgs.msg import ErrorCode


class Leaving:
    """An executive that takes a goal and is gone before its end."""

    def __init__(self):
        self.taken, self._leave = threading.Event(), threading.Event()
        self.context = Context()
        rclpy.init(context=self.context)
        self.node = Node("executive", context=self.context)
        ActionServer(self.node, ExecuteInstruction, "execute_instruction", self._execute)
        self.executor = MultiThreadedExecutor(2, context=self.context)
        self.executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self):
        try:
            self.executor.spin()
        except Exception:  # Whatever ends it, it is gone, which is all that matters here.
            return

    def _execute(self, goal):
        self.taken.set()
        self._leave.wait(30.0)
        return ExecuteInstruction.Result()

    def leave(self):
        self.context.shutdown()
        self._leave.set()
        self._thread.join(10.0)


def test_goal_whose_server_ends_is_a_typed_error_long_before_its_deadline():
    server = Leaving()
    outcome = []

    def ask():
        with Robot(timeout_s=20.0) as robot, pytest.raises(RobotError) as error:
            robot.do("find the plate", deadline_s=300.0)
        outcome.append(error.value.code)

    asking = threading.Thread(target=ask)
    asking.start()
    assert server.taken.wait(20.0)
    server.leave()
    asking.join(15.0)

    assert outcome == [ErrorCode.SERVER_UNAVAILABLE]
