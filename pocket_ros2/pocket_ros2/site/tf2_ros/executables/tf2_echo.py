# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Prints how one frame lies in another, again and again."""

from __future__ import annotations

import sys

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.time import Time
from rclpy.utilities import remove_ros_args
from tf2_ros import Buffer, TransformException, TransformListener


def main() -> None:
    """Run `tf2_echo source_frame target_frame [lines per second]`."""
    words = remove_ros_args(sys.argv)[1:]
    if len(words) not in (2, 3):
        sys.exit("usage: tf2_echo source_frame target_frame [rate]")
    with rclpy.init(args=sys.argv):
        node = rclpy.create_node("tf2_echo")
        buffer = Buffer()
        listener = TransformListener(buffer, node)

        def echo() -> None:
            try:
                found = buffer.lookup_transform(words[0], words[1], Time())
            except TransformException as error:
                print(f"Waiting for transform: {error}", flush=True)
                return
            stamp, move = found.header.stamp, found.transform.translation
            turn = found.transform.rotation
            print(
                f"At time {stamp.sec}.{stamp.nanosec:09d}\n"
                f"- Translation: [{move.x:.3f}, {move.y:.3f}, {move.z:.3f}]\n- Rotation: in "
                f"Quaternion (xyzw) [{turn.x:.3f}, {turn.y:.3f}, {turn.z:.3f}, {turn.w:.3f}]",
                flush=True,
            )

        node.create_timer(1.0 / float((*words, 1.0)[2]), echo)
        try:
            rclpy.spin(node)
        except (KeyboardInterrupt, ExternalShutdownException):
            listener.unregister()
