# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Under use_sim_time everything a node times follows /clock."""

from __future__ import annotations

import pytest
import rclpy
from rclpy.clock import Clock, ClockType, ROSClock
from rclpy.duration import Duration
from rclpy.parameter import Parameter
from rclpy.time import Time
from rclpy.time_source import TimeSource
from rosgraph_msgs.msg import Clock as ClockMsg

SIM = [Parameter("use_sim_time", value=True)]


@pytest.fixture(scope="module", autouse=True)
def _ros(ros_env):
    rclpy.init()
    yield
    rclpy.shutdown()


@pytest.fixture
def node():
    node = rclpy.create_node("simulated", parameter_overrides=SIM)
    yield node
    node.destroy_node()


@pytest.fixture
def simulator():
    node = rclpy.create_node("simulator")
    publisher = node.create_publisher(ClockMsg, "/clock", 10)

    def tick(listener, seconds):
        """Publish a time until the listener has it."""
        time = Time(seconds=seconds, clock_type=ClockType.ROS_TIME)
        end = Clock().now() + Duration(seconds=10)
        while listener.get_clock().now() != time:
            assert Clock().now() < end
            publisher.publish(ClockMsg(clock=time.to_msg()))
            rclpy.spin_once(listener, timeout_sec=0.05)

    yield tick
    node.destroy_node()


def test_time_is_zero_before_the_first_clock_message(node, simulator):
    assert node.get_clock().now().nanoseconds == 0

    simulator(node, 12.5)

    assert node.get_clock().now().nanoseconds == 12_500_000_000


def test_parameter_switches_between_the_sources(node, simulator):
    simulator(node, 5)

    node.set_parameters([Parameter("use_sim_time", value=False)])
    assert node.get_clock().now().nanoseconds > 10**18
    assert node.count_subscribers("/clock") == 0
    node.set_parameters(SIM)

    assert node.get_clock().now().nanoseconds == 5 * 10**9
    assert not node.set_parameters([Parameter("use_sim_time", value="yes")])[0].successful


def test_timer_fires_by_simulated_time_only(node, simulator):
    calls = []
    simulator(node, 100)
    node.create_timer(10.0, lambda: calls.append(node.get_clock().now().nanoseconds // 10**9))
    steady_calls = []
    node.create_timer(
        0.001, lambda: steady_calls.append(1), clock=Clock(clock_type=ClockType.STEADY_TIME)
    )
    for seconds in (105, 109):
        simulator(node, seconds)
    assert calls == []
    simulator(node, 145)
    while not calls:
        rclpy.spin_once(node, timeout_sec=10)
    for _ in range(20):
        rclpy.spin_once(node, timeout_sec=0.01)

    assert steady_calls
    assert calls == [145]


def test_time_source_moves_its_clocks_from_node_to_node(node, simulator):
    source, clock = TimeSource(node=node), ROSClock()
    source.attach_clock(clock)
    assert clock.ros_time_is_active

    source.detach_node()

    assert not clock.ros_time_is_active
    with pytest.raises(RuntimeError, match="no node"):
        source.detach_node()
    with pytest.raises(ValueError, match="ROS_TIME"):
        source.attach_clock(Clock(clock_type=ClockType.STEADY_TIME))
