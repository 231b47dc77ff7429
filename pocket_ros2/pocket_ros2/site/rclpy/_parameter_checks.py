# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks of a parameter against its descriptor."""

from __future__ import annotations

import math
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.parameter import Parameter

WRONG_TYPE = "Wrong parameter type"
_REL_TOL = 1e-6


def refusal(
    parameter: Parameter, descriptor: ParameterDescriptor, *, declared: bool, check_read_only: bool
) -> str:
    """Return why the descriptor forbids this value, or an empty string where it does not.

    A dynamically typed descriptor takes over the type of the value.
    """
    descriptor.name = parameter.name
    if check_read_only and descriptor.read_only:
        return f"Trying to set a read-only parameter: {parameter.name}."
    if descriptor.dynamic_typing:
        descriptor.type = parameter.type_.value
    elif parameter.type_ is Parameter.Type.NOT_SET:
        if declared:
            return "Static parameter cannot be undeclared"
    elif parameter.type_.value != descriptor.type:
        expected = Parameter.Type(descriptor.type)
        return f"{WRONG_TYPE}, expected '{expected}' got '{parameter.type_}'"
    if parameter.type_ is Parameter.Type.INTEGER and descriptor.integer_range:
        return _integer_refusal(parameter, descriptor.integer_range[0])
    if parameter.type_ is Parameter.Type.DOUBLE and descriptor.floating_point_range:
        return _double_refusal(parameter, descriptor.floating_point_range[0])
    return ""


def _bounds(bounds: Any) -> tuple[Any, Any]:
    return min(bounds.from_value, bounds.to_value), max(bounds.from_value, bounds.to_value)


def _outside(parameter: Parameter, low: Any, high: Any) -> str:
    return (
        f"Parameter {parameter.name} out of range. "
        f"Min: {low}, Max: {high}, value: {parameter.value}"
    )


def _off_step(parameter: Parameter, low: Any, high: Any, step: Any) -> str:
    return (
        f"The parameter value for {parameter.name} is not a valid step. "
        f"Min: {low}, max: {high}, value: {parameter.value}, step: {step}"
    )


def _integer_refusal(parameter: Parameter, bounds: Any) -> str:
    low, high = _bounds(bounds)
    value = parameter.value
    if value in (low, high):
        return ""
    if not low < value < high:
        return _outside(parameter, low, high)
    if bounds.step != 0 and (value - low) % bounds.step != 0:
        return _off_step(parameter, low, high, bounds.step)
    return ""


def _double_refusal(parameter: Parameter, bounds: Any) -> str:
    low, high = _bounds(bounds)
    value = parameter.value
    if math.isclose(value, low, rel_tol=_REL_TOL) or math.isclose(value, high, rel_tol=_REL_TOL):
        return ""
    if not low < value < high:
        return _outside(parameter, low, high)
    if bounds.step != 0.0:
        nearest = low + round((value - low) / bounds.step) * bounds.step
        if not math.isclose(nearest, value, rel_tol=_REL_TOL):
            return _off_step(parameter, low, high, bounds.step)
    return ""
