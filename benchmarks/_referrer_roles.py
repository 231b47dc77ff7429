# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The camera and the server of benchmarks/referrer.py, each a process of its own.

python benchmarks/_referrer_roles.py camera PICTURES.npz PACE
python benchmarks/_referrer_roles.py server PICTURES.npz PORT
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

import pocket_ros2

pocket_ros2.activate()

HZ = 30.0
FRAME = "camera_color_optical_frame"


class Camera:
    """Shows pictures in turn at 30 Hz of simulated time; PACE 0 is the time of the wall."""

    def __init__(self, node: Any, file: Path, pace: float) -> None:
        from geometry_msgs.msg import TransformStamped
        from rosgraph_msgs.msg import Clock
        from sensor_msgs.msg import CameraInfo, Image
        from tf2_ros import StaticTransformBroadcaster

        stored = np.load(file)
        self.pace, self.period_s = pace, 1 / (HZ * (pace or 1.0))
        color = node.create_publisher(Image, "camera/color/image_raw", 5)
        depth = node.create_publisher(Image, "camera/aligned_depth_to_color/image_raw", 5)
        info = node.create_publisher(CameraInfo, "camera/color/camera_info", 5)
        self._clock = node.create_publisher(Clock, "/clock", 10)
        height, width = stored["depth"].shape[1:]
        self._turns = []
        for rgb, z in zip(stored["rgb"], stored["depth"], strict=True):
            first = Image(width=width, height=height, encoding="rgb8", step=3 * width)
            first.data.frombytes(rgb.tobytes())
            second = Image(width=width, height=height, encoding="16UC1", step=2 * width)
            second.data.frombytes(z.tobytes())
            third = CameraInfo(width=width, height=height, distortion_model="plumb_bob")
            focal = float(stored["focal"])
            third.d = [0.0] * 5
            third.k = [focal, 0.0, (width - 1) / 2, 0.0, focal, (height - 1) / 2, 0.0, 0.0, 1.0]
            self._turns.append(((color, first), (depth, second), (info, third)))
        self._count = 0
        x, y, z, w, *at = (float(v) for v in stored["pose"])
        transform = TransformStamped(child_frame_id=FRAME)
        transform.header.frame_id = "base_link"
        turn, move = transform.transform.rotation, transform.transform.translation
        turn.x, turn.y, turn.z, turn.w = x, y, z, w
        move.x, move.y, move.z = at
        self._tf = StaticTransformBroadcaster(node)
        self._tf.sendTransform(transform)

    def send(self) -> None:
        """Show the next picture."""
        from rosgraph_msgs.msg import Clock

        self._count += 1
        stamp_ns = round(self._count / HZ * 1e9) if self.pace else time.time_ns()
        seconds, rest = divmod(stamp_ns, 10**9)
        if self.pace:
            clock = Clock()
            clock.clock.sec, clock.clock.nanosec = seconds, rest
            self._clock.publish(clock)
        for publisher, message in self._turns[self._count % len(self._turns)]:
            message.header.frame_id = FRAME
            message.header.stamp.sec, message.header.stamp.nanosec = seconds, rest
            publisher.publish(message)


def show(file: Path, pace: float) -> None:
    """Be the camera until the standard input ends."""
    import rclpy

    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    with rclpy.init():
        node = rclpy.create_node("camera")
        camera = Camera(node, file, pace)
        print("ready", flush=True)
        due = time.monotonic()
        while not over.wait(max(0.0, due - time.monotonic())):
            camera.send()
            due = max(due + camera.period_s, time.monotonic() - 1.0)


def serve(file: Path, port: int) -> None:
    """Be the referring server until the standard input ends."""
    from roborefer_perception.testing import FakeReferringServer, FakeRequest, answer

    pixels = np.load(file)["pixels"].tolist()
    rng = np.random.default_rng(1)

    def script(request: FakeRequest) -> dict[str, Any]:
        begin = time.perf_counter()
        # A long run must not keep all its pictures.
        server.requests.clear()
        made = answer(request.size, [pixels[rng.integers(len(pixels))]])
        made["latency"]["total_s"] = time.perf_counter() - begin
        return made

    with FakeReferringServer(script, port) as server:
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    role, path, number = sys.argv[1:]
    if role == "camera":
        show(Path(path), float(number))
    else:
        serve(Path(path), int(number))
