# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages at their edges: numbers of other libraries, big data, sharing, what is received."""

from __future__ import annotations

import time
from array import array

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import Pose, PoseArray, PoseStamped
from nav_msgs.msg import Path
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Bool, Byte, Float64, Int8, Int64, UInt8MultiArray


def test_numbers_of_numpy_are_refused_where_ros_wants_those_of_python():
    for message, value in (
        (Int64(), np.int64(1)),
        (Bool(), np.bool_(True)),
        (Float64(), np.float32(1)),
        (Float64(), 1),
        (Int8(), 1.0),
        (Byte(), "b"),
    ):
        with pytest.raises(AssertionError):
            message.data = value
    float64 = Float64(data=np.float64(0.5))  # numpy's float64 is a Python float

    assert float64.data == 0.5
    assert Int8(data=True).data == 1


def test_large_data_is_set_without_looking_at_every_byte():
    pixels = np.zeros((2160, 3840, 3), np.uint8)
    image = Image()
    start = time.perf_counter()
    image.data = pixels.tobytes()
    image.data = array("B", pixels.tobytes())

    assert len(image.data) == pixels.size
    # Looking at each of the 25 million values takes seconds.
    assert time.perf_counter() - start < 1.0


def test_lists_and_defaults_belong_to_one_message():
    first, second = PoseArray(), PoseArray()
    first.poses.append(Pose())
    first.header.stamp.sec = 3
    CameraInfo().k[0] = 5.0

    assert second.poses == []
    assert second.header.stamp.sec == 0
    assert CameraInfo().k[0] == 0.0
    assert Path().poses is not Path().poses


def test_nested_message_is_taken_by_reference_as_in_ros():
    pose = Pose()
    stamped = PoseStamped(pose=pose)
    pose.position.x = 2.0

    assert stamped.pose is pose
    assert stamped.pose.position.x == 2.0


def test_received_message_can_be_changed_without_touching_another():
    data = serialize_message(UInt8MultiArray(data=[1, 2, 3]))
    first, second = (deserialize_message(data, UInt8MultiArray) for _ in range(2))
    first.data[0] = 9
    first.data.append(4)
    np.frombuffer(second.data, np.uint8)[1] = 7

    assert list(first.data) == [9, 2, 3, 4]
    assert list(second.data) == [1, 7, 3]
    assert list(deserialize_message(data, UInt8MultiArray).data) == [1, 2, 3]


def test_two_subscriptions_of_a_topic_get_messages_of_their_own():
    with rclpy.init(args=[]):
        node = rclpy.create_node("walker")
        heard = []
        for _ in range(2):
            node.create_subscription(UInt8MultiArray, "topic", heard.append, 10)
        sent = UInt8MultiArray(data=[1])
        node.create_publisher(UInt8MultiArray, "topic", 10).publish(sent)
        sent.data[0] = 99
        deadline = time.monotonic() + 10
        while len(heard) < 2:
            assert time.monotonic() < deadline
            rclpy.spin_once(node, timeout_sec=0.1)

    heard[0].data[0] = 5
    assert list(heard[1].data) == [1]


def test_slot_types_are_refused_by_name_on_class_and_instance():
    for owner in (Pose, Pose()):
        with pytest.raises(NotImplementedError, match=r"Pose\.SLOT_TYPES"):
            _ = owner.SLOT_TYPES
