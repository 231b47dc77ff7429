# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A recording in the place of an RGB-D camera.

    ros2 launch roborefer_perception rgbd_player.launch.py path:=scenes/kitchen
    ros2 launch roborefer_perception rgbd_player.launch.py path:=freiburg2_desk speed:=0.5
    ros2 launch roborefer_perception rgbd_player.launch.py path:=my_bag params_file:=my_bag.yaml

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
    share = FindPackageShare("roborefer_perception")
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "path", description="A scene, a folder of scenes, a TUM sequence or a ROS 2 bag."
            ),
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution([share, "config", "rgbd_player.yaml"]),
                description="Parameters of the player; the arguments below win over it,"
                " with their defaults too.",
            ),
            DeclareLaunchArgument(
                "hold",
                default_value="0.0",
                description="How long a scene stays, seconds; 0: until next is called.",
            ),
            DeclareLaunchArgument(
                "speed", default_value="1.0", description="Of a sequence or bag."
            ),
            DeclareLaunchArgument(
                "at_end",
                default_value="loop",
                choices=["loop", "hold", "exit"],
                description="What comes after the last picture.",
            ),
            DeclareLaunchArgument(
                "publish_clock",
                default_value="false",
                choices=["true", "false"],
                description="Stamp with recorded time and publish it as /clock.",
            ),
            DeclareLaunchArgument(
                "namespace", default_value="", description="Of the node and its relative names."
            ),
            DeclareLaunchArgument(
                "log_level",
                default_value="info",
                choices=["debug", "info", "warn", "error"],
                description="Of the node.",
            ),
            Node(
                package="roborefer_perception",
                executable="rgbd_player",
                namespace=LaunchConfiguration("namespace"),
                output="screen",
                ros_arguments=["--log-level", LaunchConfiguration("log_level")],
                parameters=[
                    LaunchConfiguration("params_file"),
                    {
                        "path": ParameterValue(LaunchConfiguration("path"), value_type=str),
                        "hold": ParameterValue(LaunchConfiguration("hold"), value_type=float),
                        "speed": ParameterValue(LaunchConfiguration("speed"), value_type=float),
                        "at_end": LaunchConfiguration("at_end"),
                        "publish_clock": ParameterValue(
                            LaunchConfiguration("publish_clock"), value_type=bool
                        ),
                    },
                ],
            ),
        ]
    )
