# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""`run`, `pkg`, `router`, `enable` and `disable`: programs, packages and their environment."""

from __future__ import annotations

import argparse
import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

from pocket_ros2 import workspace
from pocket_ros2.cli.common import CliError, group, verb
from pocket_ros2.wire.router import DEFAULT_LISTEN
from pocket_ros2.wire.router import main as serve


def register(commands: Any) -> None:
    """Add the commands of this module."""
    run = verb(commands, "run", _run, "start an executable of a package, or a Python file")
    run.add_argument("package", help="package name, or the path of a .py file")
    run.add_argument("rest", nargs=argparse.REMAINDER, metavar="executable [args]")

    verbs = group(commands, "pkg", "look at packages")
    verb(verbs, "list", _packages, "print all packages")
    verb(verbs, "executables", _executables, "print the executables of a package", "package")

    router = verb(commands, "router", _router, "run the router in the foreground")
    router.add_argument("--listen", default=DEFAULT_LISTEN, help="default: %(default)s")

    enable = verb(commands, "enable", _enable, "let every program of this environment use us")
    enable.add_argument("--workspace", type=Path, help="also serve the packages in its src/")
    verb(commands, "disable", lambda args: _hook_file().unlink(missing_ok=True), "undo 'enable'")


def _run(args: argparse.Namespace) -> int:
    if args.package.endswith(".py"):
        if not Path(args.package).is_file():
            raise CliError(f"no such file: {args.package}")
        program = "import runpy, sys, pocket_ros2; pocket_ros2.activate(); del sys.argv[0]; "
        start = f"{program}runpy.run_path(sys.argv[0], run_name='__main__')"
        command = [sys.executable, "-c", start, args.package, *args.rest]
    else:
        name, *rest = args.rest or [""]
        command = [*workspace.executable(args.package, name), *rest]
    sys.stdout.flush()
    os.execv(command[0], command)


def _packages(args: argparse.Namespace) -> None:
    print("\n".join(workspace.names()), flush=True)
    workspace.check_source_packages()


def _executables(args: argparse.Namespace) -> None:
    print("\n".join(sorted(workspace.executables(args.package))))


def _router(args: argparse.Namespace) -> int:
    return serve(["--listen", args.listen])


def _hook_file() -> Path:
    return Path(sysconfig.get_path("purelib")) / "pocket_ros2.pth"


def _enable(args: argparse.Namespace) -> None:
    """Write the .pth file; Python runs its import lines at every start."""
    line = "import pocket_ros2_hook"
    if args.workspace:
        folder = args.workspace.resolve()
        if not (folder / "src").is_dir():
            raise CliError(f"{folder} is no workspace: it has no src folder")
        line = (
            f"import os; os.environ.setdefault('POCKET_ROS2_WORKSPACE', {str(folder)!r}); {line}"
        )
    try:
        _hook_file().write_text(line + "\n", encoding="utf-8")
    except OSError as error:
        raise CliError(
            f"cannot write {_hook_file()}: {error}; use a virtual environment"
        ) from None
    print(f"enabled for {sys.prefix}; a sourced ROS 2 still takes precedence")
