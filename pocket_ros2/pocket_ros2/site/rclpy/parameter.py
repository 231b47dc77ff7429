# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters as values with a name and a type."""

from __future__ import annotations

import array
import contextlib
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from rcl_interfaces.msg import Parameter as ParameterMsg
from rcl_interfaces.msg import ParameterType, ParameterValue

from rclpy._parameter_files import file_sections, matches, read_yaml

PARAMETER_SEPARATOR_STRING = "."

_SEQUENCES = (list, tuple, array.array)


def _is_byte(value: Any) -> bool:
    return isinstance(value, bytes) and len(value) == 1


def _all_are(kind: type | Callable[[Any], bool]) -> Callable[[Any], bool]:
    test = (lambda item: isinstance(item, kind)) if isinstance(kind, type) else kind
    return lambda value: isinstance(value, _SEQUENCES) and all(test(item) for item in value)


class Parameter:
    class Type(Enum):
        NOT_SET = ParameterType.PARAMETER_NOT_SET
        BOOL = ParameterType.PARAMETER_BOOL
        INTEGER = ParameterType.PARAMETER_INTEGER
        DOUBLE = ParameterType.PARAMETER_DOUBLE
        STRING = ParameterType.PARAMETER_STRING
        BYTE_ARRAY = ParameterType.PARAMETER_BYTE_ARRAY
        BOOL_ARRAY = ParameterType.PARAMETER_BOOL_ARRAY
        INTEGER_ARRAY = ParameterType.PARAMETER_INTEGER_ARRAY
        DOUBLE_ARRAY = ParameterType.PARAMETER_DOUBLE_ARRAY
        STRING_ARRAY = ParameterType.PARAMETER_STRING_ARRAY

        @classmethod
        def from_parameter_value(cls, parameter_value: Any) -> Parameter.Type:
            """Infer the type; the empty sequence counts as a byte array, as in ROS 2."""
            for kind in cls:
                if kind.check(parameter_value):
                    return kind
            raise TypeError(
                f"The given value is not one of the allowed types: {parameter_value!r}; allowed "
                "are bool, int, float, str, and sequences of one of bytes (of length 1), bool, "
                "int, float or str"
            )

        def check(self, parameter_value: Any) -> bool:
            """Tell whether a value can be a parameter of this type."""
            return _CHECKS[self](parameter_value)

    def __init__(self, name: str, type_: Parameter.Type | None = None, value: Any = None) -> None:
        if type_ is None:
            type_ = Parameter.Type.from_parameter_value(value)
        if not isinstance(type_, Parameter.Type):
            raise TypeError(f"type must be an instance of 'Parameter.Type', not {type_!r}")
        if not type_.check(value):
            raise ValueError(f"Type '{type_}' and value '{value}' do not agree")
        self._name = name
        self._type_ = type_
        self._value = value

    @classmethod
    def from_parameter_msg(cls, param_msg: ParameterMsg) -> Parameter:
        return cls(
            param_msg.name,
            Parameter.Type(param_msg.value.type),
            parameter_value_to_python(param_msg.value),
        )

    @property
    def name(self) -> str:
        return self._name

    @property
    def type_(self) -> Parameter.Type:
        return self._type_

    @property
    def value(self) -> Any:
        return self._value

    def __repr__(self) -> str:
        return f"Parameter(name={self._name!r}, type_={self._type_.name}, value={self._value!r})"

    def get_parameter_value(self) -> ParameterValue:
        message = ParameterValue(type=self.type_.value)
        if self.type_ is not Parameter.Type.NOT_SET:
            setattr(message, _field(self.type_), self.value)
        return message

    def to_parameter_msg(self) -> ParameterMsg:
        return ParameterMsg(name=self.name, value=self.get_parameter_value())


_CHECKS: dict[Parameter.Type, Callable[[Any], bool]] = {
    Parameter.Type.NOT_SET: lambda value: value is None,
    Parameter.Type.BOOL: lambda value: isinstance(value, bool),
    Parameter.Type.INTEGER: lambda value: isinstance(value, int),
    Parameter.Type.DOUBLE: lambda value: isinstance(value, float),
    Parameter.Type.STRING: lambda value: isinstance(value, str),
    Parameter.Type.BYTE_ARRAY: _all_are(_is_byte),
    Parameter.Type.BOOL_ARRAY: _all_are(bool),
    Parameter.Type.INTEGER_ARRAY: _all_are(int),
    Parameter.Type.DOUBLE_ARRAY: _all_are(float),
    Parameter.Type.STRING_ARRAY: _all_are(str),
}


def _field(kind: Parameter.Type) -> str:
    return f"{kind.name.lower()}_value"


def parameter_value_to_python(parameter_value: ParameterValue) -> Any:
    """Return the one value that the message's type points at."""
    try:
        kind = Parameter.Type(parameter_value.type)
    except ValueError as error:
        raise RuntimeError(
            f"unexpected parameter type {parameter_value.type}; known are 0 to "
            f"{len(Parameter.Type) - 1}"
        ) from error
    if kind is Parameter.Type.NOT_SET:
        return None
    value = getattr(parameter_value, _field(kind))
    return list(value) if kind.name.endswith("ARRAY") else value


def get_parameter_value(string_value: str) -> ParameterValue:
    """Read a value as YAML, the way the command line does; what is no value stays a string."""
    with contextlib.suppress(yaml.YAMLError, TypeError):
        parameter = Parameter("", value=read_yaml(string_value))
        if parameter.value is not None:
            return parameter.get_parameter_value()
    return Parameter("", value=string_value).get_parameter_value()


def parameter_dict_from_yaml_file(
    parameter_file: str,
    use_wildcard: bool = False,
    target_nodes: list[str] | None = None,
    namespace: str = "",
) -> dict[str, ParameterMsg]:
    """Read parameters of the target nodes (default: of all) from a ROS parameter file.

    Raises:
        OSError: The file cannot be read.
        RuntimeError: It does not have the form of a parameter file, or says nothing to the nodes.
    """

    def wanted(section: str) -> bool:
        if "*" not in section:
            return not target_nodes or section.strip("/") in [n.strip("/") for n in target_nodes]
        return use_wildcard and (
            not target_nodes
            or section == "/**"
            or any(matches(section, node) for node in target_nodes)
        )

    sections = sorted(file_sections(Path(parameter_file)), key=lambda item: item[0] != "/**")
    found = [values for name, values in sections if wanted(name)]
    if not found:
        raise RuntimeError(
            f"Param file does not contain any valid parameters for {target_nodes or 'any node'}, "
            f"only for nodes: {[name for name, _ in sections]}"
        )
    return {
        namespace + name: Parameter(namespace + name, value=value).to_parameter_msg()
        for values in found
        for name, value in values.items()
    }
