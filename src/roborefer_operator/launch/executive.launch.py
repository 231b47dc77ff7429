# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The executive, configured and active, for a referrer and an arm that run already.

    ros2 launch roborefer_operator executive.launch.py
    ros2 launch roborefer_operator executive.launch.py use_sim_time:=true params_file:=mine.yaml
    ros2 launch roborefer_operator executive.launch.py records:=~/roborefer_records

Without ROS 2 it is `pocket-ros2 launch` in place of `ros2 launch`.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description():
    """Declare the arguments, then start the node."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution(
                    [FindPackageShare("roborefer_operator"), "config", "executive.yaml"]
                ),
                description="Parameters of the executive; records below wins over it.",
            ),
            DeclareLaunchArgument(
                "records",
                default_value="",
                description="Folder where every task leaves a record; empty keeps none.",
            ),
            DeclareLaunchArgument(
                "namespace", default_value="", description="Of the node and its relative names."
            ),
            DeclareLaunchArgument(
                "use_sim_time",
                default_value="false",
                choices=["true", "false"],
                description="Whether the node follows /clock.",
            ),
            DeclareLaunchArgument(
                "log_level",
                default_value="info",
                choices=["debug", "info", "warn", "error"],
                description="Of the node.",
            ),
            LifecycleNode(
                package="roborefer_operator",
                executable="executive",
                name="executive",
                namespace=LaunchConfiguration("namespace"),
                autostart=True,
                output="screen",
                ros_arguments=["--log-level", LaunchConfiguration("log_level")],
                parameters=[
                    LaunchConfiguration("params_file"),
                    {
                        "records.folder": ParameterValue(
                            LaunchConfiguration("records"), value_type=str
                        ),
                        "use_sim_time": ParameterValue(
                            LaunchConfiguration("use_sim_time"), value_type=bool
                        ),
                    },
                ],
            ),
        ]
    )
