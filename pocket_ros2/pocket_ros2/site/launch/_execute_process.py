# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs a program: starts it, watches it, restarts it, and stops it with growing insistence."""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import os
import pty
import re
import shlex
import signal
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import launch.logging
from launch.action import Action, LaunchDescriptionEntity, SomeEntitiesType, as_entities
from launch.event_handlers import _OnEvent
from launch.events import Shutdown
from launch.events.process import (
    ProcessExited,
    ProcessIO,
    ProcessStarted,
    ProcessStderr,
    ProcessStdout,
    ProcessTargetedEvent,
    ShutdownProcess,
)
from launch.launch_context import LaunchContext
from launch.substitution import SomeSubstitutionsType, as_bool, as_pairs, as_text
from launch.substitutions import LaunchConfiguration

_PR_SET_PDEATHSIG = 1
_DRAIN_S = 1.0
_CHUNK = 65536
_counter = itertools.count(1)
_prctl = getattr(ctypes.CDLL(None), "prctl", None)


def _end_with_parent() -> None:
    """Ask the kernel for SIGTERM should the launch be killed, where the kernel can do that."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class _Output:
    """A pipe, or a pseudo terminal, that a process writes to."""

    def __init__(self, tty: bool) -> None:
        self._ours, self.theirs = pty.openpty() if tty else os.pipe()
        self._loop = asyncio.get_running_loop()
        self.ended = self._loop.create_future()

    def read(self, on_data: Callable[[bytes], None]) -> None:
        """Hand on each piece of output from now on."""

        def ready() -> None:
            try:
                data = os.read(self._ours, _CHUNK)
            except OSError:  # A terminal that the process has closed.
                data = b""
            if data:
                on_data(data)
            else:
                self.close()

        self._loop.add_reader(self._ours, ready)

    def close(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
            self._loop.remove_reader(self._ours)
            os.close(self._ours)


@dataclass(kw_only=True, eq=False)
class ExecuteProcess(Action):
    """Runs one program; the folder, the environment and the output are as in ROS 2."""

    cmd: Iterable[SomeSubstitutionsType]
    name: SomeSubstitutionsType | None = None
    prefix: SomeSubstitutionsType | None = None
    cwd: SomeSubstitutionsType | None = None
    env: Any = None
    additional_env: Any = None
    shell: bool = False
    sigterm_timeout: SomeSubstitutionsType | None = None
    sigkill_timeout: SomeSubstitutionsType | None = None
    emulate_tty: bool = False
    output: SomeSubstitutionsType | dict[str, Any] = "log"
    output_format: str = "[{this.process_description.final_name}] {line}"
    log_cmd: bool = False
    on_exit: SomeEntitiesType | Callable[..., Any] | None = None
    respawn: bool | SomeSubstitutionsType = False
    respawn_delay: float | None = None
    respawn_max_retries: int = -1

    def __post_init__(self) -> None:
        self.final_cmd: list[str] = []
        self.final_name: str | None = None
        self.process_details: dict[str, Any] | None = None
        self.__retries_left = self.respawn_max_retries
        self.__process: asyncio.subprocess.Process | None = None
        self.__completed: asyncio.Future | None = None
        self.__sigint_wanted = True
        self.__lines = {1: bytearray(), 2: bytearray()}

    @property
    def process_description(self) -> ExecuteProcess:
        return self

    @property
    def return_code(self) -> int | None:
        return None if self.__process is None else self.__process.returncode

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        return [] if callable(self.on_exit) else as_entities(self.on_exit)

    def get_asyncio_future(self) -> asyncio.Future | None:
        return self.__completed

    def _prepare(self, context: LaunchContext) -> list[str]:
        """Return the command line, every part of it resolved."""
        return [as_text(context, part) for part in self.cmd]

    def _label(self, context: LaunchContext) -> str:
        return as_text(context, self.name or "")

    def execute(self, context: LaunchContext) -> None:
        if self.final_name is not None:
            raise RuntimeError(f"ExecuteProcess action '{self.final_name}': executed twice")
        cmd = self._prepare(context)
        name = self._label(context) or os.path.basename(cmd[0])
        prefix = self.prefix
        if prefix is None and re.match(
            context.launch_configurations.get("launch-prefix-filter", ""), name
        ):
            prefix = context.launch_configurations.get("launch-prefix")
        self.final_cmd = [*shlex.split(as_text(context, prefix or "")), *cmd]
        self.final_name = f"{name}-{next(_counter)}"
        if context.is_shutdown:
            return
        env = context.environment.items() if self.env is None else as_pairs(self.env)
        self.process_details = {
            "action": self,
            "process_name": self.final_name,
            "cmd": self.final_cmd,
            "cwd": as_text(context, self.cwd) if self.cwd else None,
            "env": {
                as_text(context, key): as_text(context, value)
                for key, value in (*env, *as_pairs(self.additional_env))
            },
        }
        self.__logger = launch.logging.get_logger(self.final_name)
        output = os.environ.get("OVERRIDE_LAUNCH_PROCESS_OUTPUT", self.output)
        output = output if isinstance(output, dict) else as_text(context, output)
        self.__out = launch.logging.get_output_loggers(self.final_name, output)
        self.__timeouts_s = [
            float(as_text(context, getattr(self, name) or LaunchConfiguration(name, default=5)))
            for name in ("sigterm_timeout", "sigkill_timeout")
        ]
        self.__respawn = as_bool(context, self.respawn)
        tty = LaunchConfiguration("emulate_tty", default=self.emulate_tty)
        self.__tty = as_bool(context, tty)
        self.__completed = context.asyncio_loop.create_future()
        context.add_completion_future(self.__completed)
        self.__stop = context.asyncio_loop.create_future()
        for handler in (
            _OnEvent(ProcessTargetedEvent, self.__on_targeted),
            _OnEvent(Shutdown, self.__on_shutdown),
            _OnEvent(ProcessIO, self.__on_output, self),
            _OnEvent(ProcessExited, self.__on_exit, self),
        ):
            context.register_event_handler(handler)
        self.__task = context.asyncio_loop.create_task(self.__run(context))

    async def __run(self, context: LaunchContext) -> None:
        """Run the program until it has exited for good."""
        try:
            while await self.__run_once(context):
                self.__retries_left -= 1
                await asyncio.wait({self.__stop}, timeout=self.respawn_delay or 0)
                if self.__stop.done():
                    break
        except Exception:
            self.__logger.error(
                f"exception occurred while executing process:\n{traceback.format_exc()}"
            )
        finally:
            self.__completed.set_result(None)

    async def __start(self, stdout: int, stderr: int) -> asyncio.subprocess.Process:
        """Start the program, and leave the ends to write to with it alone."""
        start, cmd = asyncio.create_subprocess_exec, self.final_cmd
        if self.shell:
            start, cmd = asyncio.create_subprocess_shell, [" ".join(cmd)]
        try:
            return await start(
                *cmd,
                stdout=stdout,
                stderr=stderr,
                cwd=self.process_details["cwd"],
                env=self.process_details["env"],
                preexec_fn=_end_with_parent,
            )
        finally:
            os.close(stdout)
            os.close(stderr)

    async def __run_once(self, context: LaunchContext) -> bool:
        """Run the program once; return whether to run it again."""
        details, command = self.process_details, " ".join(self.final_cmd)
        if self.log_cmd:
            self.__logger.info(f"process details: cmd='{command}', cwd='{details['cwd']}'")
        outputs = {ProcessStdout: _Output(self.__tty), ProcessStderr: _Output(self.__tty)}
        try:
            process = await self.__start(*(output.theirs for output in outputs.values()))
            self.__process = process
            context._processes.add(process)
            details["pid"] = process.pid
            self.__logger.info(f"process started with pid [{process.pid}]")
            context.emit_event_sync(ProcessStarted(**details))
            for kind, output in outputs.items():
                output.read(
                    lambda data, kind=kind: context.emit_event_sync(kind(text=data, **details))
                )
            self.__exited = asyncio.ensure_future(process.wait())
            if self.__stop.done():
                self.__sigint_wanted = True  # The Ctrl-C of the terminal came before the process.
                self.__begin_to_stop()
            code = await self.__exited
            context._processes.discard(process)
            if code == 0:
                self.__logger.info(f"process has finished cleanly [pid {process.pid}]")
            else:
                self.__logger.error(
                    f"process has died [pid {process.pid}, exit code {code}, cmd '{command}']."
                )
            # Not for long: a grandchild may hold the pipes.
            await asyncio.wait([output.ended for output in outputs.values()], timeout=_DRAIN_S)
        finally:
            for output in outputs.values():
                output.close()
        context.emit_event_sync(ProcessExited(returncode=code, **details))
        again = self.__respawn and self.__retries_left != 0
        return again and not context.is_shutdown and not self.__stop.done()

    def __on_output(self, event: ProcessIO, context: LaunchContext) -> None:
        """Log whole lines; the rest waits for more."""
        *lines, tail = bytes(self.__lines[event.fd] + event.text).split(b"\n")
        self.__lines[event.fd][:] = tail
        self.__log_lines(event.fd, lines)

    def __log_lines(self, fd: int, lines: list[bytes]) -> None:
        for raw in lines:
            line = raw.decode(errors="replace").removesuffix("\r")
            self.__out[fd - 1].info(self.output_format.format(line=line, this=self))

    def __on_exit(self, event: ProcessExited, context: LaunchContext) -> Any:
        for fd, rest in self.__lines.items():
            self.__log_lines(fd, [bytes(rest)] if rest else [])
            rest.clear()
        return self.on_exit(event, context) if callable(self.on_exit) else self.on_exit

    def __on_shutdown(self, event: Shutdown, context: LaunchContext) -> None:
        """Stop; a terminal has already sent its Ctrl-C to the process itself."""
        self.__request_stop(not event.due_to_sigint or context.noninteractive)

    def __on_targeted(self, event: ProcessTargetedEvent, context: LaunchContext) -> None:
        if not event.process_matcher(self):
            return
        if isinstance(event, ShutdownProcess):
            self.__request_stop(True)
        elif self.__process is None:
            raise RuntimeError(f"signal {event.signal_name} for a process that has not started")
        else:
            self.__send(event.signal)

    def __request_stop(self, send_sigint: bool) -> None:
        if not self.__stop.done():
            self.__stop.set_result(None)
            self.__sigint_wanted = send_sigint
            if self.__process is not None:
                self.__begin_to_stop()

    def __begin_to_stop(self) -> None:
        if not self.__exited.done():
            if self.__sigint_wanted:
                self.__send(signal.SIGINT)
            self.__escalation = asyncio.ensure_future(self.__escalate())

    async def __escalate(self) -> None:
        waited_s = 0.0
        steps = ((signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGKILL))
        for timeout_s, (before, after) in zip(self.__timeouts_s, steps, strict=True):
            await asyncio.wait({self.__exited}, timeout=timeout_s)
            if self.__exited.done():
                return
            waited_s += timeout_s
            self.__logger.error(
                f"process[{self.final_name}] failed to terminate '{waited_s:g}' seconds after "
                f"receiving '{before.name}', escalating to '{after.name}'"
            )
            self.__send(after)

    def __send(self, number: signal.Signals) -> None:
        if not self.__exited.done():
            self.__logger.info(f"sending signal '{number.name}' to process[{self.final_name}]")
            try:
                self.__process.send_signal(number)
            except ProcessLookupError:
                self.__logger.debug(f"process[{self.final_name}] had exited already")
