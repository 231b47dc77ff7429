# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Loggers write what rcutils would, no more often than asked, and to /rosout too."""

from __future__ import annotations

import re
import time

import pytest
import rclpy
import rclpy.logging
from rcl_interfaces.msg import Log
from rclpy.clock import ClockType, ROSClock
from rclpy.logging import LoggingSeverity, get_logger
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time


@pytest.fixture(autouse=True)
def _fresh_levels():
    yield
    rclpy.logging.clear_config()


def test_default_line_is_the_one_of_rcutils(capfd):
    get_logger("ns.node").warning("look out")

    out, err = capfd.readouterr()
    assert out == ""
    assert re.fullmatch(r"\[WARN\] \[\d{10}\.\d{9}\] \[ns\.node\]: look out\n", err)


def test_format_stream_and_colour_follow_the_environment(capfd, monkeypatch):
    monkeypatch.setenv(
        "RCUTILS_CONSOLE_OUTPUT_FORMAT",
        r"{severity}|{name}|{message}|{function_name}|{line_number}|{unknown}\t.",
    )
    monkeypatch.setenv("RCUTILS_LOGGING_USE_STDOUT", "1")
    monkeypatch.setenv("RCUTILS_COLORIZED_OUTPUT", "1")
    get_logger("n").error("{name}")

    out = capfd.readouterr().out
    assert re.fullmatch(
        r"\x1b\[31mERROR\|n\|\{name\}\|test_format_\w+\|\d+\|\{unknown\}\t\.\x1b\[0m\n", out
    )


def test_children_inherit_levels_from_the_nearest_ancestor():
    parent, child = get_logger("a"), get_logger("a").get_child("b.c")
    assert child.name == "a.b.c"
    assert child.get_effective_level() == LoggingSeverity.INFO

    parent.set_level(LoggingSeverity.ERROR)
    assert not child.warning("no")
    get_logger("a.b").set_level(LoggingSeverity.DEBUG)
    assert child.debug("yes")
    get_logger("a.b").set_level(LoggingSeverity.UNSET)
    assert child.get_effective_level() == LoggingSeverity.ERROR


def test_the_empty_name_sets_the_default_level():
    rclpy.logging.set_logger_level("", LoggingSeverity.FATAL)

    assert rclpy.logging.get_logger_effective_level("any") == LoggingSeverity.FATAL
    assert rclpy.logging.get_logger_level("any") == LoggingSeverity.UNSET


def test_unset_as_default_level_lets_everything_through():
    rclpy.logging.set_logger_level("", LoggingSeverity.UNSET)

    assert rclpy.logging.get_logger_effective_level("") == LoggingSeverity.UNSET
    assert get_logger("n").debug("yes")


@pytest.mark.parametrize(
    ("switch", "on_console", "on_rosout"),
    [("--disable-rosout-logs", True, 0), ("--disable-stdout-logs", False, 1)],
)
def test_arguments_switch_rosout_and_console_off(capfd, switch, on_console, on_rosout):
    context = rclpy.Context()
    context.init(["--ros-args", switch])
    node = rclpy.create_node("quiet", context=context)

    node.get_logger().info("hush")

    assert ("hush" in capfd.readouterr().err) is on_console
    assert node.count_publishers("/rosout") == on_rosout
    context.shutdown()
    with rclpy.init(args=[]):
        get_logger("loud").info("again")
    assert "again" in capfd.readouterr().err


def test_severities_have_names():
    assert rclpy.logging.get_logging_severity_from_string("warn") == LoggingSeverity.WARN
    with pytest.raises(RuntimeError, match="'loud'; known"):
        rclpy.logging.get_logging_severity_from_string("loud")


def test_once_and_skip_first_count_per_place_in_the_source():
    logger = get_logger("n")

    assert [logger.info("a", once=True) for _ in range(3)] == [True, False, False]
    assert [logger.info("a", skip_first=True) for _ in range(3)] == [False, True, True]
    assert [logger.info("a", skip_first=True, once=True) for _ in range(3)] == [
        False,
        True,
        False,
    ]


def test_throttle_counts_on_the_clock_it_is_given():
    clock, logger = ROSClock(), get_logger("n")
    clock._set_ros_time_is_active(True)
    logged = []
    for seconds in (10, 10.5, 11, 11.9, 12):
        clock.set_ros_time_override(Time(seconds=seconds, clock_type=ClockType.ROS_TIME))
        logged.append(logger.info("a", throttle_duration_sec=1.0, throttle_time_source_type=clock))

    assert logged == [True, False, True, False, True]


def test_a_filtered_level_does_not_use_up_once():
    logger = get_logger("n")
    logged = []
    for level in (LoggingSeverity.ERROR, LoggingSeverity.INFO):
        logger.set_level(level)
        logged.append(logger.info("a", once=True))

    assert logged == [False, True]


def test_misuse_of_filters_is_refused():
    logger = get_logger("n")
    with pytest.raises(TypeError, match="'twice' is not one of the recognized"):
        logger.info("a", twice=True)
    with pytest.raises(TypeError, match="'throttle_duration_sec' not specified"):
        logger.info("a", throttle_time_source_type=ROSClock())
    with pytest.raises(ValueError, match="not a clock"):
        logger.info("a", throttle_duration_sec=1, throttle_time_source_type="steady")

    def same_place(severity, **options):
        logger.log("a", severity, **options)

    same_place(LoggingSeverity.INFO, once=True)
    with pytest.raises(ValueError, match="severity cannot be changed"):
        same_place(LoggingSeverity.WARN, once=True)
    with pytest.raises(ValueError, match="filter parameters cannot be changed"):
        same_place(LoggingSeverity.INFO)
    with pytest.raises(ValueError, match="empty"):
        get_logger("")


def hear(listener, heard, count):
    """Spin until so many messages came, at most 10 s."""
    end = time.monotonic() + 10
    while len(heard) < count and time.monotonic() < end:
        rclpy.spin_once(listener, timeout_sec=0.1)


@pytest.fixture
def listen():
    """Listen to /rosout, with a node that is not itself heard there."""
    qos = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)

    def start():
        listener = rclpy.create_node("listener", enable_rosout=False)
        heard = []
        listener.create_subscription(Log, "/rosout", heard.append, qos)
        return listener, heard

    rclpy.init()
    yield start
    rclpy.try_shutdown()


def test_rosout_carries_node_and_child_messages_with_their_source(listen):
    node = rclpy.create_node("talker", namespace="/ns")
    listener, heard = listen()
    node.get_logger().error("one")
    node.get_logger().get_child("part").info("two")
    get_logger("elsewhere").error("nobody's")
    listener.get_logger().error("not published")
    # What was said before may come after what is said now, unless it is waited for.
    hear(listener, heard, 2)
    node.get_logger().warning("three")
    hear(listener, heard, 3)

    assert [(log.name, log.msg, log.level) for log in heard] == [
        ("ns.talker", "one", 40),
        ("ns.talker.part", "two", 20),
        ("ns.talker", "three", 30),
    ]
    assert heard[0].file == __file__
    assert heard[0].function.startswith("test_rosout")
    assert heard[0].line > 0


def test_logging_goes_on_after_shutdown_and_rosout_with_the_next_node(listen, capfd):
    abandoned = rclpy.create_node("talker")
    rclpy.shutdown()
    assert abandoned.get_logger().info("after the end")
    rclpy.init()
    node = rclpy.create_node("talker")
    listener, heard = listen()
    node.get_logger().info("again")
    hear(listener, heard, 1)

    assert [log.msg for log in heard] == ["again"]
    assert "after the end" in capfd.readouterr().err
