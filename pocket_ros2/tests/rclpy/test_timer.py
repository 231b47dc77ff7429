# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Timers keep to their grid, on every clock and through every jump."""

from __future__ import annotations

import contextlib
import threading

import pytest
import rclpy
from rclpy.clock import ClockType, ROSClock
from rclpy.context import Context
from rclpy.exceptions import InvalidHandle, ROSInterruptException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.time import Time
from rclpy.timer import Timer

SECOND = 1_000_000_000


def ros_time(seconds):
    return Time(seconds=seconds, clock_type=ClockType.ROS_TIME)


class SimTimer:
    """A timer of one second on a simulated clock that starts at 100 s."""

    def __init__(self, period_ns=SECOND, **options):
        self.clock = ROSClock()
        self.clock._set_ros_time_is_active(True)
        self.at(100)
        self.timer = Timer(lambda: None, None, period_ns, self.clock, **options)

    def at(self, seconds):
        self.clock.set_ros_time_override(ros_time(seconds))
        return self


def test_timer_is_ready_after_its_period_and_not_before():
    sim = SimTimer()

    assert not sim.timer.is_ready()
    assert sim.at(100.25).timer.time_until_next_call() == SECOND * 3 // 4
    assert sim.at(101).timer.is_ready()
    assert sim.timer.time_since_last_call() == SECOND


def test_stall_causes_one_late_call_and_no_burst():
    sim = SimTimer().at(104.3)

    assert sim.timer.take()
    assert sim.timer.take() is None
    assert sim.timer.time_until_next_call() == pytest.approx(0.7 * SECOND, abs=10)


def test_call_exactly_on_the_grid_leaves_the_next_one_due():
    sim = SimTimer().at(102)

    assert [sim.timer.take(), sim.timer.take(), sim.timer.take()] == [True, True, None]


def test_zero_period_is_always_ready():
    timer = SimTimer(0).timer

    assert [timer.take(), timer.take()] == [True, True]


def test_canceled_timer_has_no_next_call_until_reset():
    sim = SimTimer()
    sim.timer.cancel()
    sim.at(105)

    assert sim.timer.is_canceled()
    assert sim.timer.time_until_next_call() is None
    assert not sim.timer.is_ready()
    sim.timer.reset()
    assert sim.timer.time_until_next_call() == SECOND


def test_without_autostart_the_first_period_begins_at_reset():
    sim = SimTimer(autostart=False).at(200)
    assert sim.timer.is_canceled()

    sim.timer.reset()

    assert not sim.timer.is_ready()
    assert sim.at(201).timer.is_ready()


def test_new_period_counts_from_the_next_call_on():
    sim = SimTimer()
    sim.timer.timer_period_ns = 10 * SECOND
    assert sim.timer.time_until_next_call() == SECOND

    sim.at(101).timer.take()

    assert sim.timer.time_until_next_call() == 10 * SECOND
    with pytest.raises(ValueError, match="non-negative"):
        sim.timer.timer_period_ns = -1


def test_backward_jump_starts_a_full_period():
    sim = SimTimer().at(5)

    assert sim.timer.time_until_next_call() == SECOND
    assert not sim.timer.is_ready()


def test_forward_jump_wakes_the_executor():
    sim = SimTimer()
    woken = []
    sim.timer._wake = lambda: woken.append(sim.timer.is_ready())

    sim.at(300)

    assert woken == [True]


def test_change_to_sim_time_keeps_the_part_of_the_period_that_passed():
    sim = SimTimer(100 * SECOND).at(140)
    sim.clock._set_ros_time_is_active(False)

    assert sim.timer.time_until_next_call() == pytest.approx(60 * SECOND, abs=SECOND)


def test_destroyed_timer_refuses_use_and_forgets_its_clock():
    sim = SimTimer()
    sim.timer.destroy()

    assert not sim.timer.ready()
    assert sim.clock._jump_handles == []
    with pytest.raises(InvalidHandle):
        sim.timer.is_ready()


@pytest.fixture
def node():
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node("timed", context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()


@pytest.fixture
def executor(node):
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    yield executor
    executor.shutdown()


def test_spinning_calls_the_timer_on_its_period(node, executor):
    stamps = []
    timer = node.create_timer(0.02, lambda: stamps.append(node.get_clock().now()))
    while len(stamps) < 5:
        executor.spin_once(timeout_sec=10)
    timer.cancel()

    elapsed = (stamps[-1] - stamps[0]).nanoseconds
    assert 0.06 * SECOND <= elapsed < 5 * SECOND


def test_timer_may_cancel_itself_in_its_callback(node, executor):
    calls = []
    timer = node.create_timer(0.001, lambda: (calls.append(1), timer.cancel()))
    other = node.create_timer(0.02, lambda: calls.append(2))
    while 2 not in calls:
        executor.spin_once(timeout_sec=10)

    assert calls == [1, 2]
    assert node.destroy_timer(other)


@pytest.fixture
def spinning(node, executor):
    def spin():
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    spinner = threading.Thread(target=spin)
    spinner.start()
    yield
    node.context.try_shutdown()
    spinner.join(10)
    assert not spinner.is_alive()


def test_rate_sleeps_to_the_beat_of_a_spinning_executor(node, spinning):
    rate = node.create_rate(50)
    start = node.get_clock().now()
    for _ in range(3):
        rate.sleep()

    assert (node.get_clock().now() - start).nanoseconds >= 0.03 * SECOND


def test_rate_does_not_sleep_when_its_beat_has_passed_meanwhile(node):
    rate = node.create_rate(0.001)
    rate._timer.callback()

    rate.sleep()


@pytest.mark.parametrize("end", ["shutdown", "destroy"])
def test_rate_is_interrupted_by_shutdown_and_by_its_end(node, end):
    rate = node.create_rate(0.001)
    results = []

    def sleep():
        try:
            rate.sleep()
        except (ROSInterruptException, RuntimeError) as error:
            results.append(type(error))

    sleeper = threading.Thread(target=sleep)
    sleeper.start()
    if end == "shutdown":
        node.context.shutdown()
    else:
        rate.destroy()
    sleeper.join(10)

    assert not sleeper.is_alive()
    assert len(results) == 1
    with pytest.raises(ROSInterruptException if end == "shutdown" else RuntimeError):
        rate.sleep()
