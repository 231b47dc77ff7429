# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Handlers of the events that launch files care about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from launch.action import LaunchDescriptionEntity, SomeEntitiesType, as_entities
from launch.events import Event, ExecutionComplete, Shutdown
from launch.events.process import ProcessExited, ProcessIO, ProcessStarted
from launch.launch_context import LaunchContext

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


class _OnEvent(EventHandler):
    """Handles events of a kind: of one action, of actions that satisfy a function, or all."""

    def __init__(
        self, kind: type[Event], entities: _Handling, target_action: Any = None, **kwargs: Any
    ) -> None:
        def matches(event: Any) -> bool:
            if target_action is None or not isinstance(event, kind):
                return isinstance(event, kind)
            if isinstance(target_action, LaunchDescriptionEntity):
                return event.action is target_action
            return target_action(event.action)

        entity = isinstance(target_action, LaunchDescriptionEntity)
        if not (target_action is None or entity or callable(target_action)):
            raise TypeError(f"target_action must be an action or a function: {target_action!r}")
        super().__init__(matcher=matches, entities=entities, **kwargs)


class OnProcessStart(_OnEvent):
    def __init__(self, *, on_start: _Handling, **kwargs: Any) -> None:
        super().__init__(ProcessStarted, on_start, **kwargs)


class OnProcessExit(_OnEvent):
    def __init__(self, *, on_exit: _Handling = None, **kwargs: Any) -> None:
        super().__init__(ProcessExited, on_exit, **kwargs)


class OnExecutionComplete(_OnEvent):
    def __init__(self, *, on_completion: _Handling, **kwargs: Any) -> None:
        super().__init__(ExecutionComplete, on_completion, **kwargs)


class OnProcessIO(_OnEvent):
    """Calls functions with each piece of output, as a ProcessIO event."""

    def __init__(
        self,
        *,
        on_stdin: Callable[[ProcessIO], Any] | None = None,
        on_stdout: Callable[[ProcessIO], Any] | None = None,
        on_stderr: Callable[[ProcessIO], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        def handle(event: ProcessIO, context: Any) -> Any:
            function = on_stdout if event.from_stdout else on_stderr
            return function(event) if function is not None else None

        super().__init__(ProcessIO, handle, **kwargs)


class OnShutdown(_OnEvent):
    def __init__(self, *, on_shutdown: _Handling, **kwargs: Any) -> None:
        super().__init__(Shutdown, on_shutdown, **kwargs)
