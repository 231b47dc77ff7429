# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Futures, and the tasks that executors run; nothing here is asyncio."""

from __future__ import annotations

import inspect
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from rclpy.executors import Executor

T = TypeVar("T")


class Future(Generic[T]):
    """A result to come; its callbacks run in its executor, where it has one."""

    _exception: BaseException | None = None
    _exception_fetched = False

    def __init__(self, *, executor: Executor | None = None) -> None:
        self._done = False
        self._cancelled = False
        self._result: T | None = None
        self._callbacks: list[Callable[[Future[T]], Any]] = []
        self._direct: list[Callable[[], Any]] = []
        self._lock = threading.Lock()
        self._set_executor(executor)

    def __del__(self) -> None:
        if self._exception is not None and not self._exception_fetched:
            print(
                f"The following exception was never retrieved: {self._exception}", file=sys.stderr
            )

    def __await__(self) -> Generator[Future[T], None, T | None]:
        while not self._finished():
            yield self
        return self.result()

    def _finished(self) -> bool:
        return self._done or self._cancelled

    def cancel(self) -> None:
        """Stop waiting for a result; done() stays False."""
        with self._lock:
            if self._finished():
                return
            self._cancelled = True
        self._call_back()

    def cancelled(self) -> bool:
        return self._cancelled

    def done(self) -> bool:
        return self._done

    def result(self) -> T | None:
        """Return the result, None before it is there; raises the exception if that was set."""
        if self._exception is not None:
            self._exception_fetched = True
            raise self._exception
        return self._result

    def exception(self) -> BaseException | None:
        self._exception_fetched = True
        return self._exception

    def set_result(self, result: T | None) -> None:
        with self._lock:
            self._result = result
            self._done = True
        self._call_back()

    def set_exception(self, exception: BaseException) -> None:
        with self._lock:
            self._exception = exception
            self._exception_fetched = False
            self._done = True
        self._call_back()

    def add_done_callback(self, callback: Callable[[Future[T]], Any]) -> None:
        """Call back with this future, in the executor or else where it completes."""
        with self._lock:
            if not self._finished():
                self._callbacks.append(callback)
                return
        self._schedule(callback)

    def remove_done_callback(self, callback: Callable[[Future[T]], Any]) -> bool:
        """Forget a callback; False when it was not there."""
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)
                return True
            return False

    def _on_done(self, callback: Callable[[], Any]) -> None:
        """Call back at once where the future completes, now if it has."""
        with self._lock:
            if not self._finished():
                if callback not in self._direct:
                    self._direct.append(callback)
                return
        callback()

    def _wait(self, timeout_sec: float | None = None) -> bool:
        """Block until another thread completes this; False after the timeout."""
        completed = threading.Event()
        self._on_done(completed.set)
        return completed.wait(timeout_sec)

    def _set_executor(self, executor: Executor | None) -> None:
        self._executor = None if executor is None else weakref.ref(executor)

    def _call_back(self) -> None:
        with self._lock:
            direct, self._direct = self._direct, []
            callbacks, self._callbacks = self._callbacks, []
        for resume in direct:
            resume()
        for callback in callbacks:
            self._schedule(callback)

    def _schedule(self, callback: Callable[[Future[T]], Any]) -> None:
        executor = None if self._executor is None else self._executor()
        if executor is not None:
            executor.create_task(callback, self)
            return
        try:
            callback(self)
        except Exception as error:
            warnings.warn(f"Unhandled exception in done callback: {error}", stacklevel=2)


class Task(Future[T]):
    """Runs a function, or a coroutine up to its next wait, each time it is called."""

    def __init__(
        self,
        handler: Callable[..., Any] | Coroutine[Any, Any, T],
        args: Any = None,
        kwargs: Any = None,
        executor: Executor | None = None,
    ) -> None:
        super().__init__(executor=executor)
        self._args = args or ()
        self._kwargs = kwargs or {}
        if inspect.iscoroutinefunction(handler):
            handler = handler(*self._args, **self._kwargs)
        self._handler: Any = handler
        self._node: Any = None
        self._running = threading.Lock()

    def executing(self) -> bool:
        return self._running.locked()

    def __call__(self) -> None:
        """Run, or continue; does nothing where that happens already, or is over."""
        waits_for: Any = None
        if not self._running.acquire(blocking=False):
            return
        try:
            if self._finished():
                return
            if inspect.iscoroutine(self._handler):
                waits_for = self._handler.send(None)
            else:
                self._complete(self._handler(*self._args, **self._kwargs))
        except StopIteration as stop:
            self._complete(stop.value)
        except (Exception, SystemExit) as error:
            self._handler = None
            self.set_exception(error)
        finally:
            self._running.release()
        if self._finished():
            return
        executor = None if self._executor is None else self._executor()
        if executor is None:
            return
        if isinstance(waits_for, Future):
            executor._suspend(self, waits_for)
        else:
            executor._enqueue(self)

    def _complete(self, result: T | None) -> None:
        self._handler = None
        self.set_result(result)

    def cancel(self) -> None:
        """Never continue; what runs at this moment goes on to its next wait."""
        super().cancel()
        if inspect.iscoroutine(self._handler) and self._running.acquire(blocking=False):
            try:
                self._handler.close()
            finally:
                self._running.release()
