# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the launch files of this package share: arguments of one meaning, includes, checks."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from launch import LaunchContext
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
)
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import EqualsSubstitution, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

COMMON = ("namespace", "use_sim_time", "log_level")
YES_NO = ["true", "false"]


class ArgumentError(ValueError):
    """A launch argument cannot work; the message names it, its value, and what would."""


def common_arguments(use_sim_time: str, choices: list[str] | None = None) -> list[Any]:
    """Declare what every launch file has.

    Args:
        use_sim_time: Default of it.
        choices: Where only one is right.
    """
    return [
        DeclareLaunchArgument(
            "namespace", default_value="", description="Of all nodes and relative names."
        ),
        DeclareLaunchArgument(
            "use_sim_time",
            default_value=use_sim_time,
            choices=choices or YES_NO,
            description="Whether the nodes follow /clock.",
        ),
        DeclareLaunchArgument(
            "log_level",
            default_value="info",
            choices=["debug", "info", "warn", "error"],
            description="Of all nodes.",
        ),
    ]


def server_arguments(engine: str) -> list[Any]:
    """Declare what is said about the referring server.

    Args:
        engine: That is started by default.
    """
    return [
        DeclareLaunchArgument(
            "server",
            default_value="start",
            choices=["start", "external"],
            description="Start the referring server, or use one that runs at url.",
        ),
        DeclareLaunchArgument(
            "engine",
            default_value=engine,
            description="Who understands referring phrases; see roborefer serve --help.",
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
    ]


def referring_server() -> ExecuteProcess:
    """Start the referring server, if that is wanted."""
    return ExecuteProcess(
        cmd=[
            LaunchConfiguration("server_python"), "-m", "roborefer_vlm", "serve",
            "--engine", LaunchConfiguration("engine"), "--port", LaunchConfiguration("port"),
        ],
        name="server",
        condition=IfCondition(EqualsSubstitution(LaunchConfiguration("server"), "start")),
        # More threads only wait for each other where the other nodes need the cores.
        additional_env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        output="screen",
        # Whoever asks meanwhile is told that it is away; the robot itself goes on.
        respawn=True,
        respawn_delay=2.0,
    )  # fmt: skip


def include(package: str, file: str, condition: Any = None, **arguments: Any) -> Any:
    """Include a launch file of a package; the common arguments go along.

    It has a scope of its own: else its `params_file` would be that of every one that follows.
    """
    path = PathJoinSubstitution([FindPackageShare(package), "launch", file])
    given = {name: LaunchConfiguration(name) for name in COMMON} | arguments
    return GroupAction(
        [
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(path),
                launch_arguments=[(name, LaunchConfiguration(name)) for name in given],
            )
        ],
        condition=condition,
        launch_configurations=given,
        forwarding=False,
    )


def config(name: str) -> PathJoinSubstitution:
    """Return a file of config/ of this package."""
    return PathJoinSubstitution([FindPackageShare("roborefer_bringup"), "config", name])


def operator_arguments() -> list[Any]:
    """Declare what is said about people: speech, page, records."""
    return [
        DeclareLaunchArgument(
            "speech",
            default_value="false",
            choices=YES_NO,
            description="Listen on the topic audio, or with microphone:=true.",
        ),
        DeclareLaunchArgument(
            "microphone",
            default_value="false",
            choices=YES_NO,
            description="With speech: open the microphone of this machine.",
        ),
        DeclareLaunchArgument(
            "console",
            default_value="false",
            choices=YES_NO,
            description="Serve the web console; its address stands in the log.",
        ),
        DeclareLaunchArgument(
            "console_port", default_value="8750", description="Of the console; 0 is any free one."
        ),
        DeclareLaunchArgument(
            "records",
            default_value="",
            description="Folder where every task leaves a record; empty keeps none.",
        ),
        DeclareLaunchArgument(
            "rviz",
            default_value="false",
            choices=YES_NO,
            description="Show robot and references in RViz, which must be installed.",
        ),
    ]


def operator_nodes(params_file: Any) -> list[Any]:
    """Start executive, and speech, console and RViz where they are wanted.

    Args:
        params_file: Of executive, speech and console.
    """
    return [
        include(
            "roborefer_operator",
            "executive.launch.py",
            params_file=params_file,
            records=LaunchConfiguration("records"),
        ),
        include(
            "roborefer_operator",
            "speech.launch.py",
            IfCondition(LaunchConfiguration("speech")),
            params_file=params_file,
            microphone=LaunchConfiguration("microphone"),
        ),
        include(
            "roborefer_operator",
            "console.launch.py",
            IfCondition(LaunchConfiguration("console")),
            params_file=params_file,
            port=LaunchConfiguration("console_port"),
        ),
        rviz(),
    ]


def rviz() -> Node:
    """Start RViz, if that is wanted."""
    return Node(
        package="rviz2",
        executable="rviz2",
        namespace=LaunchConfiguration("namespace"),
        condition=IfCondition(LaunchConfiguration("rviz")),
        arguments=["-d", config("robot.rviz")],
        parameters=[
            {"use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)}
        ],
    )


def checked(*checks: Callable[[dict[str, str]], None]) -> OpaqueFunction:
    """Run checks of the arguments before anything starts.

    Args:
        checks: Each takes all arguments by name and raises ArgumentError.
    """

    def run(context: LaunchContext) -> list[Any]:
        for check in checks:
            check(dict(context.launch_configurations))
        return []

    return OpaqueFunction(function=run)


# --- checks -----------------------------------------------------------------------------------
def numbers(names: Iterable[str], low: float, high: float) -> Callable[[dict[str, str]], None]:
    """Return a check that arguments are numbers from low to high."""

    def check(arguments: dict[str, str]) -> None:
        for name in names:
            try:
                value = float(arguments[name])
            except ValueError:
                value = float("nan")
            if not low <= value <= high:
                raise ArgumentError(
                    f"{name}:={arguments[name]} is no number from {low:g} to {high:g}"
                )

    return check


def check_server(arguments: dict[str, str]) -> None:
    """Refuse an address that is none, and a server that cannot be started."""
    url = urlsplit(arguments["url"])
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ArgumentError(
            f"url:={arguments['url']} is no address; use one such as http://gpu.local:25547"
        )
    if arguments["server"] == "external":
        return
    python = arguments["server_python"]
    if python == sys.executable:
        found = importlib.util.find_spec("roborefer_vlm") is not None
    else:
        try:
            command = [python, "-c", "import roborefer_vlm"]
            found = subprocess.run(command, capture_output=True, check=False).returncode == 0
        except OSError as error:
            raise ArgumentError(
                f"server_python:={python} cannot be run: {error.strerror}"
            ) from error
    if not found:
        raise ArgumentError(
            f"roborefer-vlm is not installed for server_python:={python}; install it there with"
            " 'pip install ./vlm', name another Python, or use server:=external url:=..."
        )


def check_robot_ip(arguments: dict[str, str]) -> None:
    """Refuse anything but the address of one robot."""
    text = arguments["robot_ip"]
    try:
        address = ip_address(text)
    except ValueError as error:
        raise ArgumentError(
            f"robot_ip:={text} is no address; read it from the teach pendant, for example"
            " robot_ip:=192.168.56.101"
        ) from error
    if address.is_multicast or address.is_unspecified or address.is_reserved:
        raise ArgumentError(f"robot_ip:={text} is not the address of one robot")


def check_pose(name: str) -> Callable[[dict[str, str]], None]:
    """Return a check that an argument is empty, or a pose: x y z and a unit quaternion x y z w."""

    def check(arguments: dict[str, str]) -> None:
        if not arguments[name]:
            return
        try:
            values = [float(word) for word in arguments[name].split()]
        except ValueError:
            values = []
        if len(values) != 7 or not abs(math.hypot(*values[3:]) - 1.0) < 1e-3:
            raise ArgumentError(
                f"{name}:='{arguments[name]}' is no pose; give seven numbers: x y z in metres and"
                " a quaternion x y z w of length 1"
            )

    return check


def packages(*names: str) -> Callable[[dict[str, str]], None]:
    """Return a check that ROS packages are installed."""

    def check(arguments: dict[str, str]) -> None:
        for name in names:
            try:
                get_package_share_directory(name)
            except PackageNotFoundError as error:
                debian = name.replace("_", "-")
                raise ArgumentError(
                    f"the package {name} is not installed; type: sudo apt install"
                    f" ros-$ROS_DISTRO-{debian}"
                ) from error

    return check
