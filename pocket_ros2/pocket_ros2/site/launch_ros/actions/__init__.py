# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: F401
"""Actions that start nodes, and what is common to several nodes."""

from __future__ import annotations

from pocket_ros2.subset import refuser

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

__getattr__ = refuser(
    "launch_ros.actions",
    *("ComposableNodeContainer", "LoadComposableNodes", "LifecycleTransition"),
    *("RosTimerAction", "SetROSLogDir"),
)
