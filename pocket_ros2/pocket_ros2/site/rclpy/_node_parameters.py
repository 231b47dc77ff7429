# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of a node."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import (
    ListParametersResult,
    ParameterDescriptor,
    ParameterEvent,
    ParameterValue,
    SetParametersResult,
)

from rclpy._parameter_checks import WRONG_TYPE, refusal
from rclpy._parameter_files import overrides_for
from rclpy.exceptions import (
    InvalidParameterException,
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterAlreadyDeclaredException,
    ParameterImmutableException,
    ParameterNotDeclaredException,
    ParameterUninitializedException,
)
from rclpy.parameter import PARAMETER_SEPARATOR_STRING, Parameter, parameter_value_to_python
from rclpy.qos import qos_profile_parameter_events

if TYPE_CHECKING:
    from rclpy._arguments import RosArguments

PreSetCallback = Callable[[list[Parameter]], list[Parameter]]
OnSetCallback = Callable[[list[Parameter]], SetParametersResult]
PostSetCallback = Callable[[list[Parameter]], None]


def _as_override(name: str, value: Any) -> Parameter:
    try:
        # An empty YAML list says nothing about its type, so it leaves the parameter without value.
        return Parameter(name, value=None if value == [] else value)
    except TypeError as error:
        raise TypeError(f"parameter override '{name}': {error}") from error


def _callable(callback: Callable[..., Any]) -> Callable[..., Any]:
    if not callable(callback):
        raise TypeError(f"Callback must be callable, got {callback!r}")
    return callback


def _argument_overrides(arguments: RosArguments, node_fqn: str) -> dict[str, Parameter]:
    found = overrides_for(arguments.parameters, node_fqn)
    return {name: _as_override(name, value) for name, value in found.items()}


class ParameterMixin:
    """Gives a node typed, described parameters that announce their changes."""

    def _rclpy_init_parameters(
        self,
        parameter_overrides: Sequence[Parameter] | None,
        allow_undeclared_parameters: bool,
        automatically_declare_parameters_from_overrides: bool,
    ) -> None:
        self._parameters: dict[str, Parameter] = {}
        self._descriptors: dict[str, ParameterDescriptor] = {}
        self._pre_set_parameters_callbacks: list[PreSetCallback] = []
        self._on_set_parameters_callbacks: list[OnSetCallback] = []
        self._post_set_parameters_callbacks: list[PostSetCallback] = []
        self._allow_undeclared_parameters = allow_undeclared_parameters
        self._parameter_overrides: dict[str, Parameter] = {}
        for arguments in self._rclpy_argument_sources():
            self._parameter_overrides.update(
                _argument_overrides(arguments, self.get_fully_qualified_name())
            )
        self._parameter_overrides.update({p.name: p for p in parameter_overrides or ()})
        self._parameter_event_publisher = self.create_publisher(
            ParameterEvent, "/parameter_events", qos_profile_parameter_events
        )
        if automatically_declare_parameters_from_overrides:
            for override in self._parameter_overrides.values():
                self.declare_parameter(
                    override.name,
                    override.value,
                    ParameterDescriptor(dynamic_typing=True),
                    ignore_override=True,
                )

    def _rclpy_start_parameter_services(self) -> None:
        from rclpy.parameter_service import ParameterService

        self._parameter_service = ParameterService(self)

    # Declaring

    def declare_parameter(
        self,
        name: str,
        value: Any = None,
        descriptor: ParameterDescriptor | None = None,
        ignore_override: bool = False,
    ) -> Parameter:
        """Declare a parameter by its default value, or by its Parameter.Type alone."""
        if value is None and descriptor is None:
            entry: tuple[Any, ...] = (name,)
        else:
            entry = (name, value, descriptor or ParameterDescriptor())
        return self.declare_parameters("", [entry], ignore_override)[0]

    def declare_parameters(
        self, namespace: str, parameters: Sequence[tuple[Any, ...]], ignore_override: bool = False
    ) -> list[Parameter]:
        """Declare tuples of a name and optionally a value or type, and a descriptor.

        Raises:
            ParameterAlreadyDeclaredException: Nothing is declared then.
            InvalidParameterTypeException: An override has another type than the default.
            InvalidParameterValueException: A callback or the descriptor refuses a value; the
                parameters before it stay declared.
        """
        declared = [
            self.__to_declare(index, entry, namespace, ignore_override)
            for index, entry in enumerate(parameters)
        ]
        known = [parameter.name for parameter, _ in declared if self.has_parameter(parameter.name)]
        if known:
            raise ParameterAlreadyDeclaredException(known)
        for parameter, descriptor in declared:
            result = self.__check_and_store([parameter], {parameter.name: descriptor})
            if not result.successful:
                if result.reason.startswith(WRONG_TYPE):
                    raise InvalidParameterTypeException(
                        parameter, Parameter.Type(descriptor.type).name
                    )
                raise InvalidParameterValueException(
                    parameter.name, parameter.value, result.reason
                )
        return [self._parameters[parameter.name] for parameter, _ in declared]

    def __to_declare(
        self, index: int, entry: tuple[Any, ...], namespace: str, ignore_override: bool
    ) -> tuple[Parameter, ParameterDescriptor]:
        if not 1 <= len(entry) <= 3:
            raise TypeError(
                f"Invalid parameter tuple length at index {index} in parameters list: {entry}; "
                "expecting length between 1 and 3"
            )
        name = entry[0]
        if not isinstance(name, str):
            raise TypeError(f"First element {name} at index {index} is not a str.")
        name = f"{namespace}.{name}" if namespace else name
        if not name:
            raise InvalidParameterException(name)
        value = entry[1] if len(entry) > 1 else None
        descriptor = entry[2] if len(entry) > 2 else ParameterDescriptor()
        if not isinstance(descriptor, ParameterDescriptor):
            raise TypeError(
                f"Third element {descriptor} at index {index} is not a ParameterDescriptor."
            )
        if len(entry) == 1:
            warnings.warn(
                f"declaring parameter '{name}' by its name only is deprecated; pass a default "
                "value, a Parameter.Type, or a descriptor with dynamic_typing=True",
                stacklevel=5,
            )
            descriptor.dynamic_typing = True
        if isinstance(value, Parameter.Type):
            if value is Parameter.Type.NOT_SET:
                raise ValueError(
                    f"Cannot declare parameter {{{name}}} as statically typed of type NOT_SET"
                )
            if descriptor.dynamic_typing:
                raise ValueError(
                    f"parameter {{{name}}} cannot be declared with a type and with a descriptor "
                    "that has dynamic_typing=True"
                )
            descriptor.type = value.value
            value = None
        else:
            if isinstance(value, ParameterValue):
                value = parameter_value_to_python(value)
            if not descriptor.dynamic_typing:
                descriptor.type = Parameter.Type.from_parameter_value(value).value
                if value is None:
                    raise ValueError(
                        f"Cannot declare statically typed parameter {{{name}}} with default "
                        "value of type PARAMETER_NOT_SET"
                    )
        if not ignore_override and name in self._parameter_overrides:
            value = self._parameter_overrides[name].value
        return Parameter(name, value=value), descriptor

    def undeclare_parameter(self, name: str) -> None:
        if not self.has_parameter(name):
            raise ParameterNotDeclaredException(name)
        if self._descriptors[name].read_only:
            raise ParameterImmutableException(name)
        del self._parameters[name], self._descriptors[name]

    # Reading

    def has_parameter(self, name: str) -> bool:
        return name in self._parameters

    def get_parameter(self, name: str) -> Parameter:
        if self.has_parameter(name):
            parameter = self._parameters[name]
            if parameter.value is None and not self._descriptors[name].dynamic_typing:
                raise ParameterUninitializedException(name)
            return parameter
        if self._allow_undeclared_parameters:
            return Parameter(name)
        raise ParameterNotDeclaredException(name)

    def get_parameters(self, names: list[str]) -> list[Parameter]:
        return [self.get_parameter(name) for name in self.__checked_names(names)]

    def get_parameter_or(self, name: str, alternative_value: Parameter | None = None) -> Parameter:
        parameter = self._parameters.get(name)
        if parameter is None or parameter.type_ is Parameter.Type.NOT_SET:
            return Parameter(name) if alternative_value is None else alternative_value
        return parameter

    def get_parameter_type(self, name: str) -> Any:
        if self.has_parameter(name):
            return self._parameters[name].type_.value
        if self._allow_undeclared_parameters:
            return Parameter.Type.NOT_SET
        raise ParameterNotDeclaredException(name)

    def get_parameter_types(self, names: list[str]) -> list[Any]:
        return [self.get_parameter_type(name) for name in self.__checked_names(names)]

    def get_parameters_by_prefix(self, prefix: str) -> dict[str, Parameter]:
        if prefix:
            prefix += PARAMETER_SEPARATOR_STRING
        return {
            name.removeprefix(prefix): parameter
            for name, parameter in self._parameters.items()
            if name.startswith(prefix)
        }

    def list_parameters(self, prefixes: list[str], depth: int) -> ListParametersResult:
        """List names below the prefixes, to a depth of name parts (0: any)."""
        if not isinstance(prefixes, list):
            raise TypeError("The prefixes argument must be a list")
        if not all(isinstance(prefix, str) for prefix in prefixes):
            raise TypeError("All prefixes must be instances of type str")
        if not isinstance(depth, int):
            raise TypeError("The depth must be instance of type int")
        if depth < 0:
            raise ValueError("The depth must be greater than or equal to zero")

        def shallow(name: str) -> bool:
            return depth == 0 or name.count(PARAMETER_SEPARATOR_STRING) < depth

        def below(name: str, prefix: str) -> bool:
            stem = prefix + PARAMETER_SEPARATOR_STRING
            return name == prefix or (name.startswith(stem) and shallow(name.removeprefix(stem)))

        result = ListParametersResult()
        for name in self._parameters:
            if any(below(name, prefix) for prefix in prefixes) if prefixes else shallow(name):
                result.names.append(name)
                stem = name.rpartition(PARAMETER_SEPARATOR_STRING)[0]
                if stem and stem not in result.prefixes:
                    result.prefixes.append(stem)
        return result

    def __checked_names(self, names: list[str]) -> list[str]:
        if not all(isinstance(name, str) for name in names):
            raise TypeError(f"All names must be instances of type str, got {names!r}")
        return names

    # Setting

    def set_parameters(self, parameter_list: list[Parameter]) -> list[SetParametersResult]:
        """Set parameters one by one; an undeclared one raises and ends the work."""
        return [self.set_parameters_atomically([parameter]) for parameter in parameter_list]

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """Set all parameters or none; a value of type NOT_SET undeclares its parameter."""
        if self._pre_set_parameters_callbacks:
            parameter_list = [
                parameter
                for callback in self._pre_set_parameters_callbacks
                for parameter in callback(parameter_list)
            ]
            if not parameter_list:
                return SetParametersResult(
                    successful=False,
                    reason="parameter list cannot be empty, this might be due to "
                    "pre_set_parameters_callback modifying the original parameters list.",
                )
        for parameter in parameter_list:
            if not isinstance(parameter, Parameter):
                raise TypeError(f"parameter must be instance of {Parameter!r}, not {parameter!r}")
        unknown = [p.name for p in parameter_list if not self.has_parameter(p.name)]
        if unknown and not self._allow_undeclared_parameters:
            raise ParameterNotDeclaredException(unknown)
        return self.__check_and_store(parameter_list, None)

    def __check_and_store(
        self, parameter_list: list[Parameter], declaration: dict[str, ParameterDescriptor] | None
    ) -> SetParametersResult:
        """Apply descriptors (given ones when declaring) and callbacks, then store and announce."""
        descriptors = self._descriptors if declaration is None else declaration
        for parameter in parameter_list:
            if parameter.name in descriptors:
                reason = refusal(
                    parameter,
                    descriptors[parameter.name],
                    declared=self.has_parameter(parameter.name),
                    check_read_only=declaration is None,
                )
                if reason:
                    return SetParametersResult(successful=False, reason=reason)
        for callback in self._on_set_parameters_callbacks:
            result = callback(parameter_list)
            if not isinstance(result, SetParametersResult):
                reason = f"a callback returned {result!r} instead of a SetParametersResult"
                warnings.warn(reason, stacklevel=4)
                return SetParametersResult(successful=False, reason=reason)
            if not result.successful:
                return result
        event = ParameterEvent(node=self.get_fully_qualified_name())
        for parameter in parameter_list:
            name = parameter.name
            if declaration is None and parameter.type_ is Parameter.Type.NOT_SET:
                event.deleted_parameters.append(parameter.to_parameter_msg())
                self._parameters.pop(name, None)
                self._descriptors.pop(name, None)
                continue
            if declaration is not None:
                self._descriptors[name] = declaration[name]
            elif name not in self._descriptors:
                self._descriptors[name] = ParameterDescriptor(
                    name=name, type=parameter.type_.value, dynamic_typing=True
                )
            is_new = self.get_parameter_or(name).type_ is Parameter.Type.NOT_SET
            changes = event.new_parameters if is_new else event.changed_parameters
            changes.append(parameter.to_parameter_msg())
            self._parameters[name] = parameter
        event.stamp = self.get_clock().now().to_msg()
        self._parameter_event_publisher.publish(event)
        for post_callback in self._post_set_parameters_callbacks:
            post_callback(parameter_list)
        return SetParametersResult(successful=True)

    def add_pre_set_parameters_callback(self, callback: PreSetCallback) -> None:
        self._pre_set_parameters_callbacks.insert(0, _callable(callback))

    def add_on_set_parameters_callback(self, callback: OnSetCallback) -> None:
        self._on_set_parameters_callbacks.insert(0, _callable(callback))

    def add_post_set_parameters_callback(self, callback: PostSetCallback) -> None:
        self._post_set_parameters_callbacks.insert(0, _callable(callback))

    def remove_pre_set_parameters_callback(self, callback: PreSetCallback) -> None:
        self._pre_set_parameters_callbacks.remove(callback)

    def remove_on_set_parameters_callback(self, callback: OnSetCallback) -> None:
        self._on_set_parameters_callbacks.remove(callback)

    def remove_post_set_parameters_callback(self, callback: PostSetCallback) -> None:
        self._post_set_parameters_callbacks.remove(callback)

    # Describing

    def describe_parameter(self, name: str) -> ParameterDescriptor:
        if name in self._descriptors:
            return self._descriptors[name]
        if self._allow_undeclared_parameters:
            return ParameterDescriptor()
        raise ParameterNotDeclaredException(name)

    def describe_parameters(self, names: list[str]) -> list[ParameterDescriptor]:
        return [self.describe_parameter(name) for name in names]

    def set_descriptor(
        self,
        name: str,
        descriptor: ParameterDescriptor,
        alternative_value: ParameterValue | None = None,
    ) -> ParameterValue:
        """Replace a descriptor; the alternative value steps in where the present one breaks it."""
        if not self.has_parameter(name):
            if not self._allow_undeclared_parameters:
                raise ParameterNotDeclaredException(name)
            return self.get_parameter(name).get_parameter_value()
        if self.describe_parameter(name).read_only:
            raise ParameterImmutableException(name)
        candidates = [self.get_parameter(name)]
        if alternative_value is not None:
            value = parameter_value_to_python(alternative_value)
            candidates.append(Parameter(name, Parameter.Type(alternative_value.type), value))
        for parameter in candidates:
            reason = refusal(parameter, descriptor, declared=True, check_read_only=False)
            if not reason:
                self._parameters[name] = parameter
                self._descriptors[name] = descriptor
                return parameter.get_parameter_value()
        raise InvalidParameterValueException(name, candidates[-1].value, reason)
