# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Handlers of the events that launch files care about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from launch._normalize import as_entities
from launch.events import Event, ExecutionComplete, Shutdown
from launch.events.process import ProcessExited, ProcessIO, ProcessStarted
from launch.launch_context import LaunchContext
from launch.launch_description_entity import LaunchDescriptionEntity, SomeEntitiesType

__all__ = [
    *("EventHandler", "OnExecutionComplete", "OnProcessExit", "OnProcessIO"),
    *("OnProcessStart", "OnShutdown"),
]
_Handling = SomeEntitiesType | Callable[..., Any] | None


class EventHandler:
    """Tells which entities to visit when an event matches.

    Args:
        matcher: Tells whether an event is meant.
        entities: Entities, or a function (event, context) that returns them.
        handle_once: Whether the handler leaves after its first event.
    """

    def __init__(
        self,
        *,
        matcher: Callable[[Event], bool],
        entities: _Handling = None,
        handle_once: bool = False,
    ) -> None:
        self.matches = matcher
        self.handle_once = handle_once
        self.__entities = entities if callable(entities) else as_entities(entities)

    @property
    def entities(self) -> list[LaunchDescriptionEntity]:
        return [] if callable(self.__entities) else self.__entities

    def handle(self, event: Event, context: LaunchContext) -> SomeEntitiesType | None:
        context.extend_locals({"event": event})
        if self.handle_once:
            context.unregister_event_handler(self)
        if callable(self.__entities):
            return self.__entities(event, context)
        return self.__entities


def _matcher(kind: type[Event], target: Any) -> Callable[[Event], bool]:
    """Match events of a kind whose action is the target, or satisfies it, or any for None."""
    if target is None:
        return lambda event: isinstance(event, kind)
    if isinstance(target, LaunchDescriptionEntity):
        return lambda event: isinstance(event, kind) and event.action is target
    if callable(target):
        return lambda event: isinstance(event, kind) and target(event.action)
    raise TypeError(f"target_action must be an action or a function, not {target!r}")


class OnProcessStart(EventHandler):
    def __init__(self, *, target_action: Any = None, on_start: _Handling, **kwargs: Any) -> None:
        matcher = _matcher(ProcessStarted, target_action)
        super().__init__(matcher=matcher, entities=on_start, **kwargs)


class OnProcessExit(EventHandler):
    def __init__(
        self, *, target_action: Any = None, on_exit: _Handling = None, **kwargs: Any
    ) -> None:
        matcher = _matcher(ProcessExited, target_action)
        super().__init__(matcher=matcher, entities=on_exit, **kwargs)


class OnProcessIO(EventHandler):
    """Calls functions with each piece of output, as a ProcessIO event."""

    def __init__(
        self,
        *,
        target_action: Any = None,
        on_stdin: Callable[[ProcessIO], Any] | None = None,
        on_stdout: Callable[[ProcessIO], Any] | None = None,
        on_stderr: Callable[[ProcessIO], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        def handle(event: ProcessIO, context: Any) -> Any:
            function = on_stdout if event.from_stdout else on_stderr
            return function(event) if function is not None else None

        super().__init__(matcher=_matcher(ProcessIO, target_action), entities=handle, **kwargs)


class OnShutdown(EventHandler):
    def __init__(self, *, on_shutdown: _Handling, **kwargs: Any) -> None:
        super().__init__(matcher=_matcher(Shutdown, None), entities=on_shutdown, **kwargs)


class OnExecutionComplete(EventHandler):
    def __init__(
        self, *, target_action: Any = None, on_completion: _Handling, **kwargs: Any
    ) -> None:
        matcher = _matcher(ExecutionComplete, target_action)
        super().__init__(matcher=matcher, entities=on_completion, **kwargs)
