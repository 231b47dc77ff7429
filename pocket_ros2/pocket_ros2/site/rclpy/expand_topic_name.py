# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Expansion of relative and private names."""

from __future__ import annotations

from rclpy._names import expand_topic_name

__all__ = ["expand_topic_name"]
