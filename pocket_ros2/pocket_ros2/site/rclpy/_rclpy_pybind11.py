# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Errors that the C layer raises in rclpy."""

from __future__ import annotations


class RCLError(RuntimeError):
    """The client library refused an operation."""


class NodeNameNonExistentError(RCLError):
    """No node has that name."""


class RCLInvalidROSArgsError(RCLError):
    """A ROS argument has the wrong form."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Failed to parse ROS arguments: {reason}")


class UnknownROSArgsError(RCLError):
    """A ROS argument does not exist."""


class InvalidHandle(RuntimeError):
    """The entity was destroyed before."""
