# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Validation of names that may be relative."""

from __future__ import annotations

from rclpy._names import validate_topic_name

__all__ = ["validate_topic_name"]
