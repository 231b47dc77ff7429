# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Kinematics of robot descriptions, checked against a chain worked out by hand."""

from __future__ import annotations

import math

import pytest
from robot_state_publisher._urdf import UrdfError, parse
from tf2_py._rigid import compose

ARM = """<robot name="arm">
  <link name="base"/><link name="upper"/><link name="lower"/><link name="tool"/><link name="jaw"/>
  <joint name="shoulder" type="revolute">
    <parent link="base"/><child link="upper"/>
    <origin xyz="0 0 1" rpy="0 0 1.5707963267948966"/><axis xyz="0 0 2"/>
  </joint>
  <joint name="elbow" type="continuous">
    <parent link="upper"/><child link="lower"/><origin xyz="2 0 0"/><axis xyz="0 1 0"/>
  </joint>
  <joint name="flange" type="fixed">
    <parent link="lower"/><child link="tool"/><origin xyz="1 0 0"/>
  </joint>
  <joint name="finger" type="prismatic">
    <parent link="tool"/><child link="jaw"/><axis xyz="0 3 0"/>
    <mimic joint="elbow" multiplier="-0.5" offset="0.1"/>
  </joint>
</robot>"""


def test_the_hand_worked_chain_is_met():
    joints = parse(ARM)
    quarter = math.pi / 2

    # Shoulder at 90 deg: its origin is turned by 90 deg already, so the upper arm points to -X.
    # Elbow at 90 deg about Y: the lower arm points to -Z. Jaw: 0.2 m along the tool's Y = -Y.
    pose = joints["shoulder"].child_pose(quarter)
    pose = compose(pose, joints["elbow"].child_pose(quarter))
    elbow = pose[:3]
    pose = compose(pose, joints["flange"].child_pose(0.0))
    tool = pose[:3]
    jaw = compose(pose, joints["finger"].child_pose(0.2))[:3]

    assert elbow == pytest.approx((-2, 0, 1), abs=1e-12)
    assert tool == pytest.approx((-2, 0, 0), abs=1e-12)
    assert jaw == pytest.approx((-2, -0.2, 0), abs=1e-12)
    assert joints["finger"].mimic.multiplier == -0.5


def test_rpy_is_roll_then_pitch_then_yaw_about_fixed_axes():
    text = ARM.replace('rpy="0 0 1.5707963267948966"', 'rpy="0.1 -0.7 2.1"')
    *_, x, y, z, w = parse(text)["shoulder"].child_pose(0.0)

    roll = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pitch = math.asin(2 * (w * y - z * x))
    yaw = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))

    assert (roll, pitch, yaw) == pytest.approx((0.1, -0.7, 2.1))


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (ARM, "", "must not be empty"),
        ("</robot>", "", "not valid XML"),
        (ARM, "<sdf/>", "root element <sdf>"),
        ('type="fixed"', 'type="glued"', "type 'glued'; valid are revolute"),
        ('xyz="0 0 1"', 'xyz="0 1"', "is '0 1'; it takes 3 finite"),
        ('xyz="0 0 1"', 'xyz="0 nan 1"', "finite"),
        ('xyz="0 3 0"', 'xyz="0 0 0"', "axis without length"),
        ('parent link="tool"', 'parent link="ghost"', "'finger' names the unknown link 'ghost'"),
        ('<link name="jaw"/>', '<link name="jaw"/><link name="lone"/>', "roots: .'base', 'lone'."),
        ('child link="tool"', 'child link="upper"', "'upper' hangs on two joints"),
        ('mimic joint="elbow"', 'mimic joint="knee"', "mimics the unknown 'knee'"),
        ('joint name="elbow"', 'joint name="shoulder"', "'shoulder' is defined twice"),
        ('<link name="jaw"/>', '<link name="jaw"/><link name="jaw"/>', "'jaw' is defined twice"),
        ('<parent link="base"/>', "", "<parent> of joint 'shoulder' has no attribute 'link'"),
        ('multiplier="-0.5"', 'multiplier="fast"', "offset> of joint 'finger' is 'fast 0.1'"),
    ],
)
def test_broken_descriptions_are_refused_with_the_place(old, new, text):
    assert old in ARM

    with pytest.raises(UrdfError, match=text):
        parse(ARM.replace(old, new))
