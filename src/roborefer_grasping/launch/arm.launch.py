# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The arm node, configured and active, for a robot whose driver and camera run already.

    ros2 launch roborefer_grasping arm.launch.py robot:=sim
    ros2 launch roborefer_grasping arm.launch.py robot:=ur5e tf_prefix:=left_
    ros2 launch roborefer_grasping arm.launch.py params_file:=mine.yaml use_sim_time:=false

Without ROS 2 it is `pocket-ros2 launch` in place of `ros2 launch`.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import (
    EqualsSubstitution,
    IfElseSubstitution,
    LaunchConfiguration,
    PathJoinSubstitution,
)
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

ROBOTS = ["sim", "ur5", "ur5e", "ur5e_lyrical"]


def generate_launch_description():
    """Declare the arguments, then start the node."""
    robot = LaunchConfiguration("robot")
    is_simulated = EqualsSubstitution(robot, "sim")
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "robot",
                choices=ROBOTS,
                description="Which file of config/ is used; sim must be asked for, too.",
            ),
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution(
                    [FindPackageShare("roborefer_grasping"), "config", [robot, ".yaml"]]
                ),
                description="Parameters of the arm; made by roborefer_grasping.core.parameters.",
            ),
            DeclareLaunchArgument(
                "tf_prefix",
                default_value="",
                description="Put before the names of the robot's joints and frames.",
            ),
            DeclareLaunchArgument(
                "planner",
                default_value="embedded",
                choices=["embedded", "moveit"],
                description="Who searches paths; moveit needs a running move_group.",
            ),
            DeclareLaunchArgument(
                "namespace", default_value="", description="Of the node and its relative names."
            ),
            DeclareLaunchArgument(
                "use_sim_time",
                default_value=IfElseSubstitution(is_simulated, "true", "false"),
                description="Whether the node follows /clock.",
            ),
            DeclareLaunchArgument(
                "log_level",
                default_value="info",
                choices=["debug", "info", "warn", "error"],
                description="Of the node.",
            ),
            LifecycleNode(
                package="roborefer_grasping",
                executable="arm",
                name="arm",
                namespace=LaunchConfiguration("namespace"),
                autostart=True,
                output="screen",
                # Each look takes large arrays, in whichever thread is free. By default glibc
                # keeps them for that thread: 1 GB instead of 0.35 after a few tasks.
                additional_env={"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "524288"},
                ros_arguments=["--log-level", LaunchConfiguration("log_level")],
                parameters=[
                    LaunchConfiguration("params_file"),
                    {
                        "robot.tf_prefix": ParameterValue(
                            LaunchConfiguration("tf_prefix"), value_type=str
                        ),
                        "planner.engine": LaunchConfiguration("planner"),
                        "use_sim_time": ParameterValue(
                            LaunchConfiguration("use_sim_time"), value_type=bool
                        ),
                    },
                ],
            ),
        ]
    )
