# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Files that live as long as the launch: parameters and starters of executables."""

from __future__ import annotations

import functools
import itertools
import shlex
import tempfile
from pathlib import Path

_counter = itertools.count(1)


@functools.cache
def _folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="launch_ros_")


def write(name: str, text: str) -> Path:
    """Write a new file and return its path; the name is kept, in a folder of its own."""
    path = Path(_folder().name) / str(next(_counter)) / name
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    return path


@functools.cache
def starter(name: str, command: tuple[str, ...]) -> Path:
    """Return an executable file that runs the command line in its own process."""
    path = write(name, f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    path.chmod(0o700)
    return path
