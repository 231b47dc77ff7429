# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What tests assert about processes and their output."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterable
from typing import Any

from launch_testing.util import NO_CMD_ARGS as NO_CMD_ARGS
from launch_testing.util import resolveProcesses

EXIT_OK = 0
EXIT_FORCED = 1
EXIT_SIGINT = 130
EXIT_SIGQUIT = -signal.SIGQUIT
EXIT_SIGKILL = -signal.SIGKILL
EXIT_SIGSEGV = -signal.SIGSEGV
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def assertExitCodes(
    proc_info: Any,
    allowable_exit_codes: Iterable[int] = (EXIT_OK,),
    process: Any = None,
    cmd_args: Any = None,
    **matching: Any,
) -> None:
    """Assert that processes ended with one of the codes."""
    for action in resolveProcesses(proc_info, process=process, cmd_args=cmd_args, **matching):
        code = proc_info[action].returncode
        assert code in tuple(allowable_exit_codes), (
            f"Proc {action.final_name} exited with code {code}"
        )


def matches(expected: Any, text: str) -> bool:
    """Tell whether text holds a string, a pattern, or several of them in that order."""
    if isinstance(expected, str):
        return expected in text
    if hasattr(expected, "search"):
        return expected.search(text) is not None
    expected = list(expected)
    if not expected:
        raise ValueError("expected_output is empty")
    if all(isinstance(part, str) for part in expected):
        lines = iter(text.splitlines())
        return all(part in lines for part in expected)
    start = 0
    for pattern in expected:
        found = pattern.search(text, start)
        if found is None:
            return False
        start = found.end()
    return True


def _assert_in(
    stream: str,
    proc_output: Any,
    expected_output: Any,
    process: Any,
    cmd_args: Any = None,
    *,
    output_filter: Callable[[str], str] | None = None,
    strip_ansi_escape_sequences: bool = True,
    **matching: Any,
) -> None:
    """Assert that a process wrote a text, a pattern, or several in that order."""
    found = resolveProcesses(proc_output, process=process, cmd_args=cmd_args, **matching)
    for action in found:
        pieces = [io.text for io in proc_output[action] if getattr(io, f"from_{stream}")]
        text = b"".join(pieces).decode(errors="replace").replace("\r\n", "\n")
        text = _ANSI.sub("", text) if strip_ansi_escape_sequences else text
        if matches(expected_output, output_filter(text) if output_filter else text):
            return
    names = ", ".join(sorted(action.final_name for action in found))
    raise AssertionError(
        f"Did not find '{expected_output}' in output for any of the matching processes: {names}"
    )


def assertInStdout(*args: Any, **kwargs: Any) -> None:
    _assert_in("stdout", *args, **kwargs)


def assertInStderr(*args: Any, **kwargs: Any) -> None:
    _assert_in("stderr", *args, **kwargs)
