# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The process of the other side dies, stops or lies in the middle of an action."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
import rclpy
from rclpy.action import ActionClient, ActionServer
from rclpy.executors import SingleThreadedExecutor
from test_msgs.action import Fibonacci

DEADLINE_S = 15.0
SERVER = """
import threading, time
import pocket_ros2
pocket_ros2.activate()
import rclpy
from rclpy.action import ActionServer, GoalResponse
from test_msgs.action import Fibonacci

def decide(goal):
    if goal.order == 0:
        print("deciding", flush=True)
        threading.Event().wait()
    return GoalResponse.ACCEPT

def execute(handle):
    for _ in range(3):
        handle.publish_feedback(Fibonacci.Feedback())
    threading.Event().wait()

rclpy.init()
node = rclpy.create_node("server")
server = ActionServer(node, Fibonacci, "fibonacci", execute, goal_callback=decide)
print("ready", flush=True)
rclpy.spin(node)
"""
CLIENT = """
import pocket_ros2
pocket_ros2.activate()
import rclpy
from rclpy.action import ActionClient
from test_msgs.action import Fibonacci
rclpy.init()
node = rclpy.create_node("client")
client = ActionClient(node, Fibonacci, "fibonacci")
assert client.wait_for_server(10)
future = client.send_goal_async(Fibonacci.Goal())
rclpy.spin_until_future_complete(node, future)
future.result().get_result_async()
print("sent", flush=True)
rclpy.spin(node)
"""


@pytest.fixture
def executor():
    context = rclpy.Context()
    rclpy.init(context=context)
    executor = SingleThreadedExecutor(context=context)
    yield executor
    executor.shutdown()
    rclpy.try_shutdown(context=context)


@pytest.fixture
def node(executor):
    node = rclpy.create_node("tester", context=executor.context)
    executor.add_node(node)
    return node


@pytest.fixture
def start():
    started = []

    def start(program, says):
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline().strip() == says
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(DEADLINE_S)
        process.stdout.close()


@pytest.fixture
def server(start):
    return start(SERVER, "ready")


def until(executor, predicate):
    deadline = time.monotonic() + DEADLINE_S
    while not predicate():
        assert time.monotonic() < deadline, "the deadline passed"
        executor.spin_once(timeout_sec=0.1)


def test_server_killed_before_it_decides_fails_the_goal(executor, node, server):
    client = ActionClient(node, Fibonacci, "fibonacci")
    assert client.wait_for_server(DEADLINE_S)
    future = client.send_goal_async(Fibonacci.Goal(order=0))
    assert server.stdout.readline().strip() == "deciding"
    server.kill()
    until(executor, future.done)

    assert isinstance(future.exception(), ConnectionError)
    assert "fibonacci" in str(future.exception())


def test_server_killed_between_feedback_and_result_fails_the_result(executor, node, server):
    client = ActionClient(node, Fibonacci, "fibonacci")
    assert client.wait_for_server(DEADLINE_S)
    got = []
    sent = client.send_goal_async(Fibonacci.Goal(order=1), feedback_callback=got.append)
    until(executor, sent.done)
    result = sent.result().get_result_async()
    cancel = sent.result().cancel_goal_async()
    until(executor, lambda: len(got) == 3)
    server.kill()
    until(executor, lambda: result.done() and cancel.done())

    assert isinstance(result.exception(), ConnectionError)
    assert isinstance(cancel.exception(), ConnectionError)
    until(executor, lambda: not client.server_is_ready())


def test_client_works_again_with_a_restarted_server(executor, node, start):
    client = ActionClient(node, Fibonacci, "fibonacci")
    for _ in range(2):
        server = start(SERVER, "ready")
        assert client.wait_for_server(DEADLINE_S)
        sent = client.send_goal_async(Fibonacci.Goal(order=1))
        until(executor, sent.done)
        assert sent.result().accepted
        server.kill()
        until(executor, lambda: not client.server_is_ready())


def test_server_survives_a_client_killed_in_the_middle_of_a_goal(executor, node, start):
    kept = []
    ActionServer(
        node, Fibonacci, "fibonacci", lambda handle: None, handle_accepted_callback=kept.append
    )
    process = subprocess.Popen([sys.executable, "-c", CLIENT], stdout=subprocess.PIPE, text=True)
    try:
        until(executor, lambda: kept)
        until(executor, lambda: kept[0]._result_future._callbacks)
    finally:
        process.kill()
        process.wait(DEADLINE_S)
        process.stdout.close()
    until(executor, lambda: node.count_clients("fibonacci/_action/get_result") == 0)

    kept[0]._update_status(2)
    kept[0].succeed(Fibonacci.Result())

    client = ActionClient(node, Fibonacci, "fibonacci")
    sent = client.send_goal_async(Fibonacci.Goal())
    until(executor, sent.done)
    assert sent.result().accepted


def test_corrupt_feedback_and_status_are_dropped_and_the_goal_goes_on(executor, node):
    client = ActionClient(node, Fibonacci, "fibonacci")

    def execute(handle):
        for publisher in (server._feedback_publisher, server._status_publisher):
            publisher.publish(b"\x00\x01\x00\x00\xff")
        handle.publish_feedback(Fibonacci.Feedback())
        handle.succeed()
        return Fibonacci.Result(sequence=[3])

    server = ActionServer(node, Fibonacci, "fibonacci", execute)
    assert client.wait_for_server(DEADLINE_S)
    got = []
    sent = client.send_goal_async(Fibonacci.Goal(), feedback_callback=got.append)
    until(executor, sent.done)
    result = sent.result().get_result_async()
    until(executor, lambda: result.done() and got)

    assert list(result.result().result.sequence) == [3]
