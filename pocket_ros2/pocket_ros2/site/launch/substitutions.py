# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Texts computed at launch time."""

from __future__ import annotations

import importlib
import math
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import launch.logging
from launch.launch_context import LaunchContext
from launch.substitution import (
    SomeSubstitutionsType,
    Substitution,
    SubstitutionFailure,
    as_bool,
    as_substitutions,
    as_text,
)
from launch.substitution import TextSubstitution as TextSubstitution


def _looked_up(context: LaunchContext, what: str, known: Any, name: Any, default: Any) -> str:
    """Return the value of a name in a mapping, or the default, which may be computed too."""
    name = as_text(context, name)
    if name in known:
        return known[name]
    if default is None:
        raise SubstitutionFailure(f"{what} '{name}' does not exist")
    return as_text(context, default)


@dataclass(eq=False)
class LaunchConfiguration(Substitution):
    variable_name: SomeSubstitutionsType
    default: Any = field(default=None, kw_only=True)

    def perform(self, context: LaunchContext) -> str:
        known = context.launch_configurations
        what = "launch configuration"
        return _looked_up(context, what, known, self.variable_name, self.default)


@dataclass(eq=False)
class EnvironmentVariable(Substitution):
    name: SomeSubstitutionsType
    default_value: Any = field(default=None, kw_only=True)

    def perform(self, context: LaunchContext) -> str:
        known = context.environment
        return _looked_up(context, "environment variable", known, self.name, self.default_value)


@dataclass(eq=False)
class PathJoinSubstitution(Substitution):
    substitutions: Iterable[SomeSubstitutionsType]

    def perform(self, context: LaunchContext) -> str:
        return os.path.join(*(as_text(context, part) for part in self.substitutions))

    def __truediv__(self, part: SomeSubstitutionsType) -> PathJoinSubstitution:
        return PathJoinSubstitution([*self.substitutions, part])


class PathSubstitution(PathJoinSubstitution):
    def __init__(self, path: SomeSubstitutionsType) -> None:
        super().__init__(as_substitutions(path))


@dataclass(kw_only=True, eq=False)
class FindExecutable(Substitution):
    name: SomeSubstitutionsType

    def perform(self, context: LaunchContext) -> str:
        name = as_text(context, self.name)
        found = shutil.which(name)
        if found is None:
            raise SubstitutionFailure(f"executable '{name}' not found on the PATH")
        return found


@dataclass(eq=False)
class Command(Substitution):
    """The output of a command line; on_stderr is fail, ignore, warn or capture."""

    command: SomeSubstitutionsType
    on_stderr: SomeSubstitutionsType = field(default="fail", kw_only=True)

    def perform(self, context: LaunchContext) -> str:
        command = as_text(context, self.command)
        policy = as_text(context, self.on_stderr)
        if policy not in ("fail", "ignore", "warn", "capture"):
            raise SubstitutionFailure(f"on_stderr is {policy!r}: use fail, ignore, warn, capture")
        stderr = subprocess.STDOUT if policy == "capture" else subprocess.PIPE
        try:
            done = subprocess.run(
                shlex.split(command), stdout=subprocess.PIPE, stderr=stderr, text=True
            )
        except FileNotFoundError as error:
            raise SubstitutionFailure(f"file not found: {error}") from error
        text = f"Command: {command}\nCaptured stderr output: {done.stderr or ''}"
        if done.returncode != 0:
            raise SubstitutionFailure(f"executed command failed. {text}")
        if done.stderr and policy == "fail":
            raise SubstitutionFailure(f"executed command showed stderr output. {text}")
        if done.stderr and policy == "warn":
            launch.logging.get_logger("launch").warning(text)
        return done.stdout


@dataclass(eq=False)
class PythonExpression(Substitution):
    """The value of a Python expression written by the author of the launch file."""

    expression: SomeSubstitutionsType
    python_modules: Iterable[SomeSubstitutionsType] = ("math",)

    def perform(self, context: LaunchContext) -> str:
        names: dict[str, Any] = {}
        one = isinstance(self.python_modules, str | Substitution)
        for module_name in [self.python_modules] if one else self.python_modules:
            module = importlib.import_module(as_text(context, module_name))
            names[module.__name__] = module
            if module is math:
                names.update(vars(math))
        expression = as_text(context, self.expression)
        try:
            return str(eval(expression, {}, names))
        except Exception as error:
            raise SubstitutionFailure(
                f"expression {expression!r} failed: {type(error).__name__}: {error}"
            ) from error


@dataclass(eq=False)
class EqualsSubstitution(Substitution):
    """Compares as booleans or as numbers where both sides are such, else as text."""

    left: Any
    right: Any

    def perform(self, context: LaunchContext) -> str:
        left, right = as_text(context, self.left), as_text(context, self.right)
        truth = {"true": True, "1": True, "false": False, "0": False}
        if left.lower() in truth and right.lower() in truth:
            return _lower(truth[left.lower()] == truth[right.lower()])
        try:
            return _lower(math.isclose(float(left), float(right)))
        except ValueError:
            return _lower(left == right)


class NotEqualsSubstitution(EqualsSubstitution):
    def perform(self, context: LaunchContext) -> str:
        return _lower(super().perform(context) == "false")


class AnySubstitution(Substitution):
    _combine = staticmethod(any)

    def __init__(self, *args: SomeSubstitutionsType) -> None:
        self.args = args

    def perform(self, context: LaunchContext) -> str:
        return _lower(self._combine(as_bool(context, arg) for arg in self.args))


class AllSubstitution(AnySubstitution):
    _combine = staticmethod(all)


class OrSubstitution(AnySubstitution):
    def __init__(self, left: SomeSubstitutionsType, right: SomeSubstitutionsType) -> None:
        super().__init__(left, right)


class AndSubstitution(OrSubstitution):
    _combine = staticmethod(all)


@dataclass(eq=False)
class NotSubstitution(Substitution):
    value: SomeSubstitutionsType

    def perform(self, context: LaunchContext) -> str:
        return _lower(not as_bool(context, self.value))


@dataclass(eq=False)
class IfElseSubstitution(Substitution):
    condition: SomeSubstitutionsType
    if_value: SomeSubstitutionsType = ""
    else_value: SomeSubstitutionsType = ""

    def perform(self, context: LaunchContext) -> str:
        chosen = self.if_value if as_bool(context, self.condition) else self.else_value
        return as_text(context, chosen)


@dataclass(eq=False)
class LocalSubstitution(Substitution):
    """An expression on the locals of the context, for example `event.reason`."""

    expression: str
    description: str | None = None

    def perform(self, context: LaunchContext) -> str:
        return str(eval(f"locals.{self.expression}", {}, {"locals": context.locals}))


class ThisLaunchFile(Substitution):
    _local = "current_launch_file_path"

    def perform(self, context: LaunchContext) -> str:
        found = context.get_locals_as_dict().get(self._local)
        if found is None:
            raise SubstitutionFailure(f"{type(self).__name__} used outside of a launch file")
        return found


class ThisLaunchFileDir(ThisLaunchFile):
    _local = "current_launch_file_directory"


def _lower(value: bool) -> str:
    return str(value).lower()
