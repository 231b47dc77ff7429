# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: F401
"""Launch of ROS nodes."""

from __future__ import annotations

from launch_ros import actions, descriptions, substitutions
