# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs the executable of a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import launch.logging
import yaml
from launch import LaunchContext, SomeSubstitutionsType
from launch._normalize import as_pairs, as_text
from launch.actions import ExecuteProcess

from launch_ros import _scratch
from launch_ros.actions._common import joined_namespace
from launch_ros.parameter_descriptions import Parameter, ParameterFile, evaluate_dict
from launch_ros.substitutions import ExecutableInPackage

_UNSPECIFIED = "<node_name_unspecified>"


@dataclass(kw_only=True, eq=False)
class Node(ExecuteProcess):
    """Runs a node; without a name or a namespace those of the executable hold."""

    executable: SomeSubstitutionsType
    package: SomeSubstitutionsType | None = None
    namespace: SomeSubstitutionsType | None = None
    exec_name: SomeSubstitutionsType | None = None
    parameters: Iterable[Any] | None = None
    remappings: Iterable[tuple[Any, Any]] | None = None
    ros_arguments: Iterable[SomeSubstitutionsType] | None = None
    arguments: Iterable[SomeSubstitutionsType] | None = None
    cmd: Iterable[SomeSubstitutionsType] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.parameters is not None and isinstance(self.parameters, str | Mapping):
            raise TypeError(f"parameters of a Node is a list, not {self.parameters!r}")
        self._final_namespace = ""
        self._final_name = _UNSPECIFIED

    @property
    def node_package(self) -> Any:
        return self.package

    @property
    def node_executable(self) -> Any:
        return self.executable

    @property
    def node_name(self) -> str:
        """The full name; known once the action is executed."""
        if not self.final_name:
            raise RuntimeError("cannot access 'node_name' before executing action")
        return f"{self._final_namespace}/{self._final_name}"

    def is_node_name_fully_specified(self) -> bool:
        return self.name is not None

    def _label(self, context: LaunchContext) -> str:
        return as_text(context, self.exec_name or "")

    def _prepare(self, context: LaunchContext) -> list[str]:
        program = self.executable
        if self.package is not None:
            program = ExecutableInPackage(package=self.package, executable=program)
        arguments = (as_text(context, argument) for argument in self.arguments or ())
        ros = [as_text(context, argument) for argument in self.ros_arguments or ()]
        if self.name is not None:
            self._final_name = as_text(context, self.name)
            ros += ["-r", f"__node:={self._final_name}"]
        base = context.launch_configurations.get("ros_namespace", "")
        if self.namespace is not None or base:
            namespace = as_text(context, self.namespace or "")
            self._final_namespace = joined_namespace(base, namespace)
            if self._final_namespace:
                ros += ["-r", f"__ns:={self._final_namespace}"]
        shared = context.launch_configurations.get("global_params", ())
        for parameters in (*shared, *(self.parameters or ())):
            ros += ["--params-file", self._parameters_file(context, parameters)]
        remaps = context.launch_configurations.get("ros_remaps", ())
        for source, target in (*remaps, *as_pairs(self.remappings)):
            ros += ["-r", f"{as_text(context, source)}:={as_text(context, target)}"]
        return [as_text(context, program), *arguments, "--ros-args", *ros]

    def _parameters_file(self, context: LaunchContext, parameters: Any) -> str:
        if isinstance(parameters, Parameter):
            parameters = dict([parameters.evaluate(context)])
        if isinstance(parameters, Mapping):
            values = {"/**": {"ros__parameters": evaluate_dict(context, parameters)}}
            return str(_scratch.write("launch_params.yaml", yaml.safe_dump(values)))
        if not isinstance(parameters, ParameterFile):
            parameters = ParameterFile(parameters)
        path = parameters.evaluate(context)
        if not path.is_file():
            launch.logging.get_logger("launch_ros").warning(
                f"Parameter file path is not a file: {path}"
            )
        return str(path)
