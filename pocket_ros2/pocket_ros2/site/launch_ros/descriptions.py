# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: F401
"""Descriptions of what is handed to nodes."""

from __future__ import annotations

from launch_ros.parameter_descriptions import Parameter, ParameterFile, ParameterValue
