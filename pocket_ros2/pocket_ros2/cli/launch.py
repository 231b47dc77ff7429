# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""`launch`: start the system that a launch file describes."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocket_ros2 import workspace
from pocket_ros2.cli.common import CliError, verb

if TYPE_CHECKING:
    from launch import LaunchDescription


def register(commands: Any) -> None:
    """Add the commands of this module."""
    launch = verb(commands, "launch", _launch, "start a launch file")
    launch.add_argument("-n", "--noninteractive", action="store_true", help="no terminal is there")
    launch.add_argument("-d", "--debug", action="store_true", help="log what launch does")
    launch.add_argument("-s", "--show-args", action="store_true", help="print the arguments")
    launch.add_argument("-a", "--show-all-subprocesses-output", action="store_true")
    launch.add_argument("--launch-prefix", help="put this command before each executable")
    launch.add_argument("--launch-prefix-filter", help="only where this pattern matches")
    launch.add_argument("package", help="package name, or the path of a launch file")
    launch.add_argument("rest", nargs="*", metavar="launch_file | name:=value")


def _launch(args: argparse.Namespace) -> int:
    from launch import LaunchContext, LaunchDescription, LaunchService
    from launch.actions import IncludeLaunchDescription
    from launch.launch_description_sources import AnyLaunchDescriptionSource
    from launch.logging import get_logger, launch_config

    path, arguments = _split(args.package, args.rest)
    given = _pairs(arguments)
    source = AnyLaunchDescriptionSource(str(path))
    if args.show_args:
        try:
            _show_arguments(source.get_launch_description(LaunchContext()))
        except Exception as error:
            raise CliError(f"{path} cannot be read without being launched: {error}") from error
        return 0
    try:
        get_logger().info(f"All log files can be found below {launch_config.log_dir}")
    except OSError as error:
        raise CliError(f"{error}; set ROS_LOG_DIR to a folder for log files") from error
    if args.show_all_subprocesses_output:
        os.environ["OVERRIDE_LAUNCH_PROCESS_OUTPUT"] = "both"
    for option in ("launch_prefix", "launch_prefix_filter"):
        if getattr(args, option) is not None:
            given[option.replace("_", "-")] = getattr(args, option)
    service = LaunchService(
        argv=arguments,
        noninteractive=args.noninteractive or not sys.stdin.isatty(),
        debug=args.debug,
    )
    include = IncludeLaunchDescription(source, launch_arguments=given)
    service.include_launch_description(LaunchDescription([include]))
    return int(service.run())


def _split(first: str, rest: list[str]) -> tuple[Path, list[str]]:
    """Return the launch file and the arguments.

    Raises:
        CliError: There is no such package or file; the message lists the choices.
    """
    if Path(first).is_file():
        return Path(first), rest
    if "/" in first or first.endswith(".py"):
        raise CliError(f"no such launch file: {first}")
    try:
        share = workspace.find(first).path
    except workspace.PackageError as error:
        raise CliError(f"{error}\npackages: {', '.join(workspace.names())}") from error
    files = sorted(file for file in share.rglob("*") if file.is_file())
    name, *arguments = rest or [""]
    found = [file for file in files if file.name == name]
    if len(found) != 1:
        names = (file.name for file in files)
        choices = ", ".join(name for name in names if name.endswith("launch.py")) or "none"
        why = "was found more than once" if found else "was not found"
        raise CliError(f"launch file {name!r} {why} in package {first!r}; it has: {choices}")
    return found[0], arguments


def _pairs(arguments: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for argument in arguments:
        name, separator, value = argument.partition(":=")
        if not name or not separator or not value:
            raise CliError(
                f"malformed launch argument '{argument}', expected format '<name>:=<value>'"
            )
        pairs[name] = value
    return pairs


def _show_arguments(description: LaunchDescription) -> None:
    print("Arguments (pass arguments as '<name>:=<value>'):")
    arguments = description.get_launch_arguments()
    for argument in arguments:
        mark = "*" if argument._conditionally_included else ""
        print(f"\n    '{argument.name}':{mark}\n        {argument.description}")
        if argument.default_value is not None:
            default = " + ".join(part.describe() for part in argument.default_value)
            print(f"        (default: {default})")
    if not arguments:
        print("\n  No arguments.")
    elif any(argument._conditionally_included for argument in arguments):
        print("\n* argument(s) which are only used if specific conditions occur")
