# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures the simulated UR5 cell: how fast it runs and what it costs.

    python benchmarks/simulator.py [--quick] [--json FILE]

The node runs as a process of its own with its defaults: 7 things, a camera of 640 x 480 with all
flaws and shadows at 10 Hz, joint states at 125 Hz. This process subscribes all its streams while
the arm swings to and fro. First it runs as fast as it can, then at the pace of the wall clock.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
from pocket_ros2.testing import isolated_ros
from tqdm import tqdm

import pocket_ros2

pocket_ros2.activate()

FOLLOW = "joint_trajectory_controller/follow_joint_trajectory"
START_TIMEOUT_S = 60.0
NODE = "import sys; from roborefer_sim.nodes.main import main; sys.exit(main())"


class Watcher:
    """Receives everything the simulator publishes, and keeps its arm moving."""

    def __init__(self) -> None:
        import rclpy
        from control_msgs.action import FollowJointTrajectory
        from rclpy.action import ActionClient
        from rclpy.executors import SingleThreadedExecutor
        from sensor_msgs.msg import CameraInfo, Image, JointState

        self.pictures, self.simulated_s = 0, 0.0
        self.seen = threading.Event()
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node("watcher", context=self._context)
        for kind, topic, take in (
            (Image, "camera/color/image_raw", self._on_color),
            (Image, "camera/aligned_depth_to_color/image_raw", lambda message: None),
            (CameraInfo, "camera/color/camera_info", lambda message: None),
            (JointState, "joint_states", self._on_joints),
        ):
            self._node.create_subscription(kind, topic, take, 5)
        self._arm = ActionClient(self._node, FollowJointTrajectory, FOLLOW)
        self._swings = 0
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._executor.spin)
        self._thread.start()

    def close(self) -> None:
        """End."""
        import rclpy

        self._executor.shutdown()
        self._thread.join()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def swing(self) -> None:
        """Send the next swing, and one more whenever one is done."""
        from builtin_interfaces.msg import Duration
        from control_msgs.action import FollowJointTrajectory
        from roborefer_sim.core.arm import ARM_JOINTS, HOME
        from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

        self._swings += 1
        side = 1.0 if self._swings % 2 else -1.0
        point = JointTrajectoryPoint(
            positions=[HOME[0] + side, *HOME[1:]],
            velocities=[0.0] * 6,
            time_from_start=Duration(sec=3),
        )
        goal = FollowJointTrajectory.Goal(
            trajectory=JointTrajectory(joint_names=list(ARM_JOINTS), points=[point])
        )
        self._arm.wait_for_server(START_TIMEOUT_S)
        self._arm.send_goal_async(goal).add_done_callback(self._on_accepted)

    def _on_accepted(self, future: Any) -> None:
        future.result().get_result_async().add_done_callback(lambda done: self.swing())

    def _on_color(self, message: Any) -> None:
        self.pictures += 1

    def _on_joints(self, message: Any) -> None:
        stamp = message.header.stamp
        self.simulated_s = stamp.sec + stamp.nanosec * 1e-9
        self.seen.set()


@contextlib.contextmanager
def simulator(**values: Any) -> Iterator[psutil.Process]:
    """Run the node in a process of its own."""
    assignments = [part for name, value in values.items() for part in ("-p", f"{name}:={value}")]
    command = [sys.executable, "-c", NODE, "--ros-args", *assignments, "--log-level", "warn"]
    with subprocess.Popen(command) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(20)
    if code != 0:
        raise RuntimeError(f"the simulator ended with exit code {code}")


def measure(seconds: float, **values: Any) -> tuple[float, float, float, float]:
    """Return real-time factor, pictures per second, CPU percent and resident megabytes."""
    with simulator(**values) as process:
        watcher = Watcher()
        try:
            if not watcher.seen.wait(START_TIMEOUT_S):
                raise RuntimeError("the simulator published nothing")
            watcher.swing()
            time.sleep(2.0)
            start, simulated, pictures = time.monotonic(), watcher.simulated_s, watcher.pictures
            used = sum(process.cpu_times()[:2])
            time.sleep(seconds)
            wall = time.monotonic() - start
            return (
                (watcher.simulated_s - simulated) / wall,
                (watcher.pictures - pictures) / wall,
                100 * (sum(process.cpu_times()[:2]) - used) / wall,
                process.memory_info().rss / 1e6,
            )
        finally:
            watcher.close()


def main() -> None:
    """Run all measurements, print them, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    from roborefer_sim.core.gl import choose_gl

    drawing = choose_gl()
    seconds = 3.0 if args.quick else 30.0
    load_before = os.getloadavg()[0]
    results: dict[str, Any] = {}
    with isolated_ros(), tqdm(total=3, unit="run") as bar:
        factor, _, cpu, _ = measure(seconds, real_time_factor=0.0)
        results |= {
            "sim_real_time_factor": factor,
            "sim_cpu_s_per_simulated_s": cpu / 100 / factor,
        }
        bar.update()
        factor, pictures, cpu, memory = measure(seconds, real_time_factor=1.0)
        results |= {
            "sim_paced_real_time_factor": factor,
            "sim_camera_hz": pictures,
            "sim_cpu_percent": cpu,
            "sim_rss_mb": memory,
        }
        bar.update()
        blind = {"real_time_factor": 0.0, "camera.rate": 0.0}
        results["sim_blind_real_time_factor"] = measure(seconds, **blind)[0]
        bar.update()
    results = {name: round(value, 4) for name, value in results.items()}
    results["conditions"] = {
        "quick": args.quick,
        "cores": os.cpu_count(),
        "load_before": round(load_before, 2),
        "python": platform.python_version(),
        "mujoco": metadata.version("mujoco-core"),
        "drawing": drawing,
        "machine": platform.machine(),
        "system": platform.system(),
    }
    for name, value in results.items():
        print(f"{name:28} {value}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
