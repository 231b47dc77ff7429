# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Fills a buffer from the network."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage


class TransformListener:
    """Listens to /tf and /tf_static.

    The subscriptions are in a reentrant group of their own, so that with a multi-threaded
    executor a callback of the node may wait for a transform. `spin_thread` gives the node an
    executor and a thread of its own instead, for nodes that nobody else spins.
    """

    def __init__(
        self,
        buffer: Any,
        node: Node | None,
        *,
        spin_thread: bool = False,
        qos: QoSProfile | int | None = None,
        static_qos: QoSProfile | int | None = None,
        tf_topic: str = "/tf",
        tf_static_topic: str = "/tf_static",
        static_only: bool = False,
    ) -> None:
        self.buffer = buffer
        if node is None:
            node = Node(
                f"transform_listener_impl_{id(self):010x}",
                enable_rosout=False,
                start_parameter_services=False,
                parameter_overrides=[Parameter("use_sim_time", value=False)],
            )
        self.node = node
        self.group = ReentrantCallbackGroup()
        if not static_only:
            qos = qos or QoSProfile(depth=100)
            self.tf_sub = node.create_subscription(
                TFMessage, tf_topic, self.callback, qos, callback_group=self.group
            )
        static_qos = static_qos or QoSProfile(
            depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL
        )
        self.tf_static_sub = node.create_subscription(
            TFMessage, tf_static_topic, self.static_callback, static_qos, callback_group=self.group
        )
        if spin_thread:
            self.executor = SingleThreadedExecutor(context=node.context)
            self.dedicated_listener_thread = threading.Thread(
                target=_spin, args=(self.executor, node), daemon=True
            )
            self.dedicated_listener_thread.start()

    def __del__(self) -> None:
        if hasattr(self, "dedicated_listener_thread"):
            self.executor.shutdown()
            if self.dedicated_listener_thread is not threading.current_thread():
                self.dedicated_listener_thread.join()
        if hasattr(self, "tf_static_sub"):
            self.unregister()

    def unregister(self) -> None:
        """Stop listening."""
        if hasattr(self, "tf_sub"):
            self.node.destroy_subscription(self.tf_sub)
        self.node.destroy_subscription(self.tf_static_sub)

    def callback(self, data: TFMessage) -> None:
        for transform in data.transforms:
            self.buffer.set_transform(transform, "default_authority")

    def static_callback(self, data: TFMessage) -> None:
        for transform in data.transforms:
            self.buffer.set_transform_static(transform, "default_authority")


def _spin(executor: SingleThreadedExecutor, node: Node) -> None:
    """Spin without a reference to the listener, which could else never be collected."""
    executor.add_node(node)
    with contextlib.suppress(ExternalShutdownException):
        executor.spin()
    executor.remove_node(node)
