# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
r"""A real UR5 or UR5e with a RealSense camera that acts on sentences.

    ros2 launch roborefer_bringup ur5.launch.py robot:=ur5e robot_ip:=192.168.56.101 \
        camera_pose:='1.12 0 0.72 -0.65 -0.65 0.27 0.27'
    ros2 launch roborefer_bringup ur5.launch.py robot:=ur5 robot_ip:=192.168.56.101 planner:=moveit
    ros2 launch roborefer_bringup ur5.launch.py robot:=ur5e robot_ip:=192.168.56.101 \
        driver:=external camera:=external server:=external url:=http://gpu.local:25547

Untested: no such robot was at hand. Names of launch files and arguments were read in the
documentation of ur_robot_driver and ur_moveit_config, those of realsense2_camera only in part. The
driver of the gripper differs from cell to cell: start it beside this. `camera_pose` is
camera_link in base_link, as the node hand_eye of roborefer_perception finds it. Read "On a real
robot" in the README of roborefer_grasping first, and keep the emergency stop in reach.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import EqualsSubstitution, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare
from roborefer_bringup.launching import (
    ArgumentError,
    check_pose,
    check_robot_ip,
    check_server,
    checked,
    common_arguments,
    config,
    include,
    numbers,
    operator_arguments,
    operator_nodes,
    packages,
    referring_server,
    server_arguments,
)


def check_drivers(arguments):
    """Refuse what the vendors' launch files cannot do, and packages that are not installed."""
    if arguments["namespace"] and arguments["driver"] == "start":
        raise ArgumentError(
            f"namespace:={arguments['namespace']} does not go with driver:=start, because the"
            " controllers of ur_robot_driver live in the root namespace; use driver:=external"
        )
    wanted = {
        "ur_robot_driver": arguments["driver"] == "start",
        "realsense2_camera": arguments["camera"] == "start",
        "ur_moveit_config": arguments["planner"] == "moveit",
    }
    packages(*(name for name, is_wanted in wanted.items() if is_wanted))(arguments)


def camera_frame(context):
    """Publish where the camera is, if that is said."""
    pose = LaunchConfiguration("camera_pose").perform(context).split()
    if not pose:
        return []
    names = ("--x", "--y", "--z", "--qx", "--qy", "--qz", "--qw")
    options = [text for pair in zip(names, pose, strict=True) for text in pair]
    return [
        Node(
            package="tf2_ros",
            executable="static_transform_publisher",
            namespace=LaunchConfiguration("namespace"),
            arguments=[*options, "--frame-id", "base_link", "--child-frame-id", "camera_link"],
        )
    ]


def generate_launch_description():
    """Declare the arguments, check them, then start everything."""
    robot, params_file = LaunchConfiguration("robot"), LaunchConfiguration("params_file")
    is_given = lambda name: IfCondition(  # noqa: E731
        EqualsSubstitution(LaunchConfiguration(name), "start")
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "robot", choices=["ur5", "ur5e"], description="Kind of the arm."
            ),
            DeclareLaunchArgument(
                "robot_ip", description="Address of the robot, as its teach pendant shows it."
            ),
            DeclareLaunchArgument(
                "driver",
                default_value="start",
                choices=["start", "external"],
                description="Start ur_robot_driver, or use one that runs.",
            ),
            DeclareLaunchArgument(
                "camera",
                default_value="start",
                choices=["start", "external"],
                description="Start realsense2_camera, or use a camera that runs.",
            ),
            DeclareLaunchArgument(
                "camera_pose",
                default_value="",
                description="Of camera_link in base_link: 'x y z qx qy qz qw'; empty: TF has it.",
            ),
            DeclareLaunchArgument(
                "planner",
                default_value="embedded",
                choices=["embedded", "moveit"],
                description="Who searches paths; moveit starts ur_moveit_config.",
            ),
            DeclareLaunchArgument(
                "params_file",
                default_value=config("ur5.yaml"),
                description="Parameters of all our nodes but the arm.",
            ),
            DeclareLaunchArgument(
                "arm_params_file",
                default_value=PathJoinSubstitution(
                    [FindPackageShare("roborefer_grasping"), "config", [robot, ".yaml"]]
                ),
                description="Parameters of the arm: gripper, workspace, speeds.",
            ),
            *server_arguments(engine="scene_graph"),
            *operator_arguments(),
            # A real robot never follows /clock.
            *common_arguments(use_sim_time="false", choices=["false"]),
            checked(
                check_robot_ip,
                check_pose("camera_pose"),
                numbers(["port"], 1, 65535),
                numbers(["console_port"], 0, 65535),
                check_drivers,
                check_server,
            ),
            include(
                "ur_robot_driver",
                "ur_control.launch.py",
                is_given("driver"),
                ur_type=robot,
                robot_ip=LaunchConfiguration("robot_ip"),
                launch_rviz="false",
            ),
            include(
                "ur_moveit_config",
                "ur_moveit.launch.py",
                IfCondition(EqualsSubstitution(LaunchConfiguration("planner"), "moveit")),
                ur_type=robot,
                launch_rviz="false",
            ),
            # In this namespace its topics are camera/color/image_raw and so on.
            include(
                "realsense2_camera",
                "rs_launch.py",
                is_given("camera"),
                **{
                    "camera_namespace": LaunchConfiguration("namespace"),
                    "camera_name": "camera",
                    "align_depth.enable": "true",
                    "enable_sync": "true",
                },
            ),
            OpaqueFunction(function=camera_frame),
            referring_server(),
            include(
                "roborefer_perception",
                "referrer.launch.py",
                params_file=params_file,
                url=LaunchConfiguration("url"),
            ),
            include(
                "roborefer_grasping",
                "arm.launch.py",
                robot=robot,
                params_file=LaunchConfiguration("arm_params_file"),
                planner=LaunchConfiguration("planner"),
            ),
            *operator_nodes(params_file),
        ]
    )
