# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Loggers and their levels."""

from __future__ import annotations

import os
from pathlib import Path

from rclpy import _logging_console as console
from rclpy.impl.logging_severity import LoggingSeverity
from rclpy.impl.rcutils_logger import RcutilsLogger

_root_logger = RcutilsLogger()


def get_logger(name: str) -> RcutilsLogger:
    if not name:
        raise ValueError("Logger name must not be empty.")
    return RcutilsLogger(name)


def initialize() -> None:
    """Start logging; it always runs, so there is nothing to start."""


def shutdown() -> None:
    """Forget all levels."""
    clear_config()


def clear_config() -> None:
    """Forget all levels."""
    console.levels.clear()


def set_logger_level(
    name: str, level: LoggingSeverity | int, detailed_error: bool = False
) -> None:
    """Set a logger's level; the empty name means the default of all loggers."""
    console.levels[name] = LoggingSeverity(level)


def get_logger_level(name: str) -> LoggingSeverity:
    """Return the logger's own level, UNSET where it inherits."""
    return console.levels.get(name, LoggingSeverity.UNSET)


def get_logger_effective_level(name: str) -> LoggingSeverity:
    return console.effective_level(name)


def get_logging_severity_from_string(log_severity: str) -> LoggingSeverity:
    try:
        return LoggingSeverity[log_severity.upper()]
    except KeyError as error:
        raise RuntimeError(
            f"unknown severity '{log_severity}'; known: {', '.join(LoggingSeverity.__members__)}"
        ) from error


def get_logging_directory() -> Path:
    home = Path(os.environ.get("ROS_HOME") or "~/.ros")
    return Path(os.environ.get("ROS_LOG_DIR") or home / "log").expanduser()
