# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of nodes: single values and files."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from launch import LaunchContext, SomeSubstitutionsType, Substitution
from launch import substitutions as subs
from launch.substitution import as_bool, as_text
from pocket_ros2.subset import unsupported

from launch_ros import _scratch
from launch_ros.substitutions import FindPackageShare

_SCALARS = (bool, int, float, str)
_IN_FILE = re.compile(r"\$\(\s*([\w-]+)\s*([^()]*?)\s*\)")


def _joined(words: tuple[str, ...]) -> str | None:
    return " ".join(words) if words else None


_SUBSTITUTIONS: dict[str, Any] = {
    "var": lambda name, *rest: subs.LaunchConfiguration(name, default=_joined(rest)),
    "env": lambda name, *rest: subs.EnvironmentVariable(name, default_value=_joined(rest)),
    "find-pkg-share": FindPackageShare,
    "dirname": subs.ThisLaunchFileDir,
}


class ParameterValue:
    """A value whose type is given rather than found by the YAML rules."""

    def __init__(self, value: Any, *, value_type: Any = None) -> None:
        self.value = value
        self.value_type = value_type

    def evaluate(self, context: LaunchContext) -> Any:
        if self.value_type is None:
            return evaluate_value(context, self.value)
        if self.value_type is str:
            return as_text(context, self.value)
        value = self.value
        if not isinstance(value, bool | int | float):
            value = evaluate_value(context, value)
        if typing.get_origin(self.value_type) is list:
            (kind,) = typing.get_args(self.value_type)
            values = list(value) if isinstance(value, list | tuple) else [value]
            return [self._checked(item, kind) for item in values]
        return self._checked(value, self.value_type)

    def _checked(self, value: Any, kind: type) -> Any:
        if kind is float and type(value) is int:
            return float(value)
        if type(value) is not kind:
            raise ValueError(f"parameter value {value!r} is not of type {self.value_type}")
        return value


class Parameter(ParameterValue):
    def __init__(self, name: SomeSubstitutionsType, value: Any, *, value_type: Any = None) -> None:
        super().__init__(value, value_type=value_type)
        self.name = name

    def evaluate(self, context: LaunchContext) -> tuple[str, Any]:
        return as_text(context, self.name), super().evaluate(context)


class ParameterFile:
    """A YAML file; with allow_substs `$(var name)` and the like in it are replaced."""

    def __init__(
        self,
        param_file: SomeSubstitutionsType,
        *,
        allow_substs: bool | SomeSubstitutionsType = False,
    ) -> None:
        self.param_file = param_file
        self.allow_substs = allow_substs

    def evaluate(self, context: LaunchContext) -> Path:
        path = Path(as_text(context, self.param_file))
        if not as_bool(context, self.allow_substs):
            return path

        def replace(match: re.Match) -> str:
            name, *args = (match[1], *match[2].split())
            if name not in _SUBSTITUTIONS:
                raise unsupported(f"$({name} ...) in a parameter file")
            return _SUBSTITUTIONS[name](*args).perform(context)

        text, count = path.read_text(encoding="utf-8"), 1
        while count:
            text, count = _IN_FILE.subn(replace, text)
        yaml.safe_load(text)
        return _scratch.write(path.name, text)


def evaluate_dict(
    context: LaunchContext, parameters: Mapping[Any, Any], prefix: str = ""
) -> dict[str, Any]:
    """Return the parameters by full name, nested dictionaries joined with dots."""
    found: dict[str, Any] = {}
    for key, value in parameters.items():
        name = prefix + as_text(context, key)
        if isinstance(value, Mapping):
            found.update(evaluate_dict(context, value, f"{name}."))
        else:
            found[name] = evaluate_value(context, value)
    return found


def evaluate_value(context: LaunchContext, value: Any) -> Any:
    """Return a value ROS knows: plain values as they are, computed ones by the YAML rules."""
    if isinstance(value, ParameterValue):
        return value.evaluate(context)
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, Substitution):
        return _from_yaml(as_text(context, value))
    if not isinstance(value, Iterable):
        raise TypeError(f"unexpected type for parameter value {value!r}")
    items = list(value)
    if any(isinstance(item, Substitution) for item in items):
        return _from_yaml(as_text(context, items))
    return _uniform(
        [
            item if isinstance(item, _SCALARS) else _from_yaml(as_text(context, item))
            for item in items
        ]
    )


def _from_yaml(text: str) -> Any:
    hint = (
        "If the parameter is meant to be a string, try wrapping it in "
        "launch_ros.parameter_descriptions.ParameterValue(value, value_type=str)"
    )
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise TypeError(f"cannot parse the parameter value {text!r} as yaml. {hint}") from error
    if isinstance(value, list):
        return _uniform(value)
    if not isinstance(value, _SCALARS):
        raise TypeError(f"the parameter value {text!r} is a {type(value).__name__}. {hint}")
    return value


def _uniform(items: list[Any]) -> list[Any]:
    kinds = {type(item) for item in items}
    if kinds == {int, float}:
        return [float(item) for item in items]
    if len(kinds) != 1 or not kinds <= set(_SCALARS):
        raise TypeError(
            f"expected a non-empty list with items of one type (bool, int, float or str): {items}"
        )
    return items
