# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes the planning engine that the parameters name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from rclpy.lifecycle import LifecycleNode
from roborefer_common.core.parameters import Value

from roborefer_grasping.core.motion_settings import Settings
from roborefer_grasping.core.planning.embedded import EmbeddedPlanner
from roborefer_grasping.core.planning.interface import MotionPlanner
from roborefer_grasping.exceptions import RobotError


def make_planner(
    node: LifecycleNode, settings: Settings, values: Mapping[str, Value]
) -> MotionPlanner:
    """Return a planner for the configured robot.

    Raises:
        RobotError: The engine's library is not installed.
    """
    if values["planner.engine"] == "embedded":
        return EmbeddedPlanner(settings.robot, settings.gripper)
    try:
        # MoveIt's messages are only there where MoveIt is.
        engine = import_module("roborefer_grasping.planning.moveit")
    except ImportError as error:
        raise RobotError(
            f"planner.engine is 'moveit', but {error}; install moveit_msgs or choose 'embedded'"
        ) from error
    planner: MotionPlanner = engine.MoveItPlanner(
        node, settings.robot, settings.gripper, str(values["robot.tf_prefix"])
    )
    return planner
