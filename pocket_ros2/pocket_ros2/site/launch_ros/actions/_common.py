# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What holds for all nodes that follow in the same scope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from launch import Action, LaunchContext, SomeSubstitutionsType
from launch._normalize import as_text

from launch_ros.parameter_descriptions import ParameterFile, evaluate_value


def _append(context: LaunchContext, key: str, value: Any) -> None:
    """Add to a list in the configurations without changing the list of an outer scope."""
    known = context.launch_configurations.get(key, [])
    context.launch_configurations[key] = [*known, value]


def joined_namespace(base: str, namespace: str) -> str:
    """Return a namespace below the base, or itself when it is absolute; empty for the root."""
    joined = namespace if namespace.startswith("/") else f"{base.rstrip('/')}/{namespace}"
    return joined.rstrip("/")


@dataclass(eq=False)
class PushROSNamespace(Action):
    namespace: SomeSubstitutionsType

    def execute(self, context: LaunchContext) -> None:
        base = context.launch_configurations.get("ros_namespace", "")
        namespace = joined_namespace(base, as_text(context, self.namespace))
        context.launch_configurations["ros_namespace"] = namespace


PushRosNamespace = PushROSNamespace


@dataclass(eq=False)
class SetParameter(Action):
    name: SomeSubstitutionsType
    value: Any

    def execute(self, context: LaunchContext) -> None:
        value = evaluate_value(context, self.value)
        _append(context, "global_params", {as_text(context, self.name): value})


class SetUseSimTime(SetParameter):
    def __init__(self, value: Any, **kwargs: Any) -> None:
        super().__init__("use_sim_time", value, **kwargs)


@dataclass(eq=False)
class SetParametersFromFile(Action):
    filename: SomeSubstitutionsType
    node_name: str | None = None

    def execute(self, context: LaunchContext) -> None:
        if self.node_name is not None:
            from pocket_ros2.subset import unsupported

            raise unsupported("launch_ros.actions.SetParametersFromFile(node_name=)")
        _append(context, "global_params", ParameterFile(as_text(context, self.filename)))


@dataclass(eq=False)
class SetRemap(Action):
    src: SomeSubstitutionsType
    dst: SomeSubstitutionsType

    def execute(self, context: LaunchContext) -> None:
        rule = (as_text(context, self.src), as_text(context, self.dst))
        _append(context, "ros_remaps", rule)
