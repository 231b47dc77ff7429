# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks of a parameter against its descriptor."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor

from rclpy.parameter import Parameter

WRONG_TYPE = "Wrong parameter type"


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
        return _range_refusal(parameter, descriptor.integer_range[0], operator.eq)
    if parameter.type_ is Parameter.Type.DOUBLE and descriptor.floating_point_range:
        return _range_refusal(parameter, descriptor.floating_point_range[0], _close)
    return ""


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-6)


def _range_refusal(parameter: Parameter, bounds: Any, same: Callable[[Any, Any], bool]) -> str:
    low, high = sorted((bounds.from_value, bounds.to_value))
    value, step = parameter.value, bounds.step
    if same(value, low) or same(value, high):
        return ""
    if not low < value < high:
        return f"Parameter {parameter.name} out of range. Min: {low}, Max: {high}, value: {value}"
    if step:
        below = value - (value - low) % step
        if not same(value, below) and not same(value, below + step):
            return (
                f"The parameter value for {parameter.name} is not a valid step. "
                f"Min: {low}, max: {high}, value: {value}, step: {step}"
            )
    return ""
