# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A simulated UR5 that acts on sentences: cell, referring server, referrer, arm and executive.

    ros2 launch roborefer_bringup ur5_sim.launch.py seed:=3 console:=true
    ros2 service call /instruct roborefer_msgs/srv/Instruct "{text: 'put the can in the bowl'}"
    ros2 launch roborefer_bringup ur5_sim.launch.py server:=external url:=http://gpu.local:25547

Without ROS 2 it is `pocket-ros2` in place of `ros2`.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from roborefer_bringup.launching import (
    check_server,
    checked,
    common_arguments,
    config,
    include,
    numbers,
    operator_arguments,
    operator_nodes,
    referring_server,
    server_arguments,
)


def generate_launch_description():
    """Declare the arguments, check them, then start everything."""
    params_file = LaunchConfiguration("params_file")
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "seed", default_value="0", description="Which random table is set."
            ),
            DeclareLaunchArgument(
                "real_time_factor",
                default_value="1.0",
                description="Simulated seconds per second; 0 is as fast as possible.",
            ),
            DeclareLaunchArgument(
                "planner",
                default_value="embedded",
                choices=["embedded", "moveit"],
                description="Who searches paths; moveit needs a running move_group.",
            ),
            DeclareLaunchArgument(
                "params_file",
                default_value=config("ur5_sim.yaml"),
                description="Parameters of all nodes but simulator and arm.",
            ),
            *server_arguments(engine="scene_graph?namer=tabletop"),
            *operator_arguments(),
            # A simulated robot always follows /clock.
            *common_arguments(use_sim_time="true", choices=["true"]),
            checked(
                numbers(["seed"], 0, 2**31 - 1),
                numbers(["real_time_factor"], 0, 100),
                numbers(["port"], 1, 65535),
                numbers(["console_port"], 0, 65535),
                check_server,
            ),
            referring_server(),
            include(
                "roborefer_sim",
                "ur5_cell.launch.py",
                seed=LaunchConfiguration("seed"),
                real_time_factor=LaunchConfiguration("real_time_factor"),
            ),
            include(
                "roborefer_perception",
                "referrer.launch.py",
                params_file=params_file,
                url=LaunchConfiguration("url"),
            ),
            include(
                "roborefer_grasping",
                "arm.launch.py",
                robot="sim",
                planner=LaunchConfiguration("planner"),
            ),
            *operator_nodes(params_file),
        ]
    )
