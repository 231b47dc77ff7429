# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Events about one process, and matchers that choose it."""

from __future__ import annotations

import fnmatch
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from launch.events import Event

if TYPE_CHECKING:
    from launch.actions import ExecuteProcess


@dataclass(kw_only=True, eq=False)
class RunningProcessEvent(Event):
    action: ExecuteProcess
    process_name: str
    cmd: list[str]
    cwd: str | None
    env: dict[str, str]
    pid: int


class ProcessStarted(RunningProcessEvent):
    pass


@dataclass(kw_only=True, eq=False)
class ProcessExited(RunningProcessEvent):
    returncode: int


@dataclass(kw_only=True, eq=False)
class ProcessIO(RunningProcessEvent):
    """A piece of output as it arrived: not a line, and bytes."""

    text: bytes
    fd = 0
    from_stdin = from_stdout = from_stderr = False


class ProcessStdout(ProcessIO):
    fd = 1
    from_stdout = True


class ProcessStderr(ProcessIO):
    fd = 2
    from_stderr = True


@dataclass(kw_only=True, eq=False)
class ProcessTargetedEvent(Event):
    process_matcher: Callable[[ExecuteProcess], bool]


class ShutdownProcess(ProcessTargetedEvent):
    pass


class SignalProcess(ProcessTargetedEvent):
    def __init__(
        self,
        *,
        signal_number: str | signal.Signals | int,
        process_matcher: Callable[[ExecuteProcess], bool],
    ) -> None:
        super().__init__(process_matcher=process_matcher)
        by_name = isinstance(signal_number, str)
        self.signal = signal.Signals[signal_number] if by_name else signal.Signals(signal_number)
        self.signal_name = self.signal.name


def matches_name(name: str) -> Callable[[ExecuteProcess], bool]:
    return lambda action: fnmatch.fnmatch(action.final_name or "", name)
