# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The robot_state_publisher as a program of its own."""

from __future__ import annotations

import signal
import subprocess

import pytest
import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from rclpy.time import Time
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_ros import Buffer, TransformListener

from pocket_ros2 import workspace

ROBOT = (
    '<robot name="r"><link name="base"/><link name="arm"/><link name="tool"/><link name="jaw"/>'
    '<joint name="lift" type="prismatic"><parent link="base"/><child link="arm"/>'
    '<axis xyz="0 0 1"/></joint>'
    '<joint name="flange" type="fixed"><parent link="arm"/><child link="tool"/>'
    '<origin xyz="1 0 0"/></joint>'
    '<joint name="grip" type="prismatic"><parent link="tool"/><child link="jaw"/>'
    '<axis xyz="0 1 0"/><mimic joint="lift" multiplier="2" offset="0.5"/></joint></robot>'
)


def start(*parameters):
    command = workspace.executable("robot_state_publisher", "robot_state_publisher")
    options = [word for parameter in parameters for word in ("-p", parameter)]
    return subprocess.Popen([*command, "--ros-args", *options], stderr=subprocess.PIPE, text=True)


def test_joint_states_become_frames_and_the_description_is_latched():
    process = start(f"robot_description:='{ROBOT}'", "frame_prefix:=left/")
    try:
        with rclpy.init():
            node = rclpy.create_node("watcher")
            buffer = Buffer()
            listener = TransformListener(buffer, node)
            described = Future()
            latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            node.create_subscription(String, "robot_description", described.set_result, latched)
            joints = node.create_publisher(JointState, "joint_states", 10)
            state = JointState(name=["lift", "unknown"], position=[3.0, 0.0])

            def send():
                state.header.stamp = node.get_clock().now().to_msg()
                joints.publish(state)

            node.create_timer(0.1, send)
            found = buffer.wait_for_transform_async("left/base", "left/jaw", Time())
            rclpy.spin_until_future_complete(node, found, timeout_sec=20)
            rclpy.spin_until_future_complete(node, described, timeout_sec=20)

            move = found.result().transform.translation
            assert (move.x, move.y, move.z) == pytest.approx((1.0, 6.5, 3.0))
            assert described.result().data == ROBOT
            listener.unregister()
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ((), "robot_description must not be empty"),
        (
            ("robot_description:='<robot/>'",),
            "a robot is one tree with one root link, found the roots: []",
        ),
        (
            (f"robot_description:='{ROBOT}'", "publish_frequency:=-1.0"),
            "publish_frequency must be between 0 and 1000, it is -1.0",
        ),
    ],
)
def test_a_refused_parameter_ends_the_program_with_one_line(parameters, text):
    process = start(*parameters)

    _, errors = process.communicate(timeout=20)

    assert process.returncode == 1
    assert f"robot_state_publisher: {text}" in errors
    assert "Traceback" not in errors
