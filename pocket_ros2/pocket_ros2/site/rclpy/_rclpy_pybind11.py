# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Errors that the C layer raises in rclpy."""

from __future__ import annotations


class RCLError(RuntimeError):
    """The client library refused an operation."""


class InvalidHandle(RuntimeError):
    """The entity was destroyed before."""
