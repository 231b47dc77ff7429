# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: F401
"""Actions that start nodes, and what is common to several nodes."""

from __future__ import annotations

from launch_ros.actions._common import (
    PushROSNamespace,
    PushRosNamespace,
    SetParameter,
    SetParametersFromFile,
    SetRemap,
    SetUseSimTime,
)
from launch_ros.actions._lifecycle import LifecycleNode, RosTimer
from launch_ros.actions.node import Node
