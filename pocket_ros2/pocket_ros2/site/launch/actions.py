# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a launch description can be made of."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import launch.logging
from launch._execute_process import ExecuteProcess as ExecuteProcess
from launch.action import Action, Conditional, LaunchDescriptionEntity, as_entities
from launch.event_handlers import EventHandler, OnShutdown
from launch.events import Event, TimerEvent
from launch.events import Shutdown as ShutdownEvent
from launch.events.process import ProcessExited
from launch.launch_context import LaunchContext
from launch.launch_description_sources import AnyLaunchDescriptionSource, LaunchDescriptionSource
from launch.substitution import (
    SomeSubstitutionsType,
    as_bool,
    as_pairs,
    as_substitutions,
    as_text,
)


class DeclareLaunchArgument(Action):
    def __init__(
        self,
        name: str,
        *,
        default_value: SomeSubstitutionsType | None = None,
        description: str | None = None,
        choices: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if choices is not None and not choices:
            raise RuntimeError(f"choices of launch argument {name!r} is empty; leave it out")
        if choices and isinstance(default_value, str) and default_value not in choices:
            raise RuntimeError(
                f'Provided default_value "{default_value}" is not in provided choices "{choices}".'
            )
        self.name = name
        self.choices = choices
        self.default_value = None if default_value is None else as_substitutions(default_value)
        self.description = description or ("One of:" if choices else "no description given")
        if choices:
            extra = f"{description.rstrip('.')}. Valid choices are:" if description else "One of:"
            self.description = f"{extra} {choices}"
        self._conditionally_included = False

    def execute(self, context: LaunchContext) -> None:
        if self.name not in context.launch_configurations:
            if self.default_value is None:
                raise RuntimeError(
                    f'Required launch argument "{self.name}" (description: '
                    f'"{self.description}") was not provided.'
                )
            value = as_text(context, self.default_value)
            context.launch_configurations[self.name] = value
        value = context.launch_configurations[self.name]
        if self.choices is not None and value not in self.choices:
            raise RuntimeError(
                f'Argument "{self.name}" provided value "{value}" is not valid. Valid options '
                f"are: {self.choices}"
            )


@dataclass(eq=False)
class _Set(Action):
    """Sets a name in the mapping of the context that the subclass names."""

    name: SomeSubstitutionsType
    value: SomeSubstitutionsType

    def execute(self, context: LaunchContext) -> None:
        name, value = as_text(context, self.name), as_text(context, self.value)
        getattr(context, self._mapping)[name] = value


class SetLaunchConfiguration(_Set):
    _mapping = "launch_configurations"


class SetEnvironmentVariable(_Set):
    _mapping = "environment"


@dataclass(eq=False)
class AppendEnvironmentVariable(Action):
    """Adds to the end of a list in the environment, or to its start if prepend is true."""

    name: SomeSubstitutionsType
    value: SomeSubstitutionsType
    prepend: SomeSubstitutionsType | bool = False
    separator: SomeSubstitutionsType = os.pathsep

    def execute(self, context: LaunchContext) -> None:
        name, parts = as_text(context, self.name), [as_text(context, self.value)]
        if context.environment.get(name):
            parts.insert(as_bool(context, self.prepend), context.environment[name])
        context.environment[name] = as_text(context, self.separator).join(parts)


@dataclass(eq=False)
class _Unset(Action):
    name: SomeSubstitutionsType

    def execute(self, context: LaunchContext) -> None:
        getattr(context, self._mapping).pop(as_text(context, self.name), None)


class UnsetLaunchConfiguration(_Unset):
    _mapping = "launch_configurations"


class UnsetEnvironmentVariable(_Unset):
    _mapping = "environment"


class _Push(Action):
    def execute(self, context: LaunchContext) -> None:
        context._push(self._mapping)


class PushLaunchConfigurations(_Push):
    _mapping = "launch_configurations"


class PushEnvironment(_Push):
    _mapping = "environment"


class _Pop(Action):
    def execute(self, context: LaunchContext) -> None:
        context._pop(self._mapping)


class PopLaunchConfigurations(_Pop):
    _mapping = "launch_configurations"


class PopEnvironment(_Pop):
    _mapping = "environment"


@dataclass(eq=False)
class ResetLaunchConfigurations(Action):
    """Forget all configurations but those given, which may refer to the old ones."""

    launch_configurations: Mapping[Any, Any] | None = None

    def execute(self, context: LaunchContext) -> None:
        pairs = as_pairs(self.launch_configurations)
        kept = {as_text(context, name): as_text(context, value) for name, value in pairs}
        context._restore("launch_configurations", kept)


class ResetEnvironment(Action):
    """Go back to the environment that the launch began with."""

    def execute(self, context: LaunchContext) -> None:
        context._restore("environment", context._environment_at_start)


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
    """Actions whose changes stay inside if scoped; forwarding gives them what is outside."""

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
        before: list[Action] = []
        after: list[Action] = []
        if scoped:
            before = [PushLaunchConfigurations(), PushEnvironment()]
            after = [PopEnvironment(), PopLaunchConfigurations()]
        if scoped and not forwarding:
            before += [ResetEnvironment(), ResetLaunchConfigurations(launch_configurations)]
        else:
            before += [SetLaunchConfiguration(*pair) for pair in as_pairs(launch_configurations)]
        self.__actions = [*before, *actions, *after]

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

    def describe_conditional_sub_entities(self) -> Conditional:
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

    def describe_conditional_sub_entities(self) -> Conditional:
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
        period_s = float(as_text(context, self.period))
        timer = context.asyncio_loop.call_later(period_s, self._fire, context)
        self._done.add_done_callback(lambda _: timer.cancel())

    def _fire(self, context: LaunchContext) -> None:
        if not self._canceled:
            context.emit_event_sync(TimerEvent(timer_action=self))
        self._finish()

    def _finish(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)
