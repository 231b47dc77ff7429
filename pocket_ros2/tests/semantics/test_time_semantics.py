# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Everything that waits on a node's clock follows /clock, forwards and backwards."""

from __future__ import annotations

import contextlib
import threading

import pytest
import rclpy
from builtin_interfaces.msg import Time as TimeMsg
from rclpy.clock import ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Header

SIM = [Parameter("use_sim_time", value=True)]
DEADLINE_S = 10.0


class World:
    """A simulated node that another thread spins, and who publishes its time."""

    def __init__(self, context):
        self.node = rclpy.create_node("walker", context=context, parameter_overrides=SIM)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        self.simulator = rclpy.create_node("simulator", context=context)
        self.publisher = self.simulator.create_publisher(Clock, "/clock", 1)
        self.arrived = threading.Condition()
        self.jumps = []
        nanosecond = Duration(nanoseconds=1)
        threshold = JumpThreshold(min_forward=nanosecond, min_backward=Duration(nanoseconds=-1))
        self.handle = self.node.get_clock().create_jump_callback(threshold, post_callback=self.see)

    def see(self, jump):
        with self.arrived:
            self.jumps.append(jump.delta.nanoseconds / 1e9)
            self.arrived.notify_all()

    def spin(self):
        with contextlib.suppress(ExternalShutdownException):
            self.executor.spin()

    def tick(self, seconds):
        """Move time, and return when the node has it."""
        time = Time(seconds=seconds, clock_type=ClockType.ROS_TIME)
        with self.arrived:
            while self.node.get_clock().now() != time:
                self.publisher.publish(Clock(clock=time.to_msg()))
                self.arrived.wait(0.5)


@pytest.fixture
def world():
    context = rclpy.Context()
    rclpy.init(context=context)
    world = World(context)
    thread = threading.Thread(target=world.spin)
    thread.start()
    yield world
    rclpy.shutdown(context=context)
    thread.join(DEADLINE_S)
    assert not thread.is_alive()


def run(function, *args):
    """Run in a thread; the event is set when it has returned."""
    done = threading.Event()
    threading.Thread(target=lambda: (function(*args), done.set()), daemon=True).start()
    return done


def test_now_is_a_stamp_for_a_header(world):
    assert world.node.get_clock().now().to_msg() == TimeMsg()
    world.tick(12.5)

    stamp = world.node.get_clock().now().to_msg()

    assert type(stamp) is TimeMsg
    assert Header(stamp=stamp).stamp == TimeMsg(sec=12, nanosec=500_000_000)
    assert Time.from_msg(stamp) == world.node.get_clock().now()


def test_rate_beats_in_simulated_time(world):
    world.tick(100)
    rate = world.node.create_rate(1.0)
    slept = run(rate.sleep)
    world.tick(100.9)
    assert not slept.wait(0.1)

    world.tick(101.1)

    assert slept.wait(DEADLINE_S)


def test_sleeping_on_the_clock_of_a_node_ends_at_the_simulated_time(world):
    world.tick(100)
    until = Time(seconds=102, clock_type=ClockType.ROS_TIME)
    slept = run(world.node.get_clock().sleep_until, until, world.node.context)
    world.tick(101.9)
    assert not slept.wait(0.1)

    world.tick(102)

    assert slept.wait(DEADLINE_S)


def test_jumps_are_told_in_both_directions_by_how_far(world):
    for seconds in (100, 103, 50):
        world.tick(seconds)

    assert world.jumps == [100.0, 3.0, -53.0]


def test_time_of_the_node_is_ros_time_and_does_not_mix_with_default_time(world):
    world.tick(10)
    now = world.node.get_clock().now()

    assert now.clock_type is ClockType.ROS_TIME
    assert now - Time(seconds=4, clock_type=ClockType.ROS_TIME) == Duration(seconds=6)
    with pytest.raises(TypeError, match="different clock types"):
        now - Time(seconds=4)
    with pytest.raises(TypeError, match="different clock types"):
        assert now > Time()
