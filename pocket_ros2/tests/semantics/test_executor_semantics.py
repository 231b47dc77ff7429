# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What executors, callback groups and coroutines do that asyncio or a thread pool would not."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
import rclpy
from rclpy._rclpy_pybind11 import RCLError
from rclpy.action import ActionClient, ActionServer
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Future
from std_msgs.msg import String
from std_srvs.srv import Trigger
from test_msgs.action import Fibonacci

DEADLINE_S = 10.0


@pytest.fixture
def node(context):
    return Node("walker", context=context, start_parameter_services=False, enable_rosout=False)


@pytest.fixture
def executor(context, node):
    with SingleThreadedExecutor(context=context) as executor:
        executor.add_node(node)
        yield executor


def until(executor, predicate):
    deadline = time.monotonic() + DEADLINE_S
    while not predicate():
        assert time.monotonic() < deadline, "the deadline passed"
        executor.spin_once(timeout_sec=0.1)


def serve(node):
    def answer(request, response):
        response.success = True
        return response

    node.create_service(Trigger, "trigger", answer, callback_group=ReentrantCallbackGroup())


class Gauge:
    """Notices when two callbacks are inside at once; gives a second one the time to come."""

    def __init__(self):
        self.inside = 0
        self.most = 0
        self.visits = set()
        self._changed = threading.Condition()

    def visit(self, name):
        with self._changed:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.visits.add(name)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.inside > 1, timeout=0.02)
            self.inside -= 1


@pytest.mark.parametrize(("shared", "most"), [(True, 1), (False, 2)])
def test_timer_subscription_service_and_guard_share_the_turn_of_their_group(
    context, node, shared, most
):
    gauge = Gauge()
    group = None if shared else ReentrantCallbackGroup()

    def respond(request, response):
        gauge.visit("service")
        return response

    node.create_timer(0.1, lambda: gauge.visit("timer"), group)
    node.create_subscription(
        String, "topic", lambda m: gauge.visit("subscription"), 10, callback_group=group
    )
    node.create_service(Trigger, "trigger", respond, callback_group=group)
    guard = node.create_guard_condition(lambda: gauge.visit("guard"), group)
    outside = Node("outside", context=context, start_parameter_services=False)
    publisher = outside.create_publisher(String, "topic", 10)
    client = outside.create_client(Trigger, "trigger")
    with MultiThreadedExecutor(4, context=context) as executor:
        executor.add_node(node)

        for _ in range(5):
            gauge.visits.clear()
            publisher.publish(String())
            client.call_async(Trigger.Request())
            guard.trigger()
            until(executor, lambda: len(gauge.visits) == 4)

    assert min(gauge.most, 2) == most


@pytest.mark.parametrize("kind", ["timer", "subscription", "service", "guard", "action"])
def test_every_kind_of_callback_may_be_a_coroutine_that_awaits_a_service(executor, node, kind):
    serve(node)
    client = node.create_client(Trigger, "trigger", callback_group=ReentrantCallbackGroup())
    answers = []

    async def ask(*arguments):
        answers.append((await client.call_async(Trigger.Request())).success)
        return arguments[-1] if kind == "service" else Fibonacci.Result()

    if kind == "timer":
        node.create_timer(0.001, ask)
    elif kind == "subscription":

        async def heard(message):
            await ask(message)

        node.create_subscription(String, "topic", heard, 10)
        node.create_publisher(String, "topic", 10).publish(String())
    elif kind == "service":
        node.create_service(Trigger, "asked", ask, callback_group=ReentrantCallbackGroup())
        node.create_client(Trigger, "asked").call_async(Trigger.Request())
    elif kind == "guard":
        node.create_guard_condition(ask).trigger()
    else:
        ActionServer(node, Fibonacci, "fibonacci", ask)
        ActionClient(node, Fibonacci, "fibonacci").send_goal_async(Fibonacci.Goal())

    until(executor, lambda: answers)

    assert answers[0] is True


def test_callbacks_of_a_future_are_work_for_the_executor_and_not_for_who_completes_it(executor):
    future, called = executor.create_future(), []
    future.add_done_callback(lambda done: called.append(done.result()))

    future.set_result("x")
    assert called == []
    executor.spin_once(timeout_sec=0)
    assert called == ["x"]
    future.add_done_callback(lambda done: called.append("late"))
    assert called == ["x"]
    executor.spin_once(timeout_sec=0)

    assert called == ["x", "late"]


def test_await_yields_to_the_executor_and_asyncio_has_no_loop_here(executor, node):
    log = []

    async def politely():
        log.append("before")
        await asyncio.sleep(0)
        log.append("after")

    node.create_guard_condition(politely, ReentrantCallbackGroup()).trigger()
    executor.spin_once(timeout_sec=1)
    executor.create_task(log.append, "between")
    until(executor, lambda: len(log) == 3)
    assert sorted(log) == ["after", "before", "between"]
    assert log[0] == "before"

    async def asks_asyncio():
        await asyncio.sleep(0.001)

    node.create_guard_condition(asks_asyncio).trigger()
    with pytest.raises(RuntimeError, match="no running event loop"):
        executor.spin()


def test_exception_after_an_await_leaves_spin_too(executor, node):
    gate = Future()

    async def fails_later():
        await gate
        raise ValueError("after the wait")

    node.create_guard_condition(fails_later).trigger()
    executor.spin_once(timeout_sec=1)
    gate.set_result(None)

    with pytest.raises(ValueError, match="after the wait"):
        executor.spin()


def test_await_of_a_goal_needs_its_client_in_another_group(executor, node):
    def execute(goal_handle):
        goal_handle.succeed()
        return Fibonacci.Result()

    other = Node("server", context=node.context)
    executor.add_node(other)
    ActionServer(other, Fibonacci, "fibonacci", execute)
    same = ActionClient(node, Fibonacci, "fibonacci")
    free = ActionClient(node, Fibonacci, "fibonacci", callback_group=ReentrantCallbackGroup())
    log = []

    async def ask(client):
        goal_handle = await client.send_goal_async(Fibonacci.Goal())
        await goal_handle.get_result_async()
        log.append(client)

    node.create_guard_condition(lambda: ask(free)).trigger()
    until(executor, lambda: log == [free])
    node.create_guard_condition(lambda: ask(same)).trigger()
    for _ in range(10):
        executor.spin_once(timeout_sec=0.02)

    assert log == [free]


def test_spinning_inside_a_callback_is_an_error_that_leaves_the_node_where_it_is():
    with rclpy.init(args=[]):
        node = rclpy.create_node("walker")
        errors, later = [], []

        def nested():
            try:
                rclpy.spin_until_future_complete(node, Future(), timeout_sec=5)
            except RuntimeError as error:
                errors.append(str(error))
            node.create_guard_condition(last).trigger()

        def last():
            later.append(node.executor is rclpy.get_global_executor())
            rclpy.shutdown()

        node.create_guard_condition(nested).trigger()
        rclpy.spin(node)

    assert errors == ["Executor is already spinning"]
    assert later == [True]


def test_spin_once_leaves_a_node_in_the_executor_that_had_it(executor, node):
    rclpy.spin_once(node, executor=executor, timeout_sec=0)
    rclpy.spin_until_future_complete(node, Future(), executor, timeout_sec=0)
    assert executor.get_nodes() == [node]

    with SingleThreadedExecutor(context=node.context) as other:
        rclpy.spin_once(node, executor=other, timeout_sec=0)
        assert executor.get_nodes() == other.get_nodes() == []


def test_cancelled_future_ends_the_spin_that_waits_for_it(executor):
    future = Future()
    threading.Timer(0.05, future.cancel).start()

    executor.spin_until_future_complete(future, timeout_sec=DEADLINE_S)

    assert (future.cancelled(), future.done()) == (True, False)


def test_timer_that_is_canceled_by_an_earlier_callback_of_the_pass_does_not_fire(executor, node):
    log = []
    timers = []

    def first():
        log.append("first")
        timers[1].cancel()

    timers += [node.create_timer(0.0, first), node.create_timer(0.0, lambda: log.append("second"))]
    for _ in range(4):
        executor.spin_once(timeout_sec=0)

    assert set(log) == {"first"}


def test_nothing_is_created_after_shutdown(context, node):
    context.shutdown()

    for create in (
        lambda: node.create_publisher(String, "topic", 10),
        lambda: node.create_subscription(String, "topic", print, 10),
        lambda: node.create_client(Trigger, "trigger"),
        lambda: node.create_service(Trigger, "trigger", print),
        lambda: node.create_timer(1.0, print),
        lambda: node.create_guard_condition(print),
        lambda: ActionClient(node, Fibonacci, "fibonacci"),
    ):
        with pytest.raises(RCLError, match="the given context is not valid"):
            create()
    node.destroy_node()


def test_one_thread_is_no_reason_for_many_threads(context):
    with (
        pytest.warns(UserWarning, match="with a single thread"),
        MultiThreadedExecutor(1, context=context),
    ):
        pass
