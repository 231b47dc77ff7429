# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Executors: they wait for entities of nodes to become ready, and run their callbacks."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import queue
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

import zenoh

from rclpy._entity import Entity
from rclpy._entity import await_or_execute as await_or_execute
from rclpy._rclpy_pybind11 import RCLError
from rclpy.context import Context
from rclpy.exceptions import NotInitializedException, ROSInterruptException
from rclpy.task import Future, Task
from rclpy.utilities import get_default_context

if TYPE_CHECKING:
    from rclpy.node import Node

Work = tuple[Task[Any], "Entity | None", "Node | None"]
_NO_CONTEXT = (RCLError, NotInitializedException, ROSInterruptException, zenoh.ZError)


def _resume(task: weakref.ref[Task[Any]], executor: weakref.ref[Executor]) -> None:
    waiting, runs_it = task(), executor()
    if waiting is not None and runs_it is not None:
        runs_it._enqueue(waiting)


class TimeoutException(Exception):
    """Nothing became ready in time."""


class ShutdownException(Exception):
    """The executor was shut down."""


class ExternalShutdownException(Exception):
    """The context was shut down, by a signal or by somebody else."""


class ConditionReachedException(Exception):
    """What the caller waited for has come true."""


def _never() -> bool:
    return False


class Executor:
    """Finds work; subclasses decide where it runs."""

    def __init__(self, *, context: Context | None = None) -> None:
        self._context = get_default_context() if context is None else context
        if not self._context.ok():
            raise NotInitializedException("cannot create an executor")
        self._nodes: dict[Node, None] = {}
        self._tasks: list[Task[Any]] = []
        self._suspended: set[Task[Any]] = set()
        self._condition = threading.Condition()
        self._wakes = 0
        self._working = 0
        self._is_shutdown = False
        self._spin_lock = threading.Lock()
        self._pass: Iterator[Work] = iter(())
        self._pass_lock = threading.RLock()
        self._next_timer_ns: int | None = None
        self._context.on_shutdown(self.wake)

    @property
    def context(self) -> Context:
        return self._context

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *exception: object) -> None:
        self.shutdown()

    def wake(self) -> None:
        """Let the executor look again for work; callable from any thread."""
        with self._condition:
            self._wakes += 1
            self._condition.notify_all()

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Stop spinning; with a timeout, wait for callbacks (negative: without limit).

        Returns:
            False when callbacks still run after the timeout.
        """
        self._is_shutdown = True
        self.wake()
        if timeout_sec is not None:
            limit = timeout_sec if timeout_sec >= 0 else None
            with self._condition:
                if not self._condition.wait_for(lambda: not self._working, limit):
                    return False
        for node in self.get_nodes():
            self.remove_node(node)
        self._tasks.clear()
        return True

    def add_node(self, node: Node) -> bool:
        with self._condition:
            if node in self._nodes:
                return False
            alive = [other for other in self._nodes if not other._rclpy_destroyed]
            self._nodes = dict.fromkeys([*alive, node])
        node.executor = self
        self.wake()
        return True

    def remove_node(self, node: Node) -> None:
        with self._condition:
            self._nodes = {other: None for other in self._nodes if other is not node}
        self.wake()

    def get_nodes(self) -> list[Node]:
        return list(self._nodes)

    def create_task(
        self, callback: Callable[..., Any] | Coroutine[Any, Any, Any], *args: Any, **kwargs: Any
    ) -> Task[Any]:
        """Run a function or coroutine in this executor."""
        task: Task[Any] = Task(callback, args, kwargs, executor=self)
        self._enqueue(task)
        return task

    def create_future(self) -> Future[Any]:
        """Return a future whose callbacks run in this executor."""
        return Future(executor=self)

    def _enqueue(self, task: Task[Any]) -> None:
        with self._condition:
            self._tasks.append(task)
            self._suspended.discard(task)
        self.wake()

    def _suspend(self, task: Task[Any], future: Future[Any]) -> None:
        """Let a task wait; it is this executor that keeps it alive, and not the future."""
        with self._condition:
            self._suspended.add(task)
        future._on_done(functools.partial(_resume, weakref.ref(task), weakref.ref(self)))

    def can_execute(self, entity: Entity) -> bool:
        group = entity.callback_group
        return not (entity._destroyed or entity._scheduled) and (
            group is None or group.can_execute(entity)
        )

    # Spinning

    @property
    def is_spinning(self) -> bool:
        return self._spin_lock.locked()

    @contextlib.contextmanager
    def _spinning(self) -> Iterator[None]:
        """Refuse a second spin, be it of another thread or inside a callback."""
        if not self._spin_lock.acquire(blocking=False):
            raise RuntimeError("Executor is already spinning")
        try:
            yield
        finally:
            self._spin_lock.release()

    def spin(self) -> None:
        """Run callbacks until shutdown."""
        with self._spinning():
            while self._context.ok() and not self._is_shutdown:
                self._spin_once_impl()

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Wait for a callback, or until the timeout, and run that one."""
        with self._spinning():
            self._spin_once_impl(timeout_sec)

    def spin_once_until_future_complete(
        self, future: Future[Any], timeout_sec: float | None = None
    ) -> None:
        """Wait for a callback and run it, unless the future completes first."""
        with self._spinning():
            future._on_done(self.wake)
            self._spin_once_impl(timeout_sec, future.done)

    def spin_until_future_complete(
        self, future: Future[Any], timeout_sec: float | None = None
    ) -> None:
        """Run callbacks until the future is done, or the timeout has passed."""
        unlimited = timeout_sec is None or timeout_sec < 0
        deadline = None if unlimited else time.monotonic() + (timeout_sec or 0)
        with self._spinning():
            future._on_done(self.wake)
            while self._context.ok() and not future._finished() and not self._is_shutdown:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                self._spin_once_impl(left, future._finished)
                if deadline is not None and time.monotonic() >= deadline:
                    return

    def _spin_once_impl(
        self, timeout_sec: float | None = None, condition: Callable[[], bool] = _never
    ) -> None:
        raise NotImplementedError

    def wait_for_ready_callbacks(
        self,
        timeout_sec: float | None = None,
        nodes: list[Node] | None = None,
        condition: Callable[[], bool] = _never,
    ) -> Work:
        """Return the next piece of work, which calling its task does.

        Raises:
            TimeoutException, ShutdownException, ExternalShutdownException,
            ConditionReachedException: There is none for that reason.
        """
        unlimited = timeout_sec is None or timeout_sec < 0
        deadline = None if unlimited else time.monotonic() + (timeout_sec or 0)
        while True:
            # Read before anything is looked at, so that what happens meanwhile is not slept over.
            seen = self._wakes
            if not self._context.ok():
                raise ExternalShutdownException
            if self._is_shutdown:
                raise ShutdownException
            if condition():
                raise ConditionReachedException
            work = self._next_work(nodes)
            if work is not None:
                return work
            self._wait(seen, deadline)

    def _wait(self, seen: int, deadline: float | None) -> None:
        """Sleep until something has happened since `seen`, or the next timer is due."""
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutException
        timer_ns = self._next_timer_ns
        if timer_ns is not None:
            timer_s = max(timer_ns * 1e-9, 0.0)
            left = timer_s if left is None else min(left, timer_s)
        if left is not None:
            left = min(left, threading.TIMEOUT_MAX)
        with self._condition:
            if self._wakes == seen:
                self._condition.wait(left)

    def _next_work(self, nodes: list[Node] | None) -> Work | None:
        """Continue the present pass, or make a new one: all that is ready in it comes once."""
        with self._pass_lock:
            work = next(self._pass, None)
            if work is None:
                self._pass = self._new_pass(nodes)
                work = next(self._pass, None)
            return work

    def _new_pass(self, wanted: list[Node] | None) -> Iterator[Work]:
        nodes = self.get_nodes() if wanted is None else list(wanted)
        with self._condition:
            others = [task for task in self._tasks if task._node and task._node not in nodes]
            mine = [task for task in self._tasks if not task._node or task._node in nodes]
            self._tasks = others
        for task in reversed(mine):  # Jazzy takes the newest first.
            if not task._finished():
                yield task, None, task._node
        ready: list[tuple[Entity, Node]] = []
        next_timer_ns: int | None = None
        ranked = [(entity, node) for node in nodes for entity in node._rclpy_entities_in_order()]
        for entity, node in ranked:
            if not self.can_execute(entity):
                continue
            if entity.ready():
                ready.append((entity, node))
            elif entity.kind == Entity.TIMER and entity._clock._is_running():
                left_ns = entity._remaining_ns()
                if left_ns is not None and (next_timer_ns is None or left_ns < next_timer_ns):
                    next_timer_ns = left_ns
        self._next_timer_ns = next_timer_ns
        ready.sort(key=lambda item: item[0].kind != Entity.WAITABLE)
        for entity, node in ready:
            if node in self._nodes and self.can_execute(entity) and entity.ready():
                entity._scheduled = True
                task = Task(self._run, (entity,), executor=self)
                task._node = node
                yield task, entity, node

    async def _run(self, entity: Entity) -> None:
        group = entity.callback_group
        if (
            self._is_shutdown
            or entity._destroyed
            or not (group is None or group.beginning_execution(entity))
        ):
            entity._scheduled = False
            self.wake()
            return
        try:
            taken = entity.take()
            entity._scheduled = False
            self.wake()
            if taken is not None:
                await entity.execute(taken)
        finally:
            entity._scheduled = False
            if group is not None:
                group.ending_execution(entity)
            self.wake()

    def _execute(self, task: Task[Any]) -> None:
        with self._condition:
            self._working += 1
        try:
            task()
        finally:
            with self._condition:
                self._working -= 1
            self.wake()

    def _conclude(self, task: Task[Any]) -> None:
        """Raise what the task raised, unless that only tells of a shutdown in the middle of it."""
        try:
            task.result()
        except _NO_CONTEXT as error:
            if self._context.ok():
                raise
            raise ExternalShutdownException from error


class SingleThreadedExecutor(Executor):
    """Runs callbacks in the thread that spins."""

    def _spin_once_impl(
        self, timeout_sec: float | None = None, condition: Callable[[], bool] = _never
    ) -> None:
        with contextlib.suppress(ShutdownException, TimeoutException, ConditionReachedException):
            task, _, _ = self.wait_for_ready_callbacks(timeout_sec, None, condition)
            self._execute(task)
            self._conclude(task)


class _Pool:
    """Threads that end with the pool or, after what they are at, with the process.

    Unlike those of concurrent.futures, a KeyboardInterrupt at any moment cannot orphan one.
    """

    def __init__(self, num_threads: int) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.threads = [
            threading.Thread(target=_work, args=(self._jobs,), name=f"rclpy_{number}", daemon=True)
            for number in range(num_threads)
        ]
        _pools.add(self)
        for thread in self.threads:
            thread.start()

    def submit(self, job: Callable[[], None]) -> None:
        self._jobs.put(job)

    def stop(self) -> None:
        for _ in self.threads:
            self._jobs.put(None)

    __del__ = stop


def _work(jobs: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    while (job := jobs.get()) is not None:
        job()
        del job


_pools: weakref.WeakSet[_Pool] = weakref.WeakSet()
_EXIT_TIMEOUT_S = 2.0


@atexit.register
def _end_pools() -> None:
    deadline = time.monotonic() + _EXIT_TIMEOUT_S
    pools = list(_pools)
    for pool in pools:
        pool.stop()
    for thread in [thread for pool in pools for thread in pool.threads if thread.is_alive()]:
        thread.join(max(0.0, deadline - time.monotonic()))


class MultiThreadedExecutor(Executor):
    """Runs callbacks in a pool of threads, as their groups allow."""

    def __init__(self, num_threads: int | None = None, *, context: Context | None = None) -> None:
        super().__init__(context=context)
        if num_threads is None:
            num_threads = max(len(os.sched_getaffinity(0)), 2)
        if num_threads == 1:
            warnings.warn(
                "MultiThreadedExecutor is used with a single thread; "
                "use a SingleThreadedExecutor instead",
                stacklevel=2,
            )
        self._pool = _Pool(num_threads)
        self._running: list[Task[Any]] = []

    def _spin_once_impl(
        self, timeout_sec: float | None = None, condition: Callable[[], bool] = _never
    ) -> None:
        def interrupted() -> bool:
            return condition() or any(task._exception is not None for task in self._running)

        with contextlib.suppress(
            ExternalShutdownException,
            ShutdownException,
            TimeoutException,
            ConditionReachedException,
        ):
            task, _, _ = self.wait_for_ready_callbacks(timeout_sec, None, interrupted)
            if task not in self._running:
                self._running.append(task)
            self._pool.submit(functools.partial(self._execute, task))
        for task in [task for task in self._running if task._finished()]:
            self._running.remove(task)
            with contextlib.suppress(ExternalShutdownException):
                self._conclude(task)

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        finished = super().shutdown(timeout_sec)
        self._pool.stop()
        return finished
