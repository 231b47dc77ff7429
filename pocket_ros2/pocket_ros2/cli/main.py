# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Entry point of `pocket-ros2`."""

from __future__ import annotations

import argparse
import os
import sys

import pocket_ros2
from pocket_ros2.cli import (
    actions,
    bags,
    doctor,
    environment,
    interfaces,
    launch,
    lifecycle,
    nodes,
    params,
    services,
    topics,
)
from pocket_ros2.cli.common import CliError
from pocket_ros2.workspace import PackageError

GROUPS = (
    *(topics, nodes, services, params, actions, lifecycle, interfaces, launch),
    *(environment, bags, doctor),
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every command; each leaf carries its function as `run`."""
    parser = argparse.ArgumentParser(
        prog="pocket-ros2",
        description="ROS 2 tools for a machine without ROS 2. Every command has --help.",
    )
    parser.add_argument("--version", action="version", version=pocket_ros2.__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for group in GROUPS:
        group.register(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 0 done, 1 the command failed and said why, 2 wrong usage, 130 interrupted.
    """
    if pocket_ros2.finder.real_ros_found():
        print("a real ROS 2 is sourced: use its 'ros2' command instead", file=sys.stderr)
        return 1
    pocket_ros2.activate()
    args = build_parser().parse_args(argv)
    try:
        code = int(args.run(args) or 0)
        sys.stdout.flush()
        return code
    except (CliError, PackageError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (for example `head`) has gone; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
