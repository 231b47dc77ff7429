# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The referrer, configured and active, for a camera and a referring server that run already.

    ros2 launch roborefer_perception referrer.launch.py
    ros2 launch roborefer_perception referrer.launch.py use_sim_time:=true rviz:=true
    ros2 launch roborefer_perception referrer.launch.py url:=http://gpu.local:25547

Without ROS 2 it is `pocket-ros2 launch` in place of `ros2 launch`.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description():
    """Declare the arguments, then start the node."""
    share = FindPackageShare("roborefer_perception")
    namespace = LaunchConfiguration("namespace")
    log_level = ["--log-level", LaunchConfiguration("log_level")]
    use_sim_time = ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution([share, "config", "referrer.yaml"]),
                description="Parameters of the referrer; url and target_frame below win over it,"
                " with their defaults too.",
            ),
            DeclareLaunchArgument(
                "url",
                default_value="http://127.0.0.1:25547",
                description="Address of the referring server.",
            ),
            DeclareLaunchArgument(
                "target_frame",
                default_value="base_link",
                description="Frame of the resulting poses.",
            ),
            DeclareLaunchArgument(
                "namespace", default_value="", description="Of all nodes and relative names."
            ),
            DeclareLaunchArgument(
                "use_sim_time",
                default_value="false",
                choices=["true", "false"],
                description="Whether the nodes follow /clock.",
            ),
            DeclareLaunchArgument(
                "log_level",
                default_value="info",
                choices=["debug", "info", "warn", "error"],
                description="Of all nodes.",
            ),
            DeclareLaunchArgument(
                "rviz",
                default_value="false",
                choices=["true", "false"],
                description="Show references in RViz, which must be installed.",
            ),
            LifecycleNode(
                package="roborefer_perception",
                executable="referrer",
                name="referrer",
                namespace=namespace,
                autostart=True,
                output="screen",
                ros_arguments=log_level,
                parameters=[
                    LaunchConfiguration("params_file"),
                    {
                        "model.url": ParameterValue(LaunchConfiguration("url"), value_type=str),
                        "query.target_frame": ParameterValue(
                            LaunchConfiguration("target_frame"), value_type=str
                        ),
                        "use_sim_time": use_sim_time,
                    },
                ],
            ),
            Node(
                package="rviz2",
                executable="rviz2",
                namespace=namespace,
                condition=IfCondition(LaunchConfiguration("rviz")),
                arguments=["-d", PathJoinSubstitution([share, "config", "referrer.rviz"])],
                ros_arguments=log_level,
                parameters=[{"use_sim_time": use_sim_time}],
            ),
        ]
    )
