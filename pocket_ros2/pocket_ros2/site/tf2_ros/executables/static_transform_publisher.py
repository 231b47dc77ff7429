# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishes one static transform until stopped."""

from __future__ import annotations

import argparse
import contextlib
import sys

import rclpy
from geometry_msgs.msg import TransformStamped
from rclpy.executors import ExternalShutdownException
from rclpy.utilities import remove_ros_args
from tf2_py._rigid import from_rpy
from tf2_ros import StaticTransformBroadcaster


def parse(argv: list[str]) -> TransformStamped:
    """Return the transform that the command line asks for, in its modern or its old form."""
    if len(argv) in (8, 9) and not any(word.startswith("--") for word in argv):
        sys.stderr.write("[WARN] Old-style arguments are deprecated; see --help for new-style\n")
        turn = "yaw pitch roll" if len(argv) == 8 else "qx qy qz qw"
        names = f"x y z {turn} frame-id child-frame-id".split()
        argv = [f"--{name}={value}" for name, value in zip(names, argv, strict=True)]
    parser = argparse.ArgumentParser("static_transform_publisher", description=__doc__)
    for name in ("x", "y", "z", "roll", "pitch", "yaw", "qx", "qy", "qz", "qw"):
        parser.add_argument(f"--{name}", type=float, help="metres, radians or a quaternion part")
    parser.add_argument("--frame-id", required=True, help="parent frame")
    parser.add_argument("--child-frame-id", required=True, help="child frame")
    options = parser.parse_args(argv)
    given = {name for name, value in vars(options).items() if value is not None}
    quaternion = bool(given & {"qx", "qy", "qz", "qw"})
    if quaternion and given & {"roll", "pitch", "yaw"}:
        parser.error("give the rotation as --roll --pitch --yaw or as --qx --qy --qz --qw")
    if options.frame_id == options.child_frame_id:
        parser.error(f"cannot publish static transform from '{options.frame_id}' to itself")
    message = TransformStamped(child_frame_id=options.child_frame_id)
    message.header.frame_id = options.frame_id
    move, turn = message.transform.translation, message.transform.rotation
    move.x, move.y, move.z = options.x or 0.0, options.y or 0.0, options.z or 0.0
    if quaternion:
        turn.x, turn.y, turn.z = options.qx or 0.0, options.qy or 0.0, options.qz or 0.0
        turn.w = 1.0 if options.qw is None else options.qw
    else:
        angles = (options.roll or 0.0, options.pitch or 0.0, options.yaw or 0.0)
        *_, turn.x, turn.y, turn.z, turn.w = from_rpy(*angles)
    return message


def main() -> None:
    """Run the program."""
    message = parse(remove_ros_args(sys.argv)[1:])
    with rclpy.init(args=sys.argv):
        child = message.child_frame_id
        node = rclpy.create_node(f"static_transform_publisher_{child.replace('/', '_')}")
        message.header.stamp = node.get_clock().now().to_msg()
        StaticTransformBroadcaster(node).sendTransform(message)
        between = f"from '{message.header.frame_id}' to '{child}'"
        node.get_logger().info(f"Spinning until stopped - publishing transform {between}")
        with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
            rclpy.spin(node)
