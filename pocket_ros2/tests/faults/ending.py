# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A busy process of one kind that ends in one way: `ending.py KIND HOW`."""

from __future__ import annotations

import sys

import rclpy
from geometry_msgs.msg import TransformStamped
from rclpy.action import ActionClient, ActionServer
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.task import Future
from std_msgs.msg import String
from std_srvs.srv import Trigger
from test_msgs.action import Fibonacci
from tf2_ros import Buffer, TransformBroadcaster, TransformListener

PERIOD_S = 0.002
BUSY_TICKS = 5


class Busy:
    """Gives a node one of everything, in use all the time, and counts its ticks."""

    def __init__(self, node, how):
        group = ReentrantCallbackGroup()
        self.node, self.how, self.ticks, self.heard, self.answers = node, how, 0, 0, 0
        self.publisher = node.create_publisher(String, "busy", 10)
        self.latched = node.create_publisher(String, "latched", QoSProfile(depth=1, durability=1))
        self.latched.publish(String(data="x"))
        node.create_subscription(String, "busy", self.hear, 10, callback_group=group)
        node.create_subscription(String, "latched", self.hear, QoSProfile(depth=1, durability=1))
        node.create_service(Trigger, "serve", lambda _, response: response, callback_group=group)
        self.client = node.create_client(Trigger, "serve", callback_group=group)
        self.server = ActionServer(node, Fibonacci, "act", self.act, callback_group=group)
        self.goals = ActionClient(node, Fibonacci, "act", callback_group=group)
        self.goals.send_goal_async(Fibonacci.Goal(), feedback_callback=self.hear)
        self.timer = node.create_timer(PERIOD_S, self.tick)

    def hear(self, _):
        self.heard += 1

    async def act(self, handle):
        handle.publish_feedback(Fibonacci.Feedback())
        await Future(executor=self.node.executor)

    def answer(self, _):
        self.answers += 1

    def tick(self):
        self.publisher.publish(String(data="x"))
        self.client.call_async(Trigger.Request()).add_done_callback(self.answer)
        if self.heard < 2 or not self.answers:
            return
        self.ticks += 1
        if self.ticks == BUSY_TICKS:
            print("busy", flush=True)
            if self.how == "exception_in_callback":
                raise RuntimeError("on purpose")
            if self.how == "shutdown_in_callback":
                rclpy.shutdown()
            if self.how == "exit_in_callback":
                sys.exit(3)


class Lifecycle(LifecycleNode):
    def __init__(self, name):
        super().__init__(name)
        self.managed = self.create_lifecycle_publisher(String, "managed", 10)
        self.trigger_configure()
        self.trigger_activate()
        self.create_timer(PERIOD_S, lambda: self.managed.publish(String(data="x")))


class Tf(Node):
    def __init__(self, name):
        super().__init__(name)
        self.listener = TransformListener(Buffer(), Node("tf"), spin_thread=True)
        self.broadcaster = TransformBroadcaster(self)
        self.create_timer(PERIOD_S, self.send)

    def send(self):
        transform = TransformStamped(child_frame_id="child")
        transform.header.frame_id = "parent"
        transform.header.stamp = self.get_clock().now().to_msg()
        transform.transform.rotation.w = 1.0
        self.broadcaster.sendTransform(transform)


KINDS = {"single": Node, "multi": Node, "tf": Tf, "lifecycle": Lifecycle}


def main(kind, how):
    rclpy.init()
    node = KINDS[kind]("busy")
    busy = Busy(node, how)
    executor = MultiThreadedExecutor(3) if kind == "multi" else rclpy.get_global_executor()
    if how in ("return", "exception", "sys_exit"):
        executor.add_node(node)
        while busy.ticks < BUSY_TICKS:
            executor.spin_once()
        if how == "exception":
            raise RuntimeError("on purpose")
        if how == "sys_exit":
            sys.exit(3)
        return
    if how.endswith("_unhandled"):
        rclpy.spin(node, executor)
        return
    try:
        rclpy.spin(node, executor)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
