# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the processes of a launch have written, and how they have ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from launch.events.process import ProcessExited, RunningProcessEvent

from launch_testing.asserts import assertInStderr, assertInStdout
from launch_testing.util import NoMatchingProcessException, resolveProcesses


class _Recorder:
    """Events by process; a test may wait for more of them."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._events: list[Any] = []

    def append(self, event: Any) -> None:
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Any]:
        with self._changed:
            return iter(list(self._events))

    def processes(self) -> list[Any]:
        return list(dict.fromkeys(event.action for event in self))

    def process_names(self) -> list[str]:
        return [action.final_name for action in self.processes()]

    def _of(self, key: Any) -> list[Any]:
        found = [
            event
            for event in self
            if (key in event.process_name if isinstance(key, str) else key is event.action)
        ]
        if not found:
            raise KeyError(key)
        return found

    def _wait(self, check: Callable[[], None], timeout: float) -> bool:
        """Return whether the check came to pass in time."""

        def passes() -> bool:
            try:
                check()
            except (AssertionError, NoMatchingProcessException):
                return False
            return True

        with self._changed:
            return self._changed.wait_for(passes, timeout)


class ActiveIoHandler(_Recorder):
    """Output of processes, also while it grows."""

    def __getitem__(self, key: Any) -> list[Any]:
        return self._of(key)

    def waitFor(
        self,
        expected_output: Any,
        process: Any = None,
        cmd_args: Any = None,
        *,
        timeout: float = 10,
        stream: str = "stderr",
        **kwargs: Any,
    ) -> bool:
        """Wait until a process wrote that; look at stream="stdout" when it is not a log."""
        check = {"stdout": assertInStdout, "stderr": assertInStderr}[stream]

        return self._wait(
            lambda: check(self, expected_output, process, cmd_args, **kwargs), timeout
        )

    def assertWaitFor(self, *args: Any, **kwargs: Any) -> None:
        assert self.waitFor(*args, **kwargs), (
            f"Waiting for output timed out: {args or kwargs}; "
            f"processes with output: {', '.join(self.process_names()) or 'none'}"
        )


class ActiveProcInfoHandler(_Recorder):
    """Starts and ends of processes."""

    def __getitem__(self, key: Any) -> Any:
        return self._of(key)[-1]

    def assertWaitForStartup(
        self, process: Any, cmd_args: Any = None, *, timeout: float = 10
    ) -> None:
        self._assert_wait(RunningProcessEvent, "start", process, cmd_args, timeout)

    def assertWaitForShutdown(
        self, process: Any, cmd_args: Any = None, *, timeout: float = 10
    ) -> None:
        self._assert_wait(ProcessExited, "finish", process, cmd_args, timeout)

    def _assert_wait(self, kind: type, what: str, process: Any, args: Any, timeout: float) -> None:
        def check() -> None:
            found = resolveProcesses(self, process=process, cmd_args=args)
            assert isinstance(self[found[0]], kind)

        assert self._wait(check, timeout), f"Timed out waiting for process '{process}' to {what}"
