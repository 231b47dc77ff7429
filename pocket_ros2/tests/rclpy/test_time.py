# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Times and durations are exact, and never compare across kinds."""

from __future__ import annotations

import operator

import builtin_interfaces.msg
import pytest
from rclpy.clock import ClockType
from rclpy.duration import Duration, Infinite
from rclpy.time import Time

COMPARISONS = [getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")]


def test_whole_nanoseconds_survive_messages():
    time = Time(seconds=1_700_000_000, nanoseconds=123_456_789, clock_type=ClockType.ROS_TIME)

    assert Time.from_msg(time.to_msg()) == time
    assert time.seconds_nanoseconds() == (1_700_000_000, 123_456_789)


def test_negative_duration_has_a_positive_nanosecond_part_in_its_message():
    message = Duration(nanoseconds=-1).to_msg()

    assert (message.sec, message.nanosec) == (-1, 999_999_999)
    assert Duration.from_msg(message) == Duration(nanoseconds=-1)


def test_time_from_a_message_is_ros_time():
    assert Time.from_msg(builtin_interfaces.msg.Time()).clock_type is ClockType.ROS_TIME


@pytest.mark.parametrize("compare", COMPARISONS)
def test_comparing_times_of_different_clocks_raises(compare):
    with pytest.raises(TypeError, match="different clock types"):
        compare(Time(), Time(clock_type=ClockType.STEADY_TIME))


@pytest.mark.parametrize("value", [Time(nanoseconds=5), Duration(nanoseconds=5)])
def test_nothing_of_another_kind_is_equal_or_ordered(value):
    for other in (5, None, Time() if isinstance(value, Duration) else Duration()):
        assert value != other
        assert value in (other, value)
        for compare in (operator.lt, operator.le, operator.gt, operator.ge):
            with pytest.raises(TypeError, match="not supported"):
                compare(value, other)


def test_difference_of_times_is_a_duration_and_needs_one_clock():
    assert Time(seconds=3) - Time(seconds=5) == Duration(seconds=-2)
    with pytest.raises(TypeError, match="different clock types"):
        Time() - Time(clock_type=ClockType.ROS_TIME)


def test_sums_keep_the_clock_type():
    steady = Time(seconds=1, clock_type=ClockType.STEADY_TIME)

    assert (Duration(seconds=1) + steady).clock_type is ClockType.STEADY_TIME
    assert (steady - Duration(seconds=1)).nanoseconds == 0


def test_values_that_do_not_fit_raise():
    with pytest.raises(OverflowError):
        Time(nanoseconds=2**63)
    with pytest.raises(OverflowError):
        Duration(nanoseconds=-(2**63) - 1)
    with pytest.raises(OverflowError):
        Time(nanoseconds=2**63 - 1) + Duration(nanoseconds=1)
    with pytest.raises(ValueError, match="negative"):
        Time(seconds=1) - Duration(seconds=2)
    with pytest.raises(ValueError, match="negative"):
        Time(seconds=-1)


def test_wrong_clock_type_and_message_type_raise():
    with pytest.raises(TypeError, match="ClockType"):
        Time(clock_type="ROS")
    with pytest.raises(TypeError, match="Time object"):
        Time.from_msg(builtin_interfaces.msg.Duration())
    with pytest.raises(TypeError, match="Duration object"):
        Duration.from_msg(builtin_interfaces.msg.Time())


def test_infinite_duration_says_so():
    assert str(Infinite) == "Infinite"
    assert Infinite.nanoseconds == 2**63 - 1
