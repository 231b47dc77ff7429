# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The web console, beside a robot that runs already; its log shows the address.

    ros2 launch roborefer_operator console.launch.py
    ros2 launch roborefer_operator console.launch.py port:=8800 token_file:=~/.roborefer_token
    ros2 launch roborefer_operator console.launch.py scene_frame:=world use_sim_time:=true

Without ROS 2 it is `pocket-ros2 launch` in place of `ros2 launch`.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description():
    """Declare the arguments, then start the node."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution(
                    [FindPackageShare("roborefer_operator"), "config", "console.yaml"]
                ),
                description="Parameters of the console; the arguments below win over it.",
            ),
            DeclareLaunchArgument(
                "port", default_value="8750", description="Of the page; 0 is any free one."
            ),
            DeclareLaunchArgument(
                "token",
                default_value="",
                description="Of the page; empty: from token_file, else a new one in the log.",
            ),
            DeclareLaunchArgument(
                "token_file",
                default_value="",
                description="Private file that holds the token; empty is none.",
            ),
            DeclareLaunchArgument(
                "scene_frame", default_value="base_link", description="Frame of the 3D view."
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
            Node(
                package="roborefer_operator",
                executable="console",
                name="console",
                namespace=LaunchConfiguration("namespace"),
                output="screen",
                ros_arguments=["--log-level", LaunchConfiguration("log_level")],
                parameters=[
                    LaunchConfiguration("params_file"),
                    {
                        "port": ParameterValue(LaunchConfiguration("port"), value_type=int),
                        "token": ParameterValue(LaunchConfiguration("token"), value_type=str),
                        "token_file": ParameterValue(
                            LaunchConfiguration("token_file"), value_type=str
                        ),
                        "scene.frame": ParameterValue(
                            LaunchConfiguration("scene_frame"), value_type=str
                        ),
                        "use_sim_time": ParameterValue(
                            LaunchConfiguration("use_sim_time"), value_type=bool
                        ),
                    },
                ],
            ),
        ]
    )
