# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The whole graph of a simulated UR5 as processes, for benchmarks of whole tasks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
LIFECYCLE = ("referrer", "arm", "executive")
_MB = 2**20


class Graph:
    """A launched `ur5_sim.launch.py`; its log is in out/."""

    def __init__(self, engine: str, factor: float, console: bool = False) -> None:
        """Launch it.

        Args:
            engine: Spec of the engine.
            factor: Real-time factor; 0 is as fast as possible.
            console: Whether the web console is there, too.
        """
        port = str(25600 + os.getpid() % 300)
        ros2 = "ros2" if os.environ.get("ROS_DISTRO") else "pocket-ros2"
        self._ros2 = ros2 if ros2 == "ros2" else f"{Path(sys.executable).parent}/{ros2}"
        command = [
            self._ros2, "launch", "roborefer_bringup", "ur5_sim.launch.py",
            f"engine:={engine}", f"port:={port}", f"real_time_factor:={factor}", "log_level:=warn",
            f"console:={str(console).lower()}", "console_port:=0",
        ]  # fmt: skip
        self.log = ROOT / "out" / "graph.log"
        self.log.parent.mkdir(exist_ok=True)
        self._file = self.log.open("w", encoding="utf-8")
        self._process = subprocess.Popen(
            command, stdout=self._file, stderr=subprocess.STDOUT, start_new_session=True
        )
        self._known: dict[int, str] = {}
        self._restarted: list[psutil.Popen] = []

    def _children(self) -> list[psutil.Process]:
        try:
            found = psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        found += [process for process in self._restarted if process.is_running()]
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

    def kill_node(self, name: str) -> Callable[[], None]:
        """Kill a node; return what starts it again as it was, configured and active."""
        process = next((p for p in self._children() if self._known[p.pid] == name), None)
        if process is None:
            raise RuntimeError(f"no process of this graph is the node {name}")
        command, environment = process.cmdline(), process.environ()
        process.kill()

        def start() -> None:
            again = psutil.Popen(
                command, env=environment, stdout=self._file, stderr=subprocess.STDOUT
            )
            self._restarted.append(again)
            if name in LIFECYCLE:
                for step in ("configure", "activate"):
                    self._command("lifecycle", "set", f"/{name}", step)

        return start

    def _command(self, *words: str) -> None:
        """Run a command of ros2 until the node that it is about is there."""
        for _ in range(10):
            done = subprocess.run([self._ros2, *words], capture_output=True, text=True, timeout=60)
            if done.returncode == 0:
                return
        raise RuntimeError(f"ros2 {' '.join(words)}: {done.stdout}{done.stderr}")

    def left_over(self) -> int:
        """How many processes of the graph are still there."""
        return sum(psutil.pid_exists(pid) for pid in self._known)

    def close(self) -> None:
        """End all of it."""
        self._children()
        for process in self._restarted:
            process.send_signal(signal.SIGINT)
            process.wait(30)
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
    names = (
        "simulator", "referrer", "executive", "console", "roborefer_vlm", "state_publisher", "arm"
    )  # fmt: skip
    return next((name for name in names if name in words), "other")
