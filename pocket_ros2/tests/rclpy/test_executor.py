# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Executors: order, fairness, groups, coroutines, shutdown."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
import weakref

import pytest
import rclpy
from rclpy._entity import Entity
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.context import Context
from rclpy.exceptions import NotInitializedException
from rclpy.executors import (
    ExternalShutdownException,
    MultiThreadedExecutor,
    ShutdownException,
    SingleThreadedExecutor,
)
from rclpy.node import Node
from rclpy.task import Future
from std_msgs.msg import String
from std_srvs.srv import Trigger

DEADLINE_S = 5.0


@pytest.fixture
def node(context):
    return Node("walker", context=context, start_parameter_services=False, enable_rosout=False)


@pytest.fixture
def executor(context, node):
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    yield executor
    executor.shutdown()


def until(executor, predicate):
    deadline = time.monotonic() + DEADLINE_S
    while not predicate():
        assert time.monotonic() < deadline, "the deadline passed"
        executor.spin_once(timeout_sec=0.1)


class Always(Entity):
    """Ready whenever asked."""

    def __init__(self, kind, group, log, name):
        self.kind = kind
        super().__init__(group)
        self._log, self._name = log, name

    def ready(self):
        return True

    def take(self):
        return True

    async def execute(self, taken):
        self._log.append(self._name)


def test_one_pass_runs_everything_ready_once_in_the_order_of_kinds(context, executor, node):
    other = Node("other", context=context, start_parameter_services=False, enable_rosout=False)
    executor.add_node(other)
    log = []
    for owner, prefix in ((node, "a"), (other, "b")):
        for kind, name in (
            (Entity.SERVICE, "service"),
            (Entity.CLIENT, "client"),
            (Entity.GUARD, "guard"),
            (Entity.SUBSCRIPTION, "subscription"),
            (Entity.TIMER, "timer"),
            (Entity.WAITABLE, "waitable"),
        ):
            owner._rclpy_adopt(Always(kind, ReentrantCallbackGroup(), log, f"{prefix}.{name}"))

    kinds = ["timer", "subscription", "guard", "client", "service"]
    one_pass = ["a.waitable", "b.waitable"]
    one_pass += [f"a.{kind}" for kind in kinds] + [f"b.{kind}" for kind in kinds]
    for count in range(1, 2 * len(one_pass) + 1):
        executor.spin_once(timeout_sec=0)
        assert len(log) == count, "one callback per spin_once"

    assert log == one_pass * 2


def test_busy_timer_does_not_starve_a_subscription(executor, node):
    ticks, heard = [], []
    node.create_timer(0.0, lambda: ticks.append(1))
    node.create_subscription(String, "topic", heard.append, 10)
    node.create_publisher(String, "topic", 10).publish(String())

    until(executor, lambda: heard)

    assert len(ticks) < 10_000


def test_tasks_run_before_entities(executor, node):
    log = []
    node._rclpy_adopt(Always(Entity.WAITABLE, ReentrantCallbackGroup(), log, "waitable"))
    executor.create_task(log.append, "task")

    executor.spin_once(timeout_sec=0)
    executor.spin_once(timeout_sec=0)

    assert log == ["task", "waitable"]


def test_spin_once_without_work_ends_at_the_timeout(executor):
    start = time.monotonic()
    executor.spin_once(timeout_sec=0.05)

    assert 0.05 <= time.monotonic() - start < DEADLINE_S


def test_exception_in_callback_leaves_spin_and_the_executor_still_works(executor, node):
    guard = node.create_guard_condition(lambda: 1 / 0)
    guard.trigger()
    with pytest.raises(ZeroDivisionError):
        executor.spin()

    log = []
    guard.callback = lambda: log.append(1)
    guard.trigger()
    executor.spin_once(timeout_sec=DEADLINE_S)

    assert log == [1]


def test_exception_in_callback_leaves_spin_of_many_threads(context, node):
    with MultiThreadedExecutor(2, context=context) as executor:
        executor.add_node(node)
        node.create_guard_condition(lambda: 1 / 0).trigger()
        with pytest.raises(ZeroDivisionError):
            executor.spin()


def test_destroyed_entity_does_not_fire_even_when_it_was_ready(executor, node):
    log = []

    def first():
        log.append("first")
        node.destroy_guard_condition(guards[1])

    guards = [
        node.create_guard_condition(callback) for callback in (first, lambda: log.append("second"))
    ]
    for guard in guards:
        guard.trigger()
    for _ in range(3):
        executor.spin_once(timeout_sec=0)

    assert log == ["first"]


def test_timer_destroyed_while_the_executor_looks_at_it_is_left_out(executor, node):
    timer = node.create_timer(60.0, None)
    timer.ready = lambda: bool(node.destroy_timer(timer) and False)

    executor.spin_once(timeout_sec=0.0)

    assert list(node.timers) == []


def test_entities_created_in_callbacks_are_served(executor, node):
    log = []
    node.create_guard_condition(
        lambda: node.create_guard_condition(lambda: log.append("inner")).trigger()
    ).trigger()

    until(executor, lambda: log)

    assert log == ["inner"]


def test_entity_created_in_another_thread_wakes_the_executor(executor, node):
    fired = Future()
    threading.Timer(
        0.05, lambda: node.create_guard_condition(lambda: fired.set_result(1)).trigger()
    ).start()

    executor.spin_until_future_complete(fired, timeout_sec=DEADLINE_S)

    assert fired.done()


def test_future_completed_by_another_thread_wakes_the_executor(executor):
    future = Future()
    threading.Timer(0.05, lambda: future.set_result("done")).start()

    start = time.monotonic()
    executor.spin_until_future_complete(future)

    assert future.result() == "done"
    assert time.monotonic() - start < DEADLINE_S


def test_coroutine_waits_without_blocking_and_without_burning_the_processor(executor, node):
    gate, log = Future(), []

    async def waits():
        log.append("before")
        log.append(await gate)

    node.create_guard_condition(waits, ReentrantCallbackGroup()).trigger()
    until(executor, lambda: log)
    cpu = time.process_time()
    executor.spin_once(timeout_sec=0.3)
    assert time.process_time() - cpu < 0.1
    gate.set_result("after")
    until(executor, lambda: len(log) == 2)

    assert log == ["before", "after"]


def test_coroutine_that_waits_keeps_its_mutually_exclusive_group(executor, node):
    gate, log = Future(), []

    async def waits():
        await gate
        log.append("waited")

    node.create_guard_condition(waits).trigger()
    executor.spin_once(timeout_sec=0)
    node.create_guard_condition(lambda: log.append("other")).trigger()
    executor.spin_once(timeout_sec=0.05)
    assert log == []
    gate.set_result(None)
    until(executor, lambda: len(log) == 2)

    assert log == ["waited", "other"]


def test_await_of_a_service_in_the_same_group_stays_a_deadlock(executor, node):
    node.create_service(
        Trigger, "trigger", lambda _, r: r, callback_group=ReentrantCallbackGroup()
    )
    same = node.create_client(Trigger, "trigger")
    other = node.create_client(Trigger, "trigger", callback_group=ReentrantCallbackGroup())
    log = []

    async def ask(client):
        await client.call_async(Trigger.Request())
        log.append(client)

    node.create_guard_condition(lambda: ask(other)).trigger()
    until(executor, lambda: log == [other])
    node.create_guard_condition(lambda: ask(same)).trigger()
    for _ in range(10):
        executor.spin_once(timeout_sec=0.02)

    assert log == [other]


def test_blocking_call_in_a_callback_of_a_single_thread_stays_a_deadlock(executor, node):
    node.create_service(Trigger, "trigger", lambda _, r: r)
    client = node.create_client(Trigger, "trigger", callback_group=ReentrantCallbackGroup())
    node.create_guard_condition(lambda: client.call(Trigger.Request(), 0.2)).trigger()

    with pytest.raises(TimeoutError, match="/trigger"):
        until(executor, lambda: False)


def test_spinning_executor_refuses_a_second_spin_in_a_callback_or_thread(executor, node):
    log, refusals = [], []

    def nested():
        log.append(executor.is_spinning)
        for spin in (executor.spin, executor.spin_once):
            with pytest.raises(RuntimeError, match="Executor is already spinning"):
                spin()
        thread = threading.Thread(target=in_thread)
        thread.start()
        thread.join(DEADLINE_S)

    def in_thread():
        try:
            executor.spin_until_future_complete(Future())
        except RuntimeError as error:
            refusals.append(str(error))

    node.create_guard_condition(nested).trigger()
    until(executor, lambda: refusals)

    assert (log, refusals) == ([True], ["Executor is already spinning"])
    assert not executor.is_spinning


def overlap(context, node, groups):
    """Return whether two callbacks, one in each group, run at the same time."""
    barrier, results, done = threading.Barrier(2), [], Future()

    def callback():
        try:
            barrier.wait(0.2)
            results.append(True)
        except threading.BrokenBarrierError:
            results.append(False)
            barrier.reset()
        if len(results) == 2:
            done.set_result(None)

    with MultiThreadedExecutor(4, context=context) as executor:
        executor.add_node(node)
        for group in groups:
            node.create_guard_condition(callback, group).trigger()
        executor.spin_until_future_complete(done, DEADLINE_S)
    return all(results)


def test_default_group_never_overlaps(context, node):
    assert not overlap(context, node, [None, None])


def test_groups_let_callbacks_overlap(context, node):
    reentrant = ReentrantCallbackGroup()
    assert overlap(context, node, [reentrant, reentrant])
    assert overlap(
        context, node, [MutuallyExclusiveCallbackGroup(), MutuallyExclusiveCallbackGroup()]
    )


def test_shutdown_of_the_context_ends_spin_with_external_shutdown(context, executor):
    threading.Timer(0.05, context.shutdown).start()

    with pytest.raises(ExternalShutdownException):
        executor.spin()


@pytest.mark.parametrize("kind", [SingleThreadedExecutor, MultiThreadedExecutor])
def test_shutdown_amid_a_callback_that_publishes_ends_spin_as_any_shutdown(context, node, kind):
    publisher = node.create_publisher(String, "late", 1)

    def leave_and_publish():
        context.shutdown()
        publisher.publish(String())

    node.create_timer(0.0, leave_and_publish)
    executor = kind(context=context)
    executor.add_node(node)
    ends = pytest.raises(ExternalShutdownException)
    with ends if kind is SingleThreadedExecutor else contextlib.nullcontext():
        executor.spin()


def test_shutdown_of_the_executor_ends_spin(executor):
    threading.Timer(0.05, executor.shutdown).start()
    executor.spin()


def test_shutdown_just_before_the_executor_goes_to_sleep_is_not_missed(executor):
    asked = []

    def shut_down_meanwhile():
        if not asked:
            asked.append(True)
            executor.shutdown()
        return False

    def look():
        with contextlib.suppress(ShutdownException):
            executor.wait_for_ready_callbacks(None, None, shut_down_meanwhile)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(DEADLINE_S)

    assert not thread.is_alive()


def test_shutdown_with_timeout_tells_whether_callbacks_still_run(context, node):
    started, gate = threading.Event(), threading.Event()
    executor = MultiThreadedExecutor(2, context=context)
    executor.add_node(node)
    node.create_guard_condition(lambda: (started.set(), gate.wait(DEADLINE_S))).trigger()
    executor.spin_once(timeout_sec=DEADLINE_S)
    assert started.wait(DEADLINE_S)

    assert not executor.shutdown(timeout_sec=0.01)
    gate.set()
    assert executor.shutdown(timeout_sec=DEADLINE_S)


def test_node_moves_from_executor_to_executor(context, executor, node):
    other = SingleThreadedExecutor(context=context)

    assert not executor.add_node(node)
    assert other.add_node(node)
    assert executor.get_nodes() == []
    assert node.executor is other


def test_executor_needs_an_initialized_context():
    with pytest.raises(NotInitializedException):
        SingleThreadedExecutor(context=Context())


def test_timer_without_other_events_keeps_its_period(executor, node):
    ticks = []
    node.create_timer(0.02, lambda: ticks.append(time.monotonic()))

    until(executor, lambda: len(ticks) == 10)

    assert 0.15 < ticks[-1] - ticks[0] < 1.0


def test_garbage_collection_spares_a_task_that_waits_for_a_future_of_its_own(executor):
    async def wait():
        future = executor.create_future()
        waiting.append(weakref.ref(future))
        try:
            await future
        finally:
            waiting.append("ended")

    waiting = []
    executor.create_task(wait)
    executor.spin_once(timeout_sec=0)
    gc.collect()

    assert waiting == [waiting[0]]
    waiting[0]().set_result(None)
    executor.spin_once(timeout_sec=1)
    assert waiting[1] == "ended"


def test_global_executor_serves_spin_once_and_is_gone_after_shutdown():
    rclpy.init(args=[])
    node = rclpy.create_node("walker")
    first = rclpy.get_global_executor()
    log = []
    node.create_guard_condition(lambda: log.append(1)).trigger()
    deadline = time.monotonic() + DEADLINE_S
    while not log and time.monotonic() < deadline:
        rclpy.spin_once(node, timeout_sec=0.1)
    rclpy.shutdown()
    assert log == [1]

    with rclpy.init(args=[]):
        assert rclpy.get_global_executor() is not first
