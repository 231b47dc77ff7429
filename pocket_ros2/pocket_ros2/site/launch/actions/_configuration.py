# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Actions on launch configurations and on the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from launch._normalize import as_bool, as_pairs, as_substitutions, as_text
from launch.action import Action
from launch.launch_context import LaunchContext
from launch.some_substitutions_type import SomeSubstitutionsType


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
class SetLaunchConfiguration(Action):
    name: SomeSubstitutionsType
    value: SomeSubstitutionsType

    def execute(self, context: LaunchContext) -> None:
        name, value = as_text(context, self.name), as_text(context, self.value)
        context.launch_configurations[name] = value


@dataclass(eq=False)
class UnsetLaunchConfiguration(Action):
    name: SomeSubstitutionsType

    def execute(self, context: LaunchContext) -> None:
        context.launch_configurations.pop(as_text(context, self.name), None)


class PushLaunchConfigurations(Action):
    def execute(self, context: LaunchContext) -> None:
        context._push_launch_configurations()


class PopLaunchConfigurations(Action):
    def execute(self, context: LaunchContext) -> None:
        context._pop_launch_configurations()


@dataclass(eq=False)
class ResetLaunchConfigurations(Action):
    """Forget all configurations but those given, which may refer to the old ones."""

    launch_configurations: Mapping[Any, Any] = field(default_factory=dict)

    def execute(self, context: LaunchContext) -> None:
        pairs = as_pairs(self.launch_configurations)
        kept = {as_text(context, name): as_text(context, value) for name, value in pairs}
        context.launch_configurations.clear()
        context.launch_configurations.update(kept)


@dataclass(eq=False)
class SetEnvironmentVariable(Action):
    name: SomeSubstitutionsType
    value: SomeSubstitutionsType

    def execute(self, context: LaunchContext) -> None:
        context.environment[as_text(context, self.name)] = as_text(context, self.value)


@dataclass(eq=False)
class AppendEnvironmentVariable(SetEnvironmentVariable):
    """Adds to the end of a list in the environment, or to its start if prepend is true."""

    prepend: SomeSubstitutionsType | bool = False
    separator: SomeSubstitutionsType = os.pathsep

    def execute(self, context: LaunchContext) -> None:
        name, value = as_text(context, self.name), as_text(context, self.value)
        parts = [value]
        if context.environment.get(name):
            parts.insert(as_bool(context, self.prepend), context.environment[name])
        context.environment[name] = as_text(context, self.separator).join(parts)


@dataclass(eq=False)
class UnsetEnvironmentVariable(Action):
    name: SomeSubstitutionsType

    def execute(self, context: LaunchContext) -> None:
        context.environment.pop(as_text(context, self.name), None)


class PushEnvironment(Action):
    def execute(self, context: LaunchContext) -> None:
        context._push_environment()


class PopEnvironment(Action):
    def execute(self, context: LaunchContext) -> None:
        context._pop_environment()


class ResetEnvironment(Action):
    """Go back to the environment that the launch began with."""

    def execute(self, context: LaunchContext) -> None:
        context._reset_environment()
