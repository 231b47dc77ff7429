# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Contexts, signals, and how processes end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import rclpy
from rclpy.context import Context
from rclpy.exceptions import InvalidHandle, NotInitializedException
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions, get_current_signal_handlers_options
from std_msgs.msg import String
from std_srvs.srv import Trigger

PROGRAM = """
import sys, threading, time, pocket_ros2
pocket_ros2.activate()
import rclpy
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
rclpy.init()
node = rclpy.create_node("walker")
executor = MultiThreadedExecutor() if "many" in sys.argv else None
def tell():
    while sys._current_frames()[main].f_back.f_code.co_name != "_wait":
        time.sleep(0.001)
    print("ready", flush=True)

main = threading.get_ident()
threading.Thread(target=tell).start()
try:
    rclpy.spin(node, executor)
    print("returned", rclpy.ok())
except (KeyboardInterrupt, ExternalShutdownException) as error:
    print(type(error).__name__, rclpy.ok())
if "tidy" in sys.argv:
    node.destroy_node()
    rclpy.try_shutdown()
sys.exit(7)
"""


@pytest.mark.parametrize(
    ("number", "mode", "said"),
    [
        (signal.SIGINT, "one", "KeyboardInterrupt False"),
        (signal.SIGTERM, "one", "ExternalShutdownException False"),
        (signal.SIGINT, "many", "KeyboardInterrupt False"),
        (signal.SIGTERM, "many", "returned False"),
    ],
)
@pytest.mark.parametrize("end", ["tidy", "abrupt"])
def test_signal_ends_spin_and_the_process_exits_with_its_own_code(number, mode, said, end):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, mode, end],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        output, errors = process.communicate(timeout=15)
    finally:
        process.kill()

    assert (output.splitlines(), errors) == ([said], "")
    assert process.returncode == 7


@pytest.mark.parametrize(("end", "code"), [("pass", 0), ("1 / 0", 1), ("sys.exit(3)", 3)])
def test_process_that_forgets_shutdown_exits_with_its_own_code(end, code):
    program = (
        "import sys, pocket_ros2; pocket_ros2.activate(); import rclpy\n"
        "from std_msgs.msg import String\n"
        "rclpy.init(); node = rclpy.create_node('walker')\n"
        "node.create_subscription(String, 'topic', print, 10)\n"
        f"rclpy.spin_once(node, timeout_sec=0.01)\n{end}\n"
    )

    result = subprocess.run(
        [sys.executable, "-c", program], timeout=20, stderr=subprocess.PIPE, check=False
    )

    assert result.returncode == code


def test_second_shutdown_raises_and_try_shutdown_does_not():
    rclpy.init(args=[])
    assert rclpy.ok()
    rclpy.shutdown()
    assert not rclpy.ok()
    with pytest.raises(RuntimeError):
        rclpy.shutdown()
    rclpy.try_shutdown()

    context = Context()
    context.init([])
    context.shutdown()
    with pytest.raises(RuntimeError, match="already"):
        context.shutdown()


def test_second_init_raises_but_init_after_shutdown_works():
    with rclpy.init(args=[]), pytest.raises(RuntimeError, match="once"):
        rclpy.init(args=[])
    with rclpy.init(args=[]):
        assert rclpy.ok()
    assert not rclpy.ok()


def test_handlers_are_restored_by_shutdown():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    rclpy.init(args=[])
    assert get_current_signal_handlers_options() == SignalHandlerOptions.ALL
    assert signal.getsignal(signal.SIGTERM) != before[1]
    rclpy.shutdown()

    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert get_current_signal_handlers_options() == SignalHandlerOptions.NO


def test_handlers_of_the_program_are_called_too():
    seen = []
    before = {
        number: signal.signal(number, lambda number, frame: seen.append(number))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        for number in before:
            rclpy.init(args=[])
            signal.raise_signal(number)
            assert not rclpy.ok()
            rclpy.try_shutdown()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

    assert seen == list(before)


def test_contexts_of_their_own_install_no_handlers_and_live_side_by_side():
    first, second = Context(), Context()
    rclpy.init(args=[], context=first)
    rclpy.init(args=[], context=second, domain_id=99)
    assert get_current_signal_handlers_options() == SignalHandlerOptions.NO
    node = Node("walker", context=second)

    rclpy.shutdown(context=first)

    assert not first.ok()
    assert second.ok()
    assert second.get_domain_id() == 99
    assert node.get_node_names() == ["walker"]
    second.shutdown()


def test_use_before_init_and_after_shutdown_and_after_destroy_raises():
    with pytest.raises(NotInitializedException):
        Node("walker")
    rclpy.init(args=[])
    node = rclpy.create_node("walker")
    publisher = node.create_publisher(String, "topic", 10)
    node.destroy_node()
    with pytest.raises(InvalidHandle):
        node.create_publisher(String, "topic", 10)
    with pytest.raises(InvalidHandle):
        publisher.publish(String())
    with pytest.raises(InvalidHandle):
        assert node.handle
    other = rclpy.create_node("other")
    publisher = other.create_publisher(String, "topic", 10)
    client = other.create_client(Trigger, "service")
    rclpy.shutdown()
    with pytest.raises(RuntimeError, match="context"):
        publisher.publish(String())
    with pytest.raises(RuntimeError, match="context"):
        client.call_async(Trigger.Request())
    other.destroy_node()


def test_shutdown_callbacks_run_once_and_bound_methods_die_with_their_object():
    class Listener:
        def called(self):
            log.append("method")

    log, built_in = [], [1]
    with rclpy.init(args=[]) as initialized:
        context = initialized.context
        context.on_shutdown(built_in.clear)
        context.on_shutdown(lambda: log.append("function"))
        context.on_shutdown(Listener().called)
        kept = Listener()
        context.on_shutdown(kept.called)

    assert log == ["function", "method"]
    assert built_in == []


@pytest.mark.parametrize("value", ["x", "-1", "233"])
def test_bad_domain_id_is_named(monkeypatch, value):
    monkeypatch.setitem(os.environ, "ROS_DOMAIN_ID", value)
    with pytest.raises(RuntimeError, match=f"'{value}'"):
        Context().init([])
