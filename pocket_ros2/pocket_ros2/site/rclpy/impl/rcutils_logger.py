# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Loggers: named, levelled, and able to say a thing only once or not too often."""

from __future__ import annotations

import sys
import time
from typing import Any

from rclpy import _logging_console as console
from rclpy.clock import Clock
from rclpy.impl.logging_severity import LoggingSeverity

_FILTERS = ("throttle_duration_sec", "skip_first", "once")
_OPTIONS = ("name", "throttle_time_source_type", *_FILTERS)


class _CallSite:
    """The memory of the filters at one place in the source."""

    def __init__(self, severity: LoggingSeverity, name: str, options: dict[str, Any]) -> None:
        for option in options:
            if option not in _OPTIONS:
                raise TypeError(
                    f"parameter '{option}' is not one of the recognized ones: {_OPTIONS}"
                )
        if "throttle_time_source_type" in options and "throttle_duration_sec" not in options:
            raise TypeError("required parameter 'throttle_duration_sec' not specified")
        self._clock = options.get("throttle_time_source_type") or Clock()
        if not isinstance(self._clock, Clock):
            raise ValueError(
                f'Received throttle_time_source_type of "{self._clock}" is not a clock instance'
            )
        self.severity = severity
        self.name = name
        self.filters = self.wanted_filters(options)
        self._last_ns = 0
        self._reached = False
        self._logged = False

    @staticmethod
    def wanted_filters(options: dict[str, Any]) -> dict[str, Any]:
        return {name: options[name] for name in _FILTERS if options.get(name)}

    def check_unchanged(
        self, severity: LoggingSeverity, name: str, options: dict[str, Any]
    ) -> None:
        for what, same in (
            ("severity", self.severity == severity),
            ("name", self.name == name),
            ("filter parameters", self.filters == self.wanted_filters(options)),
        ):
            if not same:
                raise ValueError(f"Logger {what} cannot be changed between calls.")

    def passes(self) -> bool:
        period = self.filters.get("throttle_duration_sec")
        if period:
            now = self._clock.now().nanoseconds
            if now < self._last_ns + int(period * 1e9):
                return False
            self._last_ns = now
        if "skip_first" in self.filters and not self._reached:
            self._reached = True
            return False
        if "once" in self.filters and self._logged:
            return False
        self._logged = True
        return True


class RcutilsLogger:
    def __init__(self, name: str = "") -> None:
        self.name = name
        self._sites: dict[tuple[str, str, int, int], _CallSite] = {}

    def get_child(self, name: str) -> RcutilsLogger:
        """Return the logger below this one, which inherits its level and goes to its rosout."""
        if not name:
            raise ValueError("Child logger name must not be empty.")
        return RcutilsLogger(f"{self.name}.{name}" if self.name else name)

    def set_level(self, level: LoggingSeverity | int) -> None:
        console.levels[self.name] = LoggingSeverity(level)

    def get_effective_level(self) -> LoggingSeverity:
        return console.effective_level(self.name)

    def is_enabled_for(self, severity: LoggingSeverity | int) -> bool:
        return severity >= self.get_effective_level()

    def log(self, message: str, severity: LoggingSeverity | int, **kwargs: Any) -> bool:
        """Log a message unless its level or a filter forbids it.

        Args:
            message: Any object; str() is taken of it.
            severity: Must stay the same at one place in the source.
            **kwargs: once, skip_first: bool; throttle_duration_sec: seconds;
                throttle_time_source_type: the Clock that counts them; name: another logger name.

        Returns:
            Whether the message was logged.
        """
        severity = LoggingSeverity(severity)
        name = kwargs.get("name", self.name)
        frame: Any = sys._getframe(1)
        while frame.f_globals.get("__name__") == __name__:
            frame = frame.f_back
        code = frame.f_code
        key = (code.co_filename, code.co_name, frame.f_lineno, frame.f_lasti)
        site = self._sites.get(key)
        if site is None:
            site = self._sites[key] = _CallSite(severity, name, kwargs)
        site.check_unchanged(severity, name, kwargs)
        if severity < console.effective_level(name) or not site.passes():
            return False
        console.emit(
            console.Record(
                severity,
                name,
                str(message),
                time.time_ns(),
                code.co_filename,
                code.co_name,
                frame.f_lineno,
            )
        )
        return True

    def debug(self, message: str, **kwargs: Any) -> bool:
        return self.log(message, LoggingSeverity.DEBUG, **kwargs)

    def info(self, message: str, **kwargs: Any) -> bool:
        return self.log(message, LoggingSeverity.INFO, **kwargs)

    def warning(self, message: str, **kwargs: Any) -> bool:
        return self.log(message, LoggingSeverity.WARN, **kwargs)

    warn = warning

    def error(self, message: str, **kwargs: Any) -> bool:
        return self.log(message, LoggingSeverity.ERROR, **kwargs)

    def fatal(self, message: str, **kwargs: Any) -> bool:
        return self.log(message, LoggingSeverity.FATAL, **kwargs)
