# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Launch descriptions out of Python files."""

from __future__ import annotations

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from pocket_ros2.subset import unsupported

from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.substitution import SomeSubstitutionsType, as_text, described


class InvalidPythonLaunchFileError(Exception):
    """A Python launch file does not define what it must."""


def load_python_launch_file_as_module(python_launch_file_path: str) -> ModuleType:
    path = str(python_launch_file_path)
    if not Path(path).is_file():
        raise FileNotFoundError(f"launch file {path!r} does not exist")
    loader = SourceFileLoader("python_launch_file", path)
    spec: Any = importlib.util.spec_from_loader(loader.name, loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def get_launch_description_from_python_launch_file(
    python_launch_file_path: str,
) -> LaunchDescription:
    module = load_python_launch_file_as_module(python_launch_file_path)
    if not hasattr(module, "generate_launch_description"):
        raise InvalidPythonLaunchFileError(
            f"launch file at '{python_launch_file_path}' does not contain the required function "
            "'generate_launch_description()'"
        )
    return module.generate_launch_description()


class LaunchDescriptionSource:
    """A description that is given, or that a subclass loads from its location, once."""

    def __init__(
        self,
        launch_description: LaunchDescription | None = None,
        location: SomeSubstitutionsType = "",
        method: str = "unspecified mechanism from a script",
    ) -> None:
        self.method = method
        self.location = described(location)
        self.__location = location
        self.__given = launch_description
        self.__loaded: dict[str, LaunchDescription] = {}

    def try_get_launch_description_without_context(self) -> LaunchDescription | None:
        """Return the description if it can be loaded before the launch runs."""
        try:
            return self.get_launch_description(LaunchContext())
        except Exception:
            # Whatever is wrong, it only matters if the file is really included.
            return None

    def get_launch_description(self, context: LaunchContext) -> LaunchDescription:
        path = self.location = as_text(context, self.__location)
        if self.__given is not None:
            return self.__given
        if path not in self.__loaded:
            self.__loaded[path] = self._get_launch_description(path)
        return self.__loaded[path]

    def _get_launch_description(self, location: str) -> LaunchDescription:
        raise NotImplementedError(f"{type(self).__name__} cannot load {location!r}")


class PythonLaunchDescriptionSource(LaunchDescriptionSource):
    def __init__(self, launch_file_path: SomeSubstitutionsType) -> None:
        super().__init__(None, launch_file_path, "interpreted python launch file")

    def _get_launch_description(self, location: str) -> LaunchDescription:
        return get_launch_description_from_python_launch_file(location)


class AnyLaunchDescriptionSource(PythonLaunchDescriptionSource):
    def _get_launch_description(self, location: str) -> LaunchDescription:
        if not location.endswith(".py"):
            raise unsupported(f"the launch file format of {location}")
        return super()._get_launch_description(location)
