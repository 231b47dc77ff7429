# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Declares a table of parameters on a node, and reads it."""

from __future__ import annotations

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from roborefer_common.core.parameters import Row, Table, Value, check, describe


def declare(node: Node, table: Table) -> None:
    """Declare all parameters with description, range and, if they are fixed, as read-only.

    Raises:
        InvalidParameterValueException: A given value is out of range.
        InvalidParameterTypeException: A given value has another type.
    """
    for row in table:
        node.declare_parameter(row.name, row.default, _descriptor(row))


def read(node: Node, table: Table) -> dict[str, Value]:
    """Return the present values by name.

    Raises:
        ParameterError: A value is not one that the table allows.
    """
    values: dict[str, Value] = {}
    for row in table:
        value = node.get_parameter(row.name).value
        values[row.name] = list(value) if isinstance(row.default, list) else value
    check(table, values)
    return values


def _descriptor(row: Row) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=describe(row), read_only=row.fixed)
    if row.low is not None and row.high is not None:
        if isinstance(row.default, int):
            descriptor.integer_range = [
                IntegerRange(from_value=int(row.low), to_value=int(row.high), step=0)
            ]
        else:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(row.low), to_value=float(row.high), step=0.0)
            ]
    return descriptor
