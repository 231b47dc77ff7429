# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs a program: starts it, watches it, restarts it, and stops it with growing insistence."""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import os
import re
import shlex
import signal
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import launch.logging
from launch._normalize import as_bool, as_entities, as_pairs, as_text
from launch._pipes import ProcessProtocol, pseudo_terminal
from launch.action import Action
from launch.event_handlers import EventHandler
from launch.events import Event, Shutdown
from launch.events.process import (
    ProcessExited,
    ProcessIO,
    ProcessStarted,
    ProcessStderr,
    ProcessStdout,
    ShutdownProcess,
    SignalProcess,
)
from launch.launch_context import LaunchContext
from launch.launch_description_entity import LaunchDescriptionEntity, SomeEntitiesType
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitutions import LaunchConfiguration

_PR_SET_PDEATHSIG = 1
_counter = itertools.count(1)
_prctl = getattr(ctypes.CDLL(None), "prctl", None)


def _end_with_parent() -> None:
    """Ask the kernel for SIGTERM should the launch be killed, where the kernel can do that."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


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
        self.__transport: asyncio.SubprocessTransport | None = None
        self.__completed: asyncio.Future | None = None
        self.__sigint_wanted = True
        self.__lines = {1: bytearray(), 2: bytearray()}

    @property
    def process_description(self) -> ExecuteProcess:
        return self

    @property
    def return_code(self) -> int | None:
        return None if self.__transport is None else self.__transport.get_returncode()

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
        cmd = [*shlex.split(as_text(context, prefix or "")), *cmd]
        self.final_cmd, self.final_name = cmd, f"{name}-{next(_counter)}"
        if context.is_shutdown:
            return
        env = context.environment.items() if self.env is None else as_pairs(self.env)
        self.process_details = {
            "action": self,
            "name": self.final_name,
            "cmd": cmd,
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
            float(as_text(context, given or LaunchConfiguration(name, default=5)))
            for name, given in (
                ("sigterm_timeout", self.sigterm_timeout),
                ("sigkill_timeout", self.sigkill_timeout),
            )
        ]
        self.__respawn = as_bool(context, self.respawn)
        tty = context.launch_configurations.get("emulate_tty", self.emulate_tty)
        self.__tty = as_bool(context, tty)
        self.__completed = context.asyncio_loop.create_future()
        context.add_completion_future(self.__completed)
        self.__stop = context.asyncio_loop.create_future()
        for matcher, handle in (
            (self.__is_for_us(ShutdownProcess), self.__on_shutdown_process),
            (self.__is_for_us(SignalProcess), self.__on_signal_process),
            (lambda e: isinstance(e, Shutdown), self.__on_shutdown),
            (lambda e: isinstance(e, ProcessIO) and e.action is self, self.__on_output),
            (lambda e: isinstance(e, ProcessExited) and e.action is self, self.__on_exit),
        ):
            context.register_event_handler(EventHandler(matcher=matcher, entities=handle))
        self.__task = context.asyncio_loop.create_task(self.__run(context))

    def __is_for_us(self, kind: type) -> Callable[[Event], bool]:
        return lambda event: isinstance(event, kind) and event.process_matcher(self)

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

    async def __run_once(self, context: LaunchContext) -> bool:
        """Run the program once; return whether to run it again."""
        loop = context.asyncio_loop
        details = self.process_details

        def shown() -> dict[str, Any]:
            return {("process_name" if k == "name" else k): v for k, v in details.items()}

        cmd = details["cmd"]
        if self.log_cmd:
            self.__logger.info(f"process details: cmd='{' '.join(cmd)}', cwd='{details['cwd']}'")

        def on_start(pid: int) -> None:
            details["pid"] = pid
            self.__logger.info(f"process started with pid [{pid}]")
            context.emit_event_sync(ProcessStarted(**shown()))

        def on_output(fd: int, data: bytes) -> None:
            kind = ProcessStdout if fd == 1 else ProcessStderr
            context.emit_event_sync(kind(text=data, **shown()))

        self.__exited = loop.create_future()
        protocol = ProcessProtocol(self.__exited, on_start, on_output)
        start, args = loop.subprocess_exec, cmd
        if self.shell:
            start, args = loop.subprocess_shell, [" ".join(cmd)]
        with pseudo_terminal(loop, protocol, self.__tty) as outputs:
            self.__transport, _ = await start(
                lambda: protocol,
                *args,
                **outputs,
                stdin=None,
                cwd=details["cwd"],
                env=details["env"],
                preexec_fn=_end_with_parent,
            )
        context._processes.add(self.__transport)
        pid = details["pid"]
        if self.__stop.done():
            self.__sigint_wanted = True  # The Ctrl-C of the terminal came before the process.
            self.__begin_to_stop()
        code = await self.__exited
        context._processes.discard(self.__transport)
        if code == 0:
            self.__logger.info(f"process has finished cleanly [pid {pid}]")
        else:
            command = " ".join(cmd)
            self.__logger.error(
                f"process has died [pid {pid}, exit code {code}, cmd '{command}']."
            )
        await protocol.drained()
        self.__transport.close()
        context.emit_event_sync(ProcessExited(returncode=code, **shown()))
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

    def __on_shutdown_process(self, event: ShutdownProcess, context: LaunchContext) -> None:
        self.__request_stop(True)

    def __request_stop(self, send_sigint: bool) -> None:
        if not self.__stop.done():
            self.__stop.set_result(None)
            self.__sigint_wanted = send_sigint
            if self.__transport is not None:
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

    def __on_signal_process(self, event: SignalProcess, context: LaunchContext) -> None:
        if self.__transport is None:
            raise RuntimeError(f"signal {event.signal_name} for a process that has not started")
        self.__send(event.signal)

    def __send(self, number: signal.Signals) -> None:
        if not self.__exited.done():
            self.__logger.info(f"sending signal '{number.name}' to process[{self.final_name}]")
            try:
                self.__transport.send_signal(number)
            except ProcessLookupError:
                self.__logger.debug(f"process[{self.final_name}] had exited already")
