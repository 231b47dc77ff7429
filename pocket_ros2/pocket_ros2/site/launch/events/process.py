# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Events about one process, and matchers that choose it."""

from __future__ import annotations

import fnmatch
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

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

    fd: ClassVar[int]
    text: bytes
    from_stdin = False

    @property
    def from_stdout(self) -> bool:
        return self.fd == 1

    @property
    def from_stderr(self) -> bool:
        return self.fd == 2


class ProcessStdout(ProcessIO):
    fd = 1


class ProcessStderr(ProcessIO):
    fd = 2


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


def matches_pid(pid: int) -> Callable[[ExecuteProcess], bool]:
    return lambda action: (action.process_details or {}).get("pid") == pid


def matches_name(name: str) -> Callable[[ExecuteProcess], bool]:
    return lambda action: fnmatch.fnmatch(action.final_name or "", name)


def matches_executable(executable: str) -> Callable[[ExecuteProcess], bool]:
    return lambda action: os.path.basename((action.final_cmd or [""])[0]) == executable
