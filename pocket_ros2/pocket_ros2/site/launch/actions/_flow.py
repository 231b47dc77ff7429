# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Actions that hold, start or react to other actions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import launch.logging
from launch._normalize import as_entities, as_pairs, as_text
from launch.action import Action
from launch.actions._configuration import (
    PopEnvironment,
    PopLaunchConfigurations,
    PushEnvironment,
    PushLaunchConfigurations,
    ResetLaunchConfigurations,
    SetLaunchConfiguration,
)
from launch.event_handlers import EventHandler, OnShutdown
from launch.events import Event, TimerEvent
from launch.events import Shutdown as ShutdownEvent
from launch.events.process import ProcessExited
from launch.launch_context import LaunchContext
from launch.launch_description_entity import LaunchDescriptionEntity, _Conditional
from launch.launch_description_sources import AnyLaunchDescriptionSource, LaunchDescriptionSource
from launch.some_substitutions_type import SomeSubstitutionsType


@dataclass(eq=False)
class LogInfo(Action):
    msg: SomeSubstitutionsType = field(kw_only=True)

    def execute(self, context: LaunchContext) -> None:
        launch.logging.get_logger("launch.user").info(as_text(context, self.msg))


@dataclass(eq=False)
class OpaqueFunction(Action):
    """Calls function(context, *args, **kwargs); visits the entities it returns."""

    function: Callable[..., Any] = field(kw_only=True)
    args: Iterable[Any] = field(default=(), kw_only=True)
    kwargs: Mapping[str, Any] | None = field(default=None, kw_only=True)

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        return self.function(context, *(self.args or ()), **(self.kwargs or {}))


class GroupAction(Action):
    """Actions whose configurations and environment stay inside.

    Args:
        actions: What to do.
        scoped: Whether changes end with the group.
        forwarding: Whether the group starts from the outer configurations.
        launch_configurations: Configurations to set first.
    """

    def __init__(
        self,
        actions: Iterable[Action],
        *,
        scoped: bool = True,
        forwarding: bool = True,
        launch_configurations: Mapping[Any, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        start: list[Action] = [ResetLaunchConfigurations(dict(launch_configurations or {}))]
        if forwarding:
            start = [SetLaunchConfiguration(*pair) for pair in as_pairs(launch_configurations)]
        self.__actions = [*start, *actions]
        if scoped:
            before = [PushLaunchConfigurations(), PushEnvironment()]
            after = [PopEnvironment(), PopLaunchConfigurations()]
            self.__actions = [*before, *self.__actions, *after]

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        return self.__actions

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        return self.__actions


class IncludeLaunchDescription(Action):
    """Visits another launch description; its configurations stay set unless in a GroupAction."""

    def __init__(
        self,
        launch_description_source: LaunchDescriptionSource | SomeSubstitutionsType,
        *,
        launch_arguments: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(launch_description_source, LaunchDescriptionSource):
            launch_description_source = AnyLaunchDescriptionSource(launch_description_source)
        self.launch_description_source = launch_description_source
        self.launch_arguments = as_pairs(launch_arguments)

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        source = self.launch_description_source
        return as_entities(source.try_get_launch_description_without_context())

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        source = self.launch_description_source
        description = source.get_launch_description(context)
        names = ("current_launch_file_path", "current_launch_file_directory")
        outside = {name: context.get_locals_as_dict().get(name) for name in names}
        if source.location:
            path = Path(source.location).absolute()
            context.extend_locals(dict(zip(names, (str(path), str(path.parent)), strict=True)))
        given = {as_text(context, name): value for name, value in self.launch_arguments}
        pairs = description.get_launch_arguments_with_include_launch_description_actions()
        for argument, includes in pairs:
            known = argument.name in given or argument.name in context.launch_configurations
            optional = argument.default_value is not None or argument._conditionally_included
            # What a nested include misses is found when that is visited.
            if not (known or optional or includes):
                raise RuntimeError(
                    "Included launch description missing required argument "
                    f"'{argument.name}' (description: '{argument.description}'), "
                    f"given: [{', '.join(given)}]"
                )
        return [
            *(SetLaunchConfiguration(name, value) for name, value in given.items()),
            description,
            OpaqueFunction(function=lambda context: context.extend_locals(outside)),
        ]


@dataclass(eq=False)
class RegisterEventHandler(Action):
    event_handler: EventHandler

    def execute(self, context: LaunchContext) -> None:
        context.register_event_handler(self.event_handler)

    def describe_conditional_sub_entities(self) -> _Conditional:
        return [(type(self.event_handler).__name__, self.event_handler.entities)]


class UnregisterEventHandler(RegisterEventHandler):
    def execute(self, context: LaunchContext) -> None:
        context.unregister_event_handler(self.event_handler)


@dataclass(eq=False)
class EmitEvent(Action):
    event: Event = field(kw_only=True)

    def execute(self, context: LaunchContext) -> None:
        context.emit_event_sync(self.event)


class Shutdown(EmitEvent):
    def __init__(self, *, reason: str = "reason not given", **kwargs: Any) -> None:
        super().__init__(event=ShutdownEvent(reason=reason), **kwargs)

    def execute(self, context: LaunchContext) -> None:
        event = context.get_locals_as_dict().get("event")
        if isinstance(event, ProcessExited):
            launch.logging.get_logger("launch").info(
                f"process[{event.process_name}] was required: shutting down launched system"
            )
        super().execute(context)


@dataclass(eq=False)
class TimerAction(Action):
    """Does its actions after a period in seconds, unless it is cancelled before."""

    period: float | SomeSubstitutionsType = field(kw_only=True)
    actions: Iterable[LaunchDescriptionEntity] = field(kw_only=True)
    cancel_on_shutdown: bool = field(default=True, kw_only=True)
    _done: asyncio.Future | None = field(default=None, init=False)
    _canceled = False

    def describe_conditional_sub_entities(self) -> _Conditional:
        return [("after a period of time", list(self.actions))]

    def get_asyncio_future(self) -> asyncio.Future | None:
        return self._done

    def cancel(self) -> None:
        """Stop the timer; its actions are not done. Legal before it starts."""
        self._canceled = True
        self._finish()

    def handle(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        context.extend_locals(self._locals)
        return [] if self._canceled else list(self.actions)

    def execute(self, context: LaunchContext) -> None:
        if self._canceled or (self.cancel_on_shutdown and context.is_shutdown):
            return
        if self.cancel_on_shutdown:
            context.register_event_handler(OnShutdown(on_shutdown=lambda e, c: self.cancel()))
        self._locals = context.get_locals_as_dict()
        self._done = context.asyncio_loop.create_future()
        self._start(context, float(as_text(context, self.period)))

    def _start(self, context: LaunchContext, period_s: float) -> None:
        timer = context.asyncio_loop.call_later(period_s, self._fire, context)
        self._done.add_done_callback(lambda _: timer.cancel())

    def _fire(self, context: LaunchContext) -> None:
        if not self._canceled:
            context.emit_event_sync(TimerEvent(timer_action=self))
        self._finish()

    def _finish(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)
