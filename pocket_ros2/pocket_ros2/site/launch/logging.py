# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the messages of a launch and the output of its processes go."""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import socket
from pathlib import Path
from typing import Any

_SINKS = {"screen", "log", "own_log"}
_OUTPUTS = {
    "screen": {"both": {"screen"}},
    "log": {"both": {"log"}, "stderr": {"screen"}},
    "both": {"both": {"log", "screen"}},
    "own_log": {"both": {"own_log"}},
    "full": {"both": _SINKS},
}


class _LaunchConfig:
    """The level, and one folder of log files per launch."""

    def __init__(self) -> None:
        self.level = logging.INFO
        self._log_dir: Path | None = None

    @property
    def log_dir(self) -> str:
        if self._log_dir is None:
            stamp = datetime.datetime.now().strftime("%Y-%m-%d-%H-%M-%S-%f")
            name = f"{stamp}-{socket.gethostname()}-{os.getpid()}"
            self._log_dir = get_logging_directory() / name
        self._log_dir.mkdir(parents=True, exist_ok=True)
        return str(self._log_dir)

    @log_dir.setter
    def log_dir(self, path: str) -> None:
        self._log_dir = Path(path)

    def get_log_file_path(self, file_name: str = "launch.log") -> str:
        return os.path.join(self.log_dir, file_name)


def get_logging_directory() -> Path:
    if os.environ.get("ROS_LOG_DIR"):
        return Path(os.environ["ROS_LOG_DIR"]).expanduser()
    return Path(os.environ.get("ROS_HOME") or "~/.ros").expanduser() / "log"


class _Outputs(logging.Handler):
    """Prints each record as it is wanted on the screen, and appends it to files."""

    def __init__(self, style: str, on_screen: bool, file_names: list[str]) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(style, style="{"))
        self._on_screen = on_screen
        self._file_names = file_names

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if self._on_screen:
            with contextlib.suppress(BrokenPipeError):
                print(text, flush=True)
        for name in self._file_names:
            with open(launch_config.get_log_file_path(name), "a", encoding="utf-8") as file:
                file.write(f"{record.created:.7f} {text}\n")


def _logger(name: str, level: int, outputs: _Outputs) -> logging.Logger:
    logger = logging.Logger(name, level)
    logger.addHandler(outputs)
    return logger


def get_logger(name: str | None = None) -> logging.Logger:
    """Return a logger that writes `[LEVEL] [name]: text` to the screen and to launch.log."""
    outputs = _Outputs("[{levelname}] [{name}]: {message}", True, ["launch.log"])
    return _logger(name or "launch", launch_config.level, outputs)


def get_output_loggers(
    process_name: str, output_config: str | dict[str, Any]
) -> tuple[logging.Logger, ...]:
    """Return the loggers of the lines that a process writes to stdout and to stderr.

    The output is screen, log (with stderr on the screen too), both, own_log, full, or a dict of
    sets of screen, log and own_log with the keys stdout, stderr and both.
    """
    wanted = _OUTPUTS.get(output_config) if isinstance(output_config, str) else output_config
    if wanted is None or any(
        key not in ("stdout", "stderr", "both") or not set(sinks) <= _SINKS
        for key, sinks in wanted.items()
    ):
        raise ValueError(
            f"output {output_config!r} is not one of {', '.join(_OUTPUTS)} or a dictionary of "
            "sets of screen, log, own_log with the keys stdout, stderr, both"
        )

    def output_logger(source: str) -> logging.Logger:
        sinks = {*wanted.get("both", ()), *wanted.get(source, ())}
        files = ["launch.log"] if "log" in sinks else []
        if "own_log" in sinks:
            files += [f"{process_name}-{source}.log", f"{process_name}.log"]
        outputs = _Outputs("{message}", "screen" in sinks, files)
        return _logger(f"{process_name}-{source}", logging.DEBUG, outputs)

    return output_logger("stdout"), output_logger("stderr")


launch_config = _LaunchConfig()
