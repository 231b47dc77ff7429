# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Recorded RGB-D in, references out: player, referring server and referrer.

    ros2 launch roborefer_bringup real_scene.launch.py path:=scenes/kitchen
    ros2 action send_goal --feedback /refer roborefer_msgs/action/Refer "{instruction: 'the mug'}"
    ros2 launch roborefer_bringup real_scene.launch.py path:=my_bag frame:=base_link rviz:=true

Without ROS 2 it is `pocket-ros2` in place of `ros2`. References are in the frame of the camera,
because most recordings know no other.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from roborefer_bringup.launching import (
    YES_NO,
    ArgumentError,
    check_server,
    checked,
    common_arguments,
    config,
    include,
    numbers,
    referring_server,
    rviz,
    server_arguments,
)


def check_path(arguments):
    """Refuse a recording that is not there."""
    if not Path(arguments["path"]).expanduser().exists():
        raise ArgumentError(
            f"path:={arguments['path']} is not there; name a scene, a folder of scenes, a TUM"
            " sequence or a ROS 2 bag"
        )


def generate_launch_description():
    """Declare the arguments, check them, then start everything."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "path", description="A scene, a folder of scenes, a TUM sequence or a ROS 2 bag."
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
                "frame",
                default_value="camera_color_optical_frame",
                description="Frame of the references; it must be known to TF.",
            ),
            DeclareLaunchArgument(
                "params_file",
                default_value=config("real_scene.yaml"),
                description="Parameters of player and referrer.",
            ),
            DeclareLaunchArgument(
                "rviz",
                default_value="false",
                choices=YES_NO,
                description="Show references in RViz, which must be installed.",
            ),
            *server_arguments(engine="scene_graph"),
            *common_arguments(use_sim_time="false", choices=["false"]),
            checked(
                check_path,
                numbers(["hold"], 0, 1e6),
                numbers(["speed"], 1e-3, 100),
                numbers(["port"], 1, 65535),
                check_server,
            ),
            referring_server(),
            include(
                "roborefer_perception",
                "rgbd_player.launch.py",
                path=LaunchConfiguration("path"),
                hold=LaunchConfiguration("hold"),
                speed=LaunchConfiguration("speed"),
                params_file=LaunchConfiguration("params_file"),
            ),
            include(
                "roborefer_perception",
                "referrer.launch.py",
                params_file=LaunchConfiguration("params_file"),
                url=LaunchConfiguration("url"),
                target_frame=LaunchConfiguration("frame"),
            ),
            rviz(),
        ]
    )
