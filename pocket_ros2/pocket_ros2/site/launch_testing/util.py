# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the processes that a test speaks of."""

from __future__ import annotations

import sys
from typing import Any

from launch.actions import ExecuteProcess

NO_CMD_ARGS = object()


class NoMatchingProcessException(Exception):
    """No process that has been seen fits."""


class KeepAliveProc(ExecuteProcess):
    """A process that only waits, for tests that start processes by themselves."""

    def __init__(self) -> None:
        wait = "import signal; signal.signal(2, lambda *_: exit(0)); signal.pause()"
        super().__init__(cmd=[sys.executable, "-c", wait])


def resolveProcesses(
    info_obj: Any, *, process: Any = None, cmd_args: Any = None, strict_proc_matching: bool = True
) -> list[ExecuteProcess]:
    """Return the processes of proc_info or proc_output that fit.

    They are all, one action, or those with a part of their name and arguments that must be on
    the command line; strict matching takes several of these for an error.
    """
    known = list(info_obj.processes())
    if process is None:
        found = known
    elif isinstance(process, ExecuteProcess):
        found = [action for action in known if action is process]
    elif isinstance(process, str):
        wanted = [cmd_args] if isinstance(cmd_args, str) else cmd_args
        found = [
            action
            for action in known
            if process in action.final_name and _has(action.final_cmd[1:], wanted)
        ]
        if len(found) > 1 and strict_proc_matching:
            raise Exception(
                f"Found multiple processes matching name '{process}' and cmd_args '{cmd_args}': "
                f"{', '.join(sorted(action.final_name for action in found))}"
            )
    else:
        raise TypeError(f"process must be an ExecuteProcess or text, not {process!r}")
    if not found:
        names = ", ".join(sorted(action.final_name for action in known)) or "none"
        shown = getattr(process, "final_name", process)
        raise NoMatchingProcessException(
            f"Did not find any processes matching '{shown}' and args '{cmd_args}'. Procs: {names}"
        )
    return found


def _has(arguments: list[str], wanted: Any) -> bool:
    if wanted is NO_CMD_ARGS:
        return not arguments
    return all(argument in arguments for argument in wanted or ())
