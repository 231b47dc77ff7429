# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Services and clients."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
from example_interfaces.srv import AddTwoInts
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

DEADLINE_S = 5.0


@pytest.fixture
def node(context):
    return Node("walker", context=context, start_parameter_services=False)


@pytest.fixture
def executor(context, node):
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    yield executor
    executor.shutdown()


def finish(executor, future):
    executor.spin_until_future_complete(future, DEADLINE_S)
    assert future.done()
    return future.result()


def add(request, response):
    response.sum = request.a + request.b
    return response


def test_each_call_gets_its_own_response(executor, node):
    node.create_service(AddTwoInts, "add", add)
    client = node.create_client(AddTwoInts, "add")
    assert client.wait_for_service(DEADLINE_S)
    futures = [client.call_async(AddTwoInts.Request(a=n, b=1)) for n in range(5)]

    assert [finish(executor, future).sum for future in futures] == [1, 2, 3, 4, 5]


def test_coroutine_callbacks_may_wait_before_they_answer(executor, node):
    gate = Future()

    async def slow(request, response):
        response.message = await gate
        return response

    node.create_service(Trigger, "trigger", slow)
    future = node.create_client(Trigger, "trigger").call_async(Trigger.Request())
    executor.spin_once(timeout_sec=DEADLINE_S)
    assert not future.done()
    gate.set_result("late")

    assert finish(executor, future).message == "late"


def test_done_callbacks_run_in_the_executor(executor, node):
    node.create_service(Trigger, "trigger", lambda _, r: r)
    done = Future()
    future = node.create_client(Trigger, "trigger").call_async(Trigger.Request())
    future.add_done_callback(lambda _: done.set_result(threading.current_thread()))

    assert finish(executor, done) is threading.current_thread()


def test_blocking_call_returns_while_another_thread_spins(executor, node):
    node.create_service(AddTwoInts, "add", add)
    client = node.create_client(AddTwoInts, "add")
    thread = threading.Thread(target=executor.spin)
    thread.start()

    assert client.call(AddTwoInts.Request(a=1, b=2), DEADLINE_S).sum == 3
    executor.shutdown()
    thread.join(DEADLINE_S)


def test_wait_for_service_ends_at_the_timeout_or_when_the_server_appears(node):
    client = node.create_client(Trigger, "trigger")
    assert not client.service_is_ready()
    assert not client.wait_for_service(timeout_sec=0.01)
    timer = threading.Timer(0.05, lambda: node.create_service(Trigger, "trigger", None))
    timer.start()
    assert client.wait_for_service(timeout_sec=DEADLINE_S)
    timer.join()


def test_wait_for_service_ends_at_shutdown(context, node):
    client = node.create_client(Trigger, "trigger")
    timer = threading.Timer(0.05, context.shutdown)
    timer.start()
    assert not client.wait_for_service()
    timer.join()


def test_wrong_types_are_refused(executor, node):
    node.create_service(Trigger, "trigger", lambda _, r: "done")
    client = node.create_client(Trigger, "trigger")
    with pytest.raises(TypeError, match=r"Trigger\.Request"):
        client.call_async(Trigger.Response())
    with pytest.raises(TypeError, match="service class"):
        node.create_client(int, "trigger")
    future = client.call_async(Trigger.Request())
    with pytest.raises(TypeError, match=r"must return a Trigger\.Response"):
        executor.spin_until_future_complete(future, DEADLINE_S)
    with pytest.raises(NotImplementedError, match="configure_introspection"):
        client.configure_introspection(None, None, None)


def test_removed_request_never_completes(executor, node):
    node.create_service(Trigger, "trigger", lambda _, r: r)
    client = node.create_client(Trigger, "trigger")
    removed, kept = (client.call_async(Trigger.Request()) for _ in range(2))
    client.remove_pending_request(removed)
    finish(executor, kept)

    assert not removed.done()


SERVER = """
import pocket_ros2
pocket_ros2.activate()
import rclpy
from std_srvs.srv import Trigger
rclpy.init()
node = rclpy.create_node("server")
def ask(request, response):
    print("asked", flush=True)
    input()

node.create_service(Trigger, "trigger", ask)
rclpy.spin(node)
"""


def test_server_killed_in_the_middle_of_a_call_fails_the_future(executor, node):
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        client = node.create_client(Trigger, "trigger")
        assert client.wait_for_service(10)
        future = client.call_async(Trigger.Request())
        assert server.stdout.readline() == "asked\n"
    finally:
        server.kill()
        server.communicate()
    start = time.monotonic()
    with pytest.raises(ConnectionError, match="/trigger"):
        finish(executor, future)

    assert time.monotonic() - start < 2
