# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The hand-eye calibration helper, for a robot whose driver and camera run already.

    ros2 launch roborefer_perception hand_eye.launch.py mount:=eye_to_hand
    ros2 launch roborefer_perception hand_eye.launch.py mount:=eye_in_hand camera_frame:=cam_link
    ros2 launch roborefer_perception hand_eye.launch.py mount:=eye_to_hand auto:=false

Without ROS 2 it is `pocket-ros2 launch` in place of `ros2 launch`.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import IfElseSubstitution, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

FRAMES = {
    "base_frame": ("base_link", "Root of the arm."),
    "tool_frame": ("tool0", "What the board or the camera is fixed to."),
    "camera_frame": ("", "Frame that is given a place; empty is that of the images."),
    "output_file": ("hand_eye.yaml", "Where the result is written; it must not exist."),
}


def generate_launch_description():
    """Declare the arguments, then start the node."""
    texts = {name: ParameterValue(LaunchConfiguration(name), value_type=str) for name in FRAMES}
    texts["output.file"] = texts.pop("output_file")
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "mount",
                choices=["eye_to_hand", "eye_in_hand"],
                description="Whether the camera stands still, or is on the tool.",
            ),
            DeclareLaunchArgument(
                "auto",
                default_value="true",
                choices=["true", "false"],
                description="Take a sample whenever the board stands still at a new place.",
            ),
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution(
                    [FindPackageShare("roborefer_perception"), "config", "hand_eye.yaml"]
                ),
                description="Parameters, the size of the board among them.",
            ),
            *(
                DeclareLaunchArgument(name, default_value=default, description=text)
                for name, (default, text) in FRAMES.items()
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
                package="roborefer_perception",
                executable="hand_eye",
                name="hand_eye",
                namespace=LaunchConfiguration("namespace"),
                output="screen",
                arguments=[IfElseSubstitution(LaunchConfiguration("auto"), "--auto", "--manual")],
                ros_arguments=["--log-level", LaunchConfiguration("log_level")],
                parameters=[
                    LaunchConfiguration("params_file"),
                    {
                        **texts,
                        "mount": LaunchConfiguration("mount"),
                        "use_sim_time": ParameterValue(
                            LaunchConfiguration("use_sim_time"), value_type=bool
                        ),
                    },
                ],
            ),
        ]
    )
