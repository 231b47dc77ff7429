# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Whatever a busy process does, and however it ends: it does end, with the right code."""

from __future__ import annotations

import signal

import pytest

DEADLINE_S = 40
TRACEBACK = "RuntimeError: on purpose"
ENDINGS = {
    "return": (None, 0, ""),
    "exception": (None, 1, TRACEBACK),
    "sys_exit": (None, 3, ""),
    "exception_in_callback": (None, 1, TRACEBACK),
    "exit_in_callback": (None, 3, ""),
    "shutdown_in_callback": (None, 0, ""),
    "sigint": (signal.SIGINT, 0, ""),
    "sigterm": (signal.SIGTERM, 0, ""),
    "sigint_unhandled": (signal.SIGINT, -signal.SIGINT, "KeyboardInterrupt"),
}


@pytest.mark.parametrize("how", ENDINGS)
@pytest.mark.parametrize("kind", ["single", "multi", "tf", "lifecycle"])
def test_process_ends_with_the_right_code_and_says_only_what_it_must(start, kind, how):
    number, code, last_words = ENDINGS[how]
    process = start("ending.py", kind, how, says="busy")
    if number:
        process.send_signal(number)

    _, errors = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == code, errors
    assert (errors.splitlines() or [""])[-1] == last_words, errors
    assert errors.count("Traceback") == bool(last_words)
