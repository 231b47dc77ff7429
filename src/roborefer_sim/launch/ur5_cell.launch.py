# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The simulated UR5 cell: simulator, robot_state_publisher and, on request, RViz.

    ros2 launch roborefer_sim ur5_cell.launch.py
    ros2 launch roborefer_sim ur5_cell.launch.py seed:=7 rviz:=true
    ros2 launch roborefer_sim ur5_cell.launch.py params_file:=mine.yaml tf_prefix:=left_

Without ROS 2 it is `pocket-ros2 launch` in place of `ros2 launch`.
"""

import sys

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import Command, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description():
    """Declare the arguments, then start the nodes."""
    share = FindPackageShare("roborefer_sim")
    namespace = LaunchConfiguration("namespace")
    log_level = ["--log-level", LaunchConfiguration("log_level")]
    use_sim_time = ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)
    tf_prefix = ParameterValue(LaunchConfiguration("tf_prefix"), value_type=str)
    description = Command(
        [
            sys.executable,
            " -m roborefer_sim.core.description --tf-prefix '",
            LaunchConfiguration("tf_prefix"),
            "'",
        ]
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution([share, "config", "simulator.yaml"]),
                description="Parameters of the simulator; seed, real_time_factor and tf_prefix"
                " below win over it, with their defaults too.",
            ),
            DeclareLaunchArgument(
                "seed", default_value="0", description="Which random table is set."
            ),
            DeclareLaunchArgument(
                "real_time_factor",
                default_value="1.0",
                description="Simulated seconds per second; 0 is as fast as possible.",
            ),
            DeclareLaunchArgument(
                "tf_prefix",
                default_value="",
                description="Put before the names of the robot's joints and frames.",
            ),
            DeclareLaunchArgument(
                "namespace", default_value="", description="Of all nodes and relative names."
            ),
            DeclareLaunchArgument(
                "use_sim_time",
                default_value="true",
                choices=["true", "false"],
                description="Whether the other nodes follow /clock.",
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
                description="Show the cell in RViz, which must be installed.",
            ),
            Node(
                package="roborefer_sim",
                executable="simulator",
                namespace=namespace,
                output="screen",
                ros_arguments=log_level,
                parameters=[
                    LaunchConfiguration("params_file"),
                    {
                        "scene.seed": ParameterValue(LaunchConfiguration("seed"), value_type=int),
                        "real_time_factor": ParameterValue(
                            LaunchConfiguration("real_time_factor"), value_type=float
                        ),
                        "tf_prefix": tf_prefix,
                        "publish_robot_tf": False,
                    },
                ],
            ),
            Node(
                package="robot_state_publisher",
                executable="robot_state_publisher",
                namespace=namespace,
                output="screen",
                ros_arguments=log_level,
                parameters=[
                    {
                        "robot_description": ParameterValue(description, value_type=str),
                        # The usual 20 Hz are coarse for an arm that moves.
                        "publish_frequency": 50.0,
                        "use_sim_time": use_sim_time,
                    }
                ],
            ),
            Node(
                package="rviz2",
                executable="rviz2",
                namespace=namespace,
                condition=IfCondition(LaunchConfiguration("rviz")),
                arguments=["-d", PathJoinSubstitution([share, "config", "ur5_cell.rviz"])],
                ros_arguments=log_level,
                parameters=[{"use_sim_time": use_sim_time}],
            ),
        ]
    )
