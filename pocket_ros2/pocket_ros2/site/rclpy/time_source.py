# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Lets the clocks of a node follow /clock while its use_sim_time parameter is true."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import rosgraph_msgs.msg

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import ROSClock
from rclpy.clock_type import ClockType
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time

if TYPE_CHECKING:
    from rclpy.node import Node

CLOCK_TOPIC = "/clock"
USE_SIM_TIME_NAME = "use_sim_time"


class TimeSource:
    def __init__(self, *, node: Node | None = None) -> None:
        self._node_ref: weakref.ref[Node] | None = None
        self._clock_sub: Any = None
        self._associated_clocks: list[ROSClock] = []
        self._last_time_set = Time(clock_type=ClockType.ROS_TIME)
        self._ros_time_is_active = False
        if node is not None:
            self.attach_node(node)

    @property
    def ros_time_is_active(self) -> bool:
        return self._ros_time_is_active

    @ros_time_is_active.setter
    def ros_time_is_active(self, enabled: bool) -> None:
        if enabled == self._ros_time_is_active:
            return
        self._ros_time_is_active = enabled
        for clock in self._associated_clocks:
            clock._set_ros_time_is_active(enabled)
        if enabled:
            self._subscribe_to_clock_topic()
        else:
            self._unsubscribe()

    def _get_node(self) -> Node | None:
        return self._node_ref() if self._node_ref is not None else None

    def _subscribe_to_clock_topic(self) -> None:
        node = self._get_node()
        if node is not None and self._clock_sub is None:
            self._clock_sub = node.create_subscription(
                rosgraph_msgs.msg.Clock,
                CLOCK_TOPIC,
                self.clock_callback,
                QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT),
                callback_group=MutuallyExclusiveCallbackGroup(),
            )

    def _unsubscribe(self) -> None:
        node = self._get_node()
        if node is not None and self._clock_sub is not None:
            node.destroy_subscription(self._clock_sub)
        self._clock_sub = None

    def attach_node(self, node: Node) -> None:
        from rclpy.node import Node

        if not isinstance(node, Node):
            raise TypeError(f"Node must be of type rclpy.node.Node, not {node!r}")
        if self._get_node() is not None:
            self.detach_node()
        self._node_ref = weakref.ref(node)
        if not node.has_parameter(USE_SIM_TIME_NAME):
            node.declare_parameter(USE_SIM_TIME_NAME, False)
        use_sim_time = node.get_parameter(USE_SIM_TIME_NAME)
        if use_sim_time.type_ == Parameter.Type.BOOL:
            self.ros_time_is_active = bool(use_sim_time.value)
        else:
            node.get_logger().error(
                f"Invalid type for parameter '{USE_SIM_TIME_NAME}': "
                f"{use_sim_time.type_.name} should be BOOL"
            )
        node.add_post_set_parameters_callback(self._follow_parameter)

    def detach_node(self) -> None:
        node = self._get_node()
        if node is None:
            raise RuntimeError("Cannot detach: no node is attached to this time source")
        self.ros_time_is_active = False
        node.remove_post_set_parameters_callback(self._follow_parameter)
        self._node_ref = None

    def attach_clock(self, clock: ROSClock) -> None:
        if not isinstance(clock, ROSClock):
            raise ValueError(f"Only clocks with type ROS_TIME can be attached, not {clock!r}")
        clock.set_ros_time_override(self._last_time_set)
        clock._set_ros_time_is_active(self.ros_time_is_active)
        self._associated_clocks.append(clock)

    def clock_callback(self, msg: rosgraph_msgs.msg.Clock) -> None:
        self._last_time_set = Time.from_msg(msg.clock)
        for clock in self._associated_clocks:
            clock.set_ros_time_override(self._last_time_set)

    def _follow_parameter(self, parameters: list[Parameter]) -> None:
        for parameter in parameters:
            if parameter.name == USE_SIM_TIME_NAME and parameter.type_ == Parameter.Type.BOOL:
                self.ros_time_is_active = bool(parameter.value)
