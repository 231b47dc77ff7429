# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Declares the table of core/parameters.py on a node."""

from __future__ import annotations

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from roborefer_grasping.core.parameters import TABLE, Row, Value, describe


def declare(node: Node) -> None:
    """Declare all parameters; those of a running node stay as they are until it is configured."""
    for row in TABLE:
        node.declare_parameter(row.name, row.default, _descriptor(row))


def read(node: Node) -> dict[str, Value]:
    """Return the present values by name."""
    found = {}
    for row in TABLE:
        value = node.get_parameter(row.name).value
        found[row.name] = list(value) if isinstance(row.default, list) else value
    return found


def _descriptor(row: Row) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=describe(row))
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
