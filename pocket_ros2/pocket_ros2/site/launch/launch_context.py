# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What entities share while a launch runs."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import os
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from launch.event_handlers import EventHandler
    from launch.events import Event
    from launch.substitution import Substitution


class LaunchContext:
    def __init__(self, *, argv: Iterable[str] | None = None, noninteractive: bool = False) -> None:
        self.argv = list(argv or [])
        self.noninteractive = noninteractive
        self.launch_configurations: dict[str, Any] = {}
        self.environment = os.environ
        self.asyncio_loop: asyncio.AbstractEventLoop | None = None
        self.is_shutdown = False
        self._event_queue: asyncio.Queue[Event] = asyncio.Queue()
        self._event_handlers: list[EventHandler] = []
        self._completion_futures: list[asyncio.Future] = []
        self._processes: set[asyncio.subprocess.Process] = set()
        self._globals: dict[str, Any] = {}
        self._locals: dict[str, Any] = {}
        self._saved: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
        self._environment_at_start = dict(os.environ)

    @property
    def locals(self) -> SimpleNamespace:
        return SimpleNamespace(**self.get_locals_as_dict())

    def get_locals_as_dict(self) -> dict[str, Any]:
        return {**self._globals, **self._locals}

    def extend_globals(self, extensions: dict[str, Any]) -> None:
        self._globals.update(extensions)

    def extend_locals(self, extensions: dict[str, Any]) -> None:
        self._locals.update(extensions)

    def _push(self, what: str) -> None:
        """Remember the mapping of that name as it is now."""
        self._saved[what].append(dict(getattr(self, what)))

    def _pop(self, what: str) -> None:
        if not self._saved[what]:
            raise RuntimeError(f"cannot pop the {what}: nothing was pushed")
        self._restore(what, self._saved[what].pop())

    def _restore(self, what: str, values: Mapping[str, Any]) -> None:
        mapping = getattr(self, what)
        for name in set(mapping) - set(values):
            del mapping[name]
        mapping.update(values)

    def perform_substitution(self, sub: Substitution) -> str:
        return sub.perform(self)

    def add_completion_future(self, completion_future: asyncio.Future) -> None:
        """Keep the launch alive until that future is done."""
        self._completion_futures.append(completion_future)

    def register_event_handler(self, event_handler: EventHandler, append: bool = False) -> None:
        """Add a handler; the latest one is asked first unless append is set."""
        self._event_handlers.insert(len(self._event_handlers) if append else 0, event_handler)

    def unregister_event_handler(self, event_handler: EventHandler) -> None:
        with contextlib.suppress(ValueError):
            self._event_handlers.remove(event_handler)

    def would_handle_event(self, event: Event) -> bool:
        return any(handler.matches(event) for handler in self._event_handlers)

    def emit_event_sync(self, event: Event) -> None:
        """Queue an event; from other threads use LaunchService.emit_event()."""
        self._event_queue.put_nowait(event)

    async def emit_event(self, event: Event) -> None:
        self.emit_event_sync(event)
