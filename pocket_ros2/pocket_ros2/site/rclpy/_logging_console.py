# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Logger levels, and the line that a message becomes on the console."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from rclpy.impl.logging_severity import LoggingSeverity

_DEFAULT_FORMAT = "[{severity}] [{time}] [{name}]: {message}"
_COLOURS = {
    LoggingSeverity.DEBUG: "\033[32m",
    LoggingSeverity.INFO: "\033[0m",
    LoggingSeverity.WARN: "\033[33m",
    LoggingSeverity.ERROR: "\033[31m",
    LoggingSeverity.FATAL: "\033[31m",
}
_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\r": "\r", "\\a": "\a", "\\\\": "\\"}


class Record(NamedTuple):
    """One message on its way out."""

    severity: LoggingSeverity
    name: str
    message: str
    stamp_ns: int
    file: str
    function: str
    line: int


levels: dict[str, LoggingSeverity] = {"": LoggingSeverity.INFO}
sinks: list[Callable[[Record], None]] = []
enabled = True
_output_lock = threading.Lock()


def effective_level(name: str) -> LoggingSeverity:
    """Return the level of the logger or of its nearest ancestor that has one."""
    while name and not levels.get(name):
        name = name.rpartition(".")[0]
    return levels.get(name, LoggingSeverity.INFO)


def _render(record: Record) -> str:
    seconds, nanoseconds = divmod(record.stamp_ns, 1_000_000_000)
    local = time.localtime(seconds)
    values = {
        "severity": record.severity.name,
        "name": record.name,
        "message": record.message,
        "function_name": record.function,
        "file_name": record.file,
        "line_number": str(record.line),
        "time": f"{seconds}.{nanoseconds:09d}",
        "time_as_nanoseconds": str(record.stamp_ns),
        "date_time_with_ms": time.strftime("%Y-%m-%d %H:%M:%S", local)
        + f".{nanoseconds // 1_000_000:03d}",
    }
    form = os.environ.get("RCUTILS_CONSOLE_OUTPUT_FORMAT") or _DEFAULT_FORMAT
    form = re.sub(r"\\.", lambda found: _ESCAPES.get(found[0], found[0]), form)
    return re.sub(r"{(\w+)}", lambda found: values.get(found[1], found[0]), form)


def emit(record: Record) -> None:
    """Write a message to the console and to all sinks."""
    if enabled:
        _write(record)
    for sink in list(sinks):
        sink(record)


def _write(record: Record) -> None:
    stream = sys.stdout if os.environ.get("RCUTILS_LOGGING_USE_STDOUT") == "1" else sys.stderr
    line = _render(record)
    coloured = os.environ.get("RCUTILS_COLORIZED_OUTPUT")
    if coloured == "1" or (not coloured and stream.isatty()):
        line = f"{_COLOURS[record.severity]}{line}\033[0m"
    with _output_lock:
        stream.write(line + "\n")
        stream.flush()
