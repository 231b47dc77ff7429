# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs launch descriptions on an asyncio loop until nothing is left to do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
import traceback
from collections.abc import Iterable, Iterator
from typing import Any

import launch.logging
from launch.action import LaunchDescriptionEntity, as_entities
from launch.event_handlers import EventHandler, _OnEvent
from launch.events import Event, IncludeLaunchDescription, Shutdown, TimerEvent
from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription


class LaunchService:
    """Visits entities and handles their events, one after the other.

    Unless it is noninteractive, a terminal is to hand Ctrl-C to the child processes.
    """

    def __init__(
        self,
        *,
        argv: Iterable[str] | None = None,
        noninteractive: bool = False,
        debug: bool = False,
    ) -> None:
        if debug:
            launch.logging.launch_config.level = logging.DEBUG
        self.__logger = launch.logging.get_logger("launch")
        self.context = LaunchContext(argv=argv, noninteractive=noninteractive)
        for kind, handle in (
            (IncludeLaunchDescription, lambda event, _: [event.launch_description]),
            (TimerEvent, lambda event, context: event.timer_action.handle(context)),
            (Shutdown, self.__on_shutdown),
        ):
            self.context.register_event_handler(_OnEvent(kind, handle))
        self.__futures: list[asyncio.Future] = []
        self.__lock = threading.RLock()
        self.event_loop: asyncio.AbstractEventLoop | None = None
        self.__shutting_down = self.__shutdown_handled = False
        self.__return_code = 0

    def emit_event(self, event: Event) -> Any:
        """Queue an event from any thread, even before the service runs."""
        with self.__lock:
            if self.event_loop is not None:
                self.event_loop.call_soon_threadsafe(self.context.emit_event_sync, event)
            else:
                self.context.emit_event_sync(event)
        return self.__awaitable()

    def include_launch_description(self, launch_description: LaunchDescription) -> None:
        self.emit_event(IncludeLaunchDescription(launch_description))

    def shutdown(self, force_sync: bool = False) -> Any:
        """Stop what runs and let run() return; does nothing when the service does not run."""
        with self.__lock:
            if self.event_loop is not None:
                self.__shutdown("LaunchService.shutdown() called")
        return None if force_sync else self.__awaitable()

    def run(self, *, shutdown_when_idle: bool = True) -> int:
        """Run until everything has ended.

        Returns:
            0, or 1 when a launch file, an action or a handler raised, or on SIGTERM.
        """
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(self.run_async(shutdown_when_idle=shutdown_when_idle))
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    async def run_async(self, *, shutdown_when_idle: bool = True) -> int:
        with self.__lock:
            if self.event_loop is not None:
                raise RuntimeError("this LaunchService is already running")
            self.event_loop = self.context.asyncio_loop = asyncio.get_running_loop()
            self.__shutting_down = self.__shutdown_handled = False
            self.context.is_shutdown = False
            self.__return_code = 0
        with self.__signals():
            try:
                await self.__run(shutdown_when_idle)
            finally:
                with self.__lock:
                    self.event_loop = None
                for process in tuple(self.context._processes):
                    process.kill()
        return self.__return_code

    async def __run(self, shutdown_when_idle: bool) -> None:
        context = self.context
        getter: asyncio.Task | None = None
        try:
            while True:
                if getter is None:
                    getter = asyncio.ensure_future(context._event_queue.get())
                everything = (*self.__futures, *context._completion_futures)
                pending = {future for future in everything if not future.done()}
                self.__futures, context._completion_futures = list(pending), []
                if not pending and not getter.done() and context._event_queue.empty():
                    if self.__shutdown_handled:
                        return
                    if shutdown_when_idle and not self.__shutting_down:
                        self.__shutdown("idle")
                await asyncio.wait({getter, *pending}, return_when=asyncio.FIRST_COMPLETED)
                if getter.done():
                    event, getter = getter.result(), None
                    self.__process(event)
        finally:
            if getter is not None:
                getter.cancel()

    def __process(self, event: Event) -> None:
        """Let every handler see the event, also when another one raises."""
        self.__logger.debug(f"processing event: {event}")
        for handler in tuple(self.context._event_handlers):
            try:
                if handler.matches(event):
                    self.__handle(handler, event)
            except Exception as error:
                self.__logger.debug(traceback.format_exc())
                text = f"Caught exception in launch (see debug for traceback): {error}"
                self.__logger.error(text)
                self.__return_code = 1
                self.__shutdown(text)

    def __handle(self, handler: EventHandler, event: Event) -> None:
        self.context._push("_locals")
        try:
            for entity in as_entities(handler.handle(event, self.context)):
                self.__visit(entity)
        finally:
            self.context._pop("_locals")

    def __visit(self, entity: LaunchDescriptionEntity) -> None:
        children = entity.visit(self.context)
        future = entity.get_asyncio_future()
        if future is not None:
            self.__futures.append(future)
        for child in as_entities(children):
            self.__visit(child)

    def __on_shutdown(self, event: Shutdown, context: LaunchContext) -> None:
        self.__shutting_down = self.__shutdown_handled = context.is_shutdown = True

    def __shutdown(self, reason: str, due_to_sigint: bool = False) -> None:
        if not self.__shutting_down:
            self.emit_event(Shutdown(reason=reason, due_to_sigint=due_to_sigint))
            self.__shutting_down = self.context.is_shutdown = True

    def __awaitable(self) -> Any:
        try:
            future = asyncio.get_running_loop().create_future()
        except RuntimeError:
            return None
        future.set_result(None)
        return future

    @contextlib.contextmanager
    def __signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
        previous = {number: signal.getsignal(number) for number in numbers}
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self.__on_sigint)
        loop.add_signal_handler(signal.SIGTERM, self.__on_sigterm, "SIGTERM")
        loop.add_signal_handler(signal.SIGQUIT, self.__on_sigterm, "SIGQUIT")
        try:
            yield
        finally:
            for number, handler in previous.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)

    def __on_sigint(self) -> None:
        text = "user interrupted with ctrl-c (SIGINT)"
        if self.__shutting_down:
            self.__logger.warning(f"{text} again, ignoring...")
        else:
            self.__logger.warning(text)
            self.__shutdown("ctrl-c (SIGINT)", due_to_sigint=True)

    def __on_sigterm(self, name: str) -> None:
        """Stop the children in an orderly way; they must not outlive this process."""
        self.__logger.error(f"received {name}, shutting down")
        self.__return_code = 1
        self.__shutdown(name)
