# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A simulated UR5 that acts on sentences: cell, referring server, referrer, arm and executive.

    ros2 launch roborefer_bringup ur5_sim.launch.py seed:=3
    ros2 service call /instruct roborefer_msgs/srv/Instruct "{text: 'put the can in the bowl'}"
    ros2 launch roborefer_bringup ur5_sim.launch.py server:=external url:=http://gpu.local:25547

Without ROS 2 it is `pocket-ros2` in place of `ros2`.
"""

import sys

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import (
    EqualsSubstitution,
    LaunchConfiguration,
    PathJoinSubstitution,
)
from launch_ros.substitutions import FindPackageShare


def include(package, file, **arguments):
    """Include a launch file of a package."""
    path = PathJoinSubstitution([FindPackageShare(package), "launch", file])
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource(path), launch_arguments=list(arguments.items())
    )


def generate_launch_description():
    """Declare the arguments, then start everything."""
    common = {
        name: LaunchConfiguration(name) for name in ("namespace", "use_sim_time", "log_level")
    }
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "seed", default_value="0", description="Which random table is set."
            ),
            DeclareLaunchArgument(
                "engine",
                default_value="scene_graph",
                description="Who understands referring phrases; see roborefer serve --help.",
            ),
            DeclareLaunchArgument(
                "server",
                default_value="start",
                choices=["start", "external"],
                description="Start the referring server, or use one that runs at url.",
            ),
            DeclareLaunchArgument(
                "server_python",
                default_value=sys.executable,
                description="Python in which roborefer-vlm is installed.",
            ),
            DeclareLaunchArgument(
                "port", default_value="25547", description="Of the server that is started."
            ),
            DeclareLaunchArgument(
                "url",
                default_value=["http://127.0.0.1:", LaunchConfiguration("port")],
                description="Address of the referring server.",
            ),
            DeclareLaunchArgument(
                "planner",
                default_value="embedded",
                choices=["embedded", "moveit"],
                description="Who searches paths; moveit needs a running move_group.",
            ),
            DeclareLaunchArgument(
                "real_time_factor",
                default_value="1.0",
                description="Simulated seconds per second; 0 is as fast as possible.",
            ),
            DeclareLaunchArgument(
                "namespace", default_value="", description="Of all nodes and relative names."
            ),
            DeclareLaunchArgument(
                "use_sim_time",
                default_value="true",
                choices=["true"],
                description="A simulated robot always follows /clock.",
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
            ExecuteProcess(
                cmd=[
                    LaunchConfiguration("server_python"), "-m", "roborefer_vlm", "serve",
                    "--engine", LaunchConfiguration("engine"),
                    "--port", LaunchConfiguration("port"),
                ],
                condition=IfCondition(EqualsSubstitution(LaunchConfiguration("server"), "start")),
                # More threads only wait for each other where the other nodes need the cores.
                additional_env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                output="screen",
            ),
            include(
                "roborefer_sim", "ur5_cell.launch.py", seed=LaunchConfiguration("seed"),
                real_time_factor=LaunchConfiguration("real_time_factor"),
                rviz=LaunchConfiguration("rviz"), **common,
            ),
            include(
                "roborefer_perception", "referrer.launch.py", url=LaunchConfiguration("url"),
                rviz="false", **common,
            ),
            include(
                "roborefer_grasping", "arm.launch.py", robot="sim",
                planner=LaunchConfiguration("planner"), **common,
            ),
            include("roborefer_operator", "executive.launch.py", **common),
        ]
    )  # fmt: skip
