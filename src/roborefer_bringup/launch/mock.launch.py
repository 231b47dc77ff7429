# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Executive and a robot in words: no simulator, no model, nothing moves; up within seconds.

    ros2 launch roborefer_bringup mock.launch.py
    ros2 service call /instruct roborefer_msgs/srv/Instruct "{text: 'pick the mug'}"
    ros2 topic echo /task_status --qos-durability transient_local

Without ROS 2 it is `pocket-ros2` in place of `ros2`.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description():
    """Declare the arguments, then start the nodes."""
    names = ("namespace", "use_sim_time", "log_level")
    executive = PathJoinSubstitution(
        [FindPackageShare("roborefer_operator"), "launch", "executive.launch.py"]
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "motion_s", default_value="0.5", description="How long each motion takes."
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
            Node(
                package="roborefer_operator",
                executable="mock_robot",
                namespace=LaunchConfiguration("namespace"),
                output="screen",
                ros_arguments=["--log-level", LaunchConfiguration("log_level")],
                parameters=[
                    {
                        "motion_s": ParameterValue(
                            LaunchConfiguration("motion_s"), value_type=float
                        ),
                        "use_sim_time": ParameterValue(
                            LaunchConfiguration("use_sim_time"), value_type=bool
                        ),
                    }
                ],
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(executive),
                launch_arguments=[(name, LaunchConfiguration(name)) for name in names],
            ),
        ]
    )
