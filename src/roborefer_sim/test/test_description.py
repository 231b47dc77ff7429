# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import urlsplit

import mujoco
import numpy as np
import pytest
from roborefer_sim.core.arm import ARM_JOINTS, FINGER_JOINTS, HOME
from roborefer_sim.core.cell import Cell
from roborefer_sim.core.description import robot_description


@pytest.mark.parametrize("prefix", ["", "left_"])
def test_every_joint_connects_links_that_exist(prefix):
    robot = ET.fromstring(robot_description(prefix))

    links = {link.get("name") for link in robot.findall("link")}
    joints = {joint.get("name") for joint in robot.findall("joint")}
    children = [joint.find("child").get("link") for joint in robot.findall("joint")]
    parents = {joint.find("parent").get("link") for joint in robot.findall("joint")}
    assert set(children) | parents == links
    assert links - set(children) == {"world"}
    assert {prefix + name for name in (*ARM_JOINTS, *FINGER_JOINTS)} <= joints


def test_meshes_are_there():
    robot = ET.fromstring(robot_description())

    meshes = [mesh.get("filename") for mesh in robot.iter("mesh")]

    assert len(meshes) == 14
    assert all(Path(urlsplit(name).path).is_file() for name in meshes)


def test_tool_and_jaw_are_where_the_cell_has_them():
    text = robot_description().replace("file://", "")
    spec = mujoco.MjSpec.from_string(
        text.replace("<link", '<mujoco><compiler fusestatic="false"/></mujoco><link', 1)
    )
    model = spec.compile()
    data = mujoco.MjData(model)
    cell = Cell()
    for name, angle in zip(ARM_JOINTS, HOME, strict=True):
        data.joint(name).qpos[0] = angle
    for name in FINGER_JOINTS:
        data.joint(name).qpos[0] = cell.data.joint(name).qpos[0]

    mujoco.mj_kinematics(model, data)

    for name in ("tool0", "gripper_base_link", "gripper_left_finger_link"):
        np.testing.assert_allclose(data.body(name).xpos, cell.data.body(name).xpos, atol=1e-9)
    np.testing.assert_allclose(data.body("tcp").xpos, cell.data.site("tcp").xpos, atol=1e-9)
