# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The whole graph of a simulated UR5 as processes, for benchmarks of whole tasks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
_MB = 2**20


class Graph:
    """A launched `ur5_sim.launch.py`; its log is in out/."""

    def __init__(self, engine: str, factor: float) -> None:
        """Launch it.

        Args:
            engine: Spec of the engine.
            factor: Real-time factor; 0 is as fast as possible.
        """
        port = str(25600 + os.getpid() % 300)
        ros2 = "ros2" if os.environ.get("ROS_DISTRO") else "pocket-ros2"
        folder = "" if ros2 == "ros2" else f"{Path(sys.executable).parent}/"
        command = [
            f"{folder}{ros2}", "launch", "roborefer_bringup", "ur5_sim.launch.py",
            f"engine:={engine}", f"port:={port}", f"real_time_factor:={factor}", "log_level:=warn",
        ]  # fmt: skip
        self.log = ROOT / "out" / "graph.log"
        self.log.parent.mkdir(exist_ok=True)
        self._file = self.log.open("w", encoding="utf-8")
        self._process = subprocess.Popen(
            command, stdout=self._file, stderr=subprocess.STDOUT, start_new_session=True
        )
        self._known: dict[int, str] = {}

    def _children(self) -> list[psutil.Process]:
        try:
            found = psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        for process in found:
            if process.pid not in self._known:
                self._known[process.pid] = _name_of(process)
        return found

    def memory_mb(self) -> dict[str, float]:
        """Resident memory by name of the process, MB."""
        used = {}
        for process in self._children():
            try:
                used[self._known[process.pid]] = process.memory_info().rss / _MB
            except psutil.NoSuchProcess:
                continue
        return used

    def kill(self, part: str) -> None:
        """Kill the processes that have this in their command line."""
        for process in self._children():
            try:
                if part in " ".join(process.cmdline()):
                    process.kill()
            except psutil.NoSuchProcess:
                continue

    def left_over(self) -> int:
        """How many processes of the graph are still there."""
        return sum(psutil.pid_exists(pid) for pid in self._known)

    def close(self) -> None:
        """End all of it."""
        self._children()
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
        self._file.close()


def _name_of(process: psutil.Process) -> str:
    """A short name of a node or server, from its command line."""
    try:
        words = " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return "gone"
    names = ("simulator", "referrer", "executive", "arm", "roborefer_vlm", "state_publisher")
    return next((name for name in names if name in words), "other")
