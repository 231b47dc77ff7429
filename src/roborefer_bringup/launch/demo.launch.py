# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Three sentences in the simulated cell: video, pictures and report.

    ros2 launch roborefer_bringup demo.launch.py
    ros2 launch roborefer_bringup demo.launch.py out:=/tmp/demo real_time_factor:=0
    ros2 run roborefer_bringup demo --out out/demo

The last one is the same program; its exit code tells whether all three were carried out. Without
ROS 2 it is `pocket-ros2` in place of `ros2`.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from roborefer_bringup.launching import checked, numbers


def generate_launch_description():
    """Declare the arguments, then start the program; it launches everything else."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "out", default_value="out/demo", description="Folder of the results."
            ),
            DeclareLaunchArgument(
                "real_time_factor",
                default_value="1.0",
                description="Simulated seconds per second; 0 is as fast as possible.",
            ),
            checked(numbers(["real_time_factor"], 0, 100)),
            Node(
                package="roborefer_bringup",
                executable="demo",
                output="screen",
                arguments=[
                    "--out", LaunchConfiguration("out"),
                    "--real-time-factor", LaunchConfiguration("real_time_factor"),
                ],
                on_exit=[Shutdown(reason="the demo has ended")],
            ),
        ]
    )  # fmt: skip
