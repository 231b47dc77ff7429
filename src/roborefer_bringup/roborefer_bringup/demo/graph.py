# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The graph of the demo: ur5_sim.launch.py in a process of its own that surely ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

LAUNCH_FILE = "ur5_sim.launch.py"
_CONSOLE = "the console is at "
_END_S = 30.0


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def use_own_domain() -> None:
    """Let nothing of this program be heard by, or hear, other robots and runs."""
    # DDS has ports for the domains up to 101 on every system.
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


def domain() -> str:
    """Return the domain that is used."""
    return os.environ["ROS_DOMAIN_ID"]


class Graph:
    """Runs the launch file while the block of `with` runs; its output goes to a file."""

    def __init__(self, arguments: dict[str, str], log: Path) -> None:
        """Prepare.

        Args:
            arguments: Of the launch file.
            log: Where the output of all nodes goes.
        """
        self.arguments, self.log = arguments, log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Graph:
        command = [sys.executable, "-m", __spec__.name]
        command += [f"{name}:={value}" for name, value in self.arguments.items()]
        with self.log.open("wb") as file:
            # A session of its own: Ctrl-C comes to this program first, which then ends the graph.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def end(self) -> None:
        """End every process; calling it twice is allowed."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(_END_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @property
    def alive(self) -> bool:
        """Whether the launch still runs."""
        return self._process is not None and self._process.poll() is None

    def wait(self) -> None:
        """Return when the launch has ended, or on Ctrl-C."""
        if self._process is not None:
            with contextlib.suppress(KeyboardInterrupt):
                self._process.wait()

    def console(self) -> str:
        """Return the line of the log that tells where the console is; "" without one."""
        lines = self.log.read_text(errors="replace").splitlines()
        found = [line for line in lines if _CONSOLE in line]
        return found[-1][found[-1].index(_CONSOLE) :] if found else ""

    def last_words(self, lines: int = 15) -> str:
        """Return the end of the output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def main() -> int:
    """Launch with the arguments of the command line, until SIGINT."""
    file = Path(get_package_share_directory("roborefer_bringup")) / "launch" / LAUNCH_FILE
    pairs = [tuple(argument.split(":=", 1)) for argument in sys.argv[1:]]
    service = LaunchService(noninteractive=True)
    service.include_launch_description(
        LaunchDescription(
            [
                IncludeLaunchDescription(
                    PythonLaunchDescriptionSource(str(file)), launch_arguments=pairs
                )
            ]
        )
    )
    return int(service.run())


if __name__ == "__main__":
    sys.exit(main())
