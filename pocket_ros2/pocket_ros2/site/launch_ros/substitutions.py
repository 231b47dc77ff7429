# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Where packages and their executables are."""

from __future__ import annotations

from dataclasses import dataclass

from launch import LaunchContext, SomeSubstitutionsType, Substitution
from launch.substitution import SubstitutionFailure, as_text

from launch_ros import _scratch
from pocket_ros2 import workspace


@dataclass(eq=False)
class FindPackagePrefix(Substitution):
    package: SomeSubstitutionsType

    def perform(self, context: LaunchContext) -> str:
        from ament_index_python.packages import get_package_prefix

        return get_package_prefix(as_text(context, self.package))


FindPackage = FindPackagePrefix


class FindPackageShare(FindPackagePrefix):
    def perform(self, context: LaunchContext) -> str:
        from ament_index_python.packages import get_package_share_directory

        return get_package_share_directory(as_text(context, self.package))


@dataclass(eq=False, kw_only=True)
class ExecutableInPackage(Substitution):
    executable: SomeSubstitutionsType
    package: SomeSubstitutionsType

    def perform(self, context: LaunchContext) -> str:
        executable, package = as_text(context, self.executable), as_text(context, self.package)
        try:
            command = workspace.executable(package, executable)
        except workspace.PackageError as error:
            raise SubstitutionFailure(str(error)) from error
        if len(command) == 1:
            return command[0]
        return str(_scratch.starter(executable, tuple(command)))
