# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages by name, as text and from dictionaries."""

from __future__ import annotations

from array import array

import pytest
import yaml
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from rosidl_runtime_py import (
    message_to_csv,
    message_to_ordereddict,
    message_to_yaml,
    set_message_fields,
)
from rosidl_runtime_py.utilities import get_action, get_interface, get_message, get_service
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage


def test_classes_are_found_by_full_and_short_name():
    assert get_message("std_msgs/msg/String") is get_message("std_msgs/String") is String
    assert get_service("std_srvs/srv/Trigger").__name__ == "Trigger"
    assert get_action("example_interfaces/action/Fibonacci") is get_interface(
        "example_interfaces/action/Fibonacci"
    )
    for wrong in ("std_msgs/srv/String", "std_msgs", "std_msgs/msg/Nope", "a/b/c/d"):
        with pytest.raises(ValueError, match=r"expected|unknown"):
            get_message(wrong)


def test_yaml_reads_back_into_an_equal_message():
    original = JointState(name=["a", "b"], position=[1.5, 2.0])
    original.header.frame_id = "base"
    text = message_to_yaml(original)
    assert text.startswith("header:\n  stamp:\n    sec: 0\n    nanosec: 0\n  frame_id: base\n")
    again = JointState()
    set_message_fields(again, yaml.safe_load(text))
    assert again == original


def test_long_values_are_shortened_when_asked():
    message = JointState(name=["abcdef"] * 3, position=[1.0, 2.0, 3.0])
    assert message_to_ordereddict(message, truncate_length=2)["position"] == [1.0, 2.0, "..."]
    assert message_to_ordereddict(message, truncate_length=2)["name"][0] == "ab..."
    shown = message_to_ordereddict(message, no_arr=True, no_str=True)
    assert shown["position"] == "<sequence type: double, length: 3>"
    assert message_to_csv(String(data="x")) == "x"
    assert message_to_csv(JointState(position=[1.0])) == "0,0,,1.0"
    assert message_to_ordereddict(DiagnosticStatus(level=b"\2"))["level"] == 2


def test_numbers_become_what_the_field_needs():
    pose = PoseStamped()
    set_message_fields(pose, {"pose": {"position": {"x": 1}}, "header": {"frame_id": 5}})
    assert pose.pose.position.x == 1.0
    assert pose.header.frame_id == "5"
    joints = JointState()
    set_message_fields(joints, {"position": [1, 2]})
    assert joints.position == array("d", [1.0, 2.0])
    tree = TFMessage()
    set_message_fields(tree, {"transforms": [{"child_frame_id": "b"}]})
    assert tree.transforms[0].child_frame_id == "b"


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"nope": 1}, AttributeError),
        ({"position": 1}, TypeError),
        ({"header": 3}, TypeError),
        ({"position": ["x"]}, TypeError),
        (5, TypeError),
    ],
)
def test_misfits_are_typed_errors(values, error):
    with pytest.raises(error):
        set_message_fields(JointState(), values)


def test_auto_and_now_wait_for_the_time():
    pose = PoseStamped()
    for put in set_message_fields(pose, {"header": "auto"}, expand_header_auto=True):
        put(Time(sec=7))
    assert pose.header.stamp.sec == 7
    for put in set_message_fields(pose, {"header": {"stamp": "now"}}, expand_time_now=True):
        put(Time(sec=8))
    assert pose.header.stamp.sec == 8
