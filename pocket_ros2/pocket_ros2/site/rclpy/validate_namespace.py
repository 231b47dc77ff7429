# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Validation of namespaces."""

from __future__ import annotations

from rclpy._names import validate_namespace

__all__ = ["validate_namespace"]
