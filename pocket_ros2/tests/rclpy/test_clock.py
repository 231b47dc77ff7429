# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Clocks jump, tell whom it concerns, and let sleepers go on."""

from __future__ import annotations

import threading

import pytest
import rclpy
from rclpy.clock import Clock, ClockChange, ClockType, JumpThreshold, ROSClock
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.exceptions import NotInitializedException
from rclpy.time import Time

FORWARD = Duration(seconds=1)
BACKWARD = Duration(seconds=-1)


def ros_time(seconds):
    return Time(seconds=seconds, clock_type=ClockType.ROS_TIME)


def sim_clock(seconds=100):
    clock = ROSClock()
    clock._set_ros_time_is_active(True)
    clock.set_ros_time_override(ros_time(seconds))
    return clock


@pytest.fixture
def context():
    context = Context()
    rclpy.init(context=context)
    yield context
    context.try_shutdown()


def start_sleeping(clock, context):
    """Start a thread that sleeps for 10 s of the clock; the list fills with the result."""
    registered = threading.Event()
    create = clock.create_jump_callback

    def create_and_tell(*args, **kwargs):
        handle = create(*args, **kwargs)
        registered.set()
        return handle

    clock.create_jump_callback = create_and_tell
    results = []
    thread = threading.Thread(
        target=lambda: results.append(clock.sleep_for(Duration(seconds=10), context))
    )
    thread.start()
    assert registered.wait(10)
    return thread, results


def test_ros_clock_is_system_time_until_activated_and_zero_before_the_first_message():
    clock = Clock(clock_type=ClockType.ROS_TIME)
    assert isinstance(clock, ROSClock)
    assert not clock.ros_time_is_active
    assert clock.now() > ros_time(1_000_000_000)

    clock._set_ros_time_is_active(True)

    assert clock.now() == ros_time(0)


def test_override_set_while_inactive_counts_once_active():
    clock = ROSClock()
    clock.set_ros_time_override(ros_time(7))
    clock._set_ros_time_is_active(True)

    assert clock.now() == ros_time(7)


@pytest.mark.parametrize(
    ("to", "expected"), [(101, [1]), (100.5, []), (99, [-1]), (99.5, []), (200, [100])]
)
def test_jumps_reach_callbacks_at_their_threshold(to, expected):
    clock = sim_clock(100)
    seen = []
    threshold = JumpThreshold(min_forward=FORWARD, min_backward=BACKWARD, on_clock_change=False)
    clock.create_jump_callback(threshold, post_callback=lambda jump: seen.append(jump))

    clock.set_ros_time_override(ros_time(to))

    assert [jump.delta.nanoseconds / 1e9 for jump in seen] == expected
    assert all(jump.clock_change is ClockChange.ROS_TIME_NO_CHANGE for jump in seen)


def test_callbacks_run_before_and_after_the_new_time():
    clock = sim_clock(100)
    seen = []
    clock.create_jump_callback(
        JumpThreshold(min_forward=FORWARD, min_backward=None),
        pre_callback=lambda: seen.append(clock.now()),
        post_callback=lambda jump: seen.append(clock.now()),
    )

    clock.set_ros_time_override(ros_time(102))

    assert seen == [ros_time(100), ros_time(102)]


def test_change_of_the_source_is_told_and_unregistered_callbacks_are_not():
    clock = ROSClock()
    seen = []
    threshold = JumpThreshold(min_forward=None, min_backward=None, on_clock_change=True)
    with clock.create_jump_callback(
        threshold, post_callback=lambda jump: seen.append(jump.clock_change)
    ):
        clock._set_ros_time_is_active(True)
        clock._set_ros_time_is_active(True)
        clock._set_ros_time_is_active(False)
    clock._set_ros_time_is_active(True)

    assert seen == [ClockChange.ROS_TIME_ACTIVATED, ClockChange.ROS_TIME_DEACTIVATED]


def test_thresholds_that_never_fire_are_refused():
    with pytest.raises(ValueError, match="positive"):
        JumpThreshold(min_forward=BACKWARD, min_backward=None)
    with pytest.raises(ValueError, match="negative"):
        JumpThreshold(min_forward=None, min_backward=FORWARD)
    with pytest.raises(ValueError, match="At least one"):
        JumpThreshold(min_forward=None, min_backward=None, on_clock_change=False)
    with pytest.raises(ValueError, match="callable"):
        ROSClock().create_jump_callback(JumpThreshold(min_forward=FORWARD, min_backward=None))


@pytest.mark.parametrize("kind", list(ClockType)[1:])
def test_sleep_on_a_running_clock_reaches_its_time(context, kind):
    clock = Clock(clock_type=kind)
    until = clock.now() + Duration(nanoseconds=20_000_000)

    assert clock.sleep_until(until, context)
    assert clock.now() >= until
    assert clock.sleep_until(until, context)


def test_sleep_follows_sim_time(context):
    clock = sim_clock(100)
    thread, results = start_sleeping(clock, context)
    for seconds in (101, 109.999):
        clock.set_ros_time_override(ros_time(seconds))
    assert thread.is_alive()

    clock.set_ros_time_override(ros_time(1000))
    thread.join(10)

    assert results == [True]


def test_sleep_ends_false_when_the_source_of_time_changes(context):
    clock = sim_clock(100)
    thread, results = start_sleeping(clock, context)
    clock._set_ros_time_is_active(False)
    thread.join(10)

    assert results == [False]


def test_shutdown_wakes_every_sleeper(context):
    clocks = [Clock(clock_type=ClockType.STEADY_TIME), sim_clock()]
    sleepers = [start_sleeping(clock, context) for clock in clocks]
    context.shutdown()
    for thread, _ in sleepers:
        thread.join(10)

    assert [results for _, results in sleepers] == [[False], [False]]


def test_sleep_refuses_foreign_times_and_dead_contexts(context):
    clock = Clock(clock_type=ClockType.STEADY_TIME)
    with pytest.raises(ValueError, match="clock type"):
        clock.sleep_until(ros_time(1), context)
    context.shutdown()
    with pytest.raises(NotInitializedException):
        clock.sleep_for(FORWARD, context)
