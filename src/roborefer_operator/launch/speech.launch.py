# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The speech node, for an executive that runs already.

    ros2 launch roborefer_operator speech.launch.py
    ros2 launch roborefer_operator speech.launch.py microphone:=true mode:=open
    ros2 launch roborefer_operator speech.launch.py wav_file:=pick_the_red_mug.wav

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
                    [FindPackageShare("roborefer_operator"), "config", "speech.yaml"]
                ),
                description="Parameters of the node; the arguments below win over it,"
                " with their defaults too.",
            ),
            DeclareLaunchArgument(
                "microphone",
                default_value="false",
                choices=["true", "false"],
                description="Whether a microphone of this machine is opened.",
            ),
            DeclareLaunchArgument(
                "mode",
                default_value="push_to_talk",
                choices=["push_to_talk", "open"],
                description="What ends an utterance: its last chunk, or a pause too.",
            ),
            DeclareLaunchArgument(
                "wav_file",
                default_value="",
                description="A WAV file that is heard once at the start; empty is none.",
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
                executable="speech",
                name="speech",
                namespace=LaunchConfiguration("namespace"),
                output="screen",
                ros_arguments=["--log-level", LaunchConfiguration("log_level")],
                parameters=[
                    LaunchConfiguration("params_file"),
                    {
                        "microphone.enabled": ParameterValue(
                            LaunchConfiguration("microphone"), value_type=bool
                        ),
                        "endpoint.mode": LaunchConfiguration("mode"),
                        "wav_file": ParameterValue(
                            LaunchConfiguration("wav_file"), value_type=str
                        ),
                        "use_sim_time": ParameterValue(
                            LaunchConfiguration("use_sim_time"), value_type=bool
                        ),
                    },
                ],
            ),
        ]
    )
