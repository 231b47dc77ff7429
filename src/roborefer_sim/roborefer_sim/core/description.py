# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The robot of the cell as URDF, for robot_state_publisher, RViz and MoveIt.

Type `python3 -m roborefer_sim.core.description --tf-prefix PREFIX` to print it. It has the arm,
the gripper and `tcp`; its root is `world`. The camera is not part of it: where a camera stands is
told by whoever drives it.
"""

from __future__ import annotations

import argparse
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from roborefer_sim.core.arm import FINGER_JOINTS, GRIP_FORCE_N, OPEN_M, TCP_OFFSET_M
from roborefer_sim.core.assets import ur5_urdf
from roborefer_sim.exceptions import AssetError

FINGER_SPEED_M_S = 0.075


def robot_description(prefix: str = "") -> str:
    """Write the URDF, with the prefix before every link and joint except `world`.

    Raises:
        AssetError: The UR5's description was not put into the cache, or is no URDF.
    """
    path = ur5_urdf()
    try:
        robot = ET.parse(path).getroot()
    except ET.ParseError as error:
        raise AssetError(f"{path} is no XML: {error}; delete it and fetch it again") from error
    for extra in robot.findall("mujoco"):
        robot.remove(extra)
    for link in robot.findall("link"):
        _show_collision_meshes(link, path.parent)
    _add_gripper(robot)
    for tag in ("link", "joint"):
        for element in robot.findall(tag):
            element.set("name", _named(element.get("name", ""), prefix))
    for joint in robot.findall("joint"):
        for tag in ("parent", "child"):
            end = joint.find(tag)
            if end is not None:
                end.set("link", _named(end.get("link", ""), prefix))
    ET.indent(robot)
    return ET.tostring(robot, encoding="unicode") + "\n"


def _named(name: str, prefix: str) -> str:
    return name if name == "world" else prefix + name


def _show_collision_meshes(link: ET.Element, folder: Path) -> None:
    """Show what collides, since the cache keeps no other meshes."""
    collision, visual = link.find("collision"), link.find("visual")
    for mesh in link.findall("collision/geometry/mesh"):
        mesh.set("filename", (folder / mesh.get("filename", "")).as_uri())
    if collision is not None and visual is not None:
        visual[:] = list(collision)


def _add_gripper(robot: ET.Element) -> None:
    _link(robot, "gripper_base_link", (0.075, 0.075, 0.09), (0, 0, 0.045), mass=0.777)
    _joint(robot, "gripper_mount_joint", "fixed", "tool0", "gripper_base_link")
    for name, side in zip(FINGER_JOINTS, (1, -1), strict=True):
        link = name.replace("_joint", "_link")
        # From the outer face of the finger to the face of its pad, from its root to its tip.
        _link(robot, link, (0.022, 0.016, 0.055), (0, side * 0.008, 0.1175), mass=0.05)
        joint = _joint(robot, name, "prismatic", "gripper_base_link", link)
        ET.SubElement(joint, "axis", xyz=f"0 {side} 0")
        ET.SubElement(
            joint, "limit", lower="0", upper=str(OPEN_M), effort=str(GRIP_FORCE_N),
            velocity=str(FINGER_SPEED_M_S),
        )  # fmt: skip
    ET.SubElement(robot, "link", name="tcp")
    _joint(robot, "tcp_joint", "fixed", "gripper_base_link", "tcp", (0, 0, TCP_OFFSET_M))


def _link(
    robot: ET.Element,
    name: str,
    size: tuple[float, ...],
    center: tuple[float, ...],
    mass: float,
) -> None:
    link = ET.SubElement(robot, "link", name=name)
    for kind in ("visual", "collision"):
        shape = ET.SubElement(link, kind)
        ET.SubElement(shape, "origin", xyz=_text(center), rpy="0 0 0")
        ET.SubElement(ET.SubElement(shape, "geometry"), "box", size=_text(size))
    inertial = ET.SubElement(link, "inertial")
    ET.SubElement(inertial, "origin", xyz=_text(center), rpy="0 0 0")
    ET.SubElement(inertial, "mass", value=str(mass))
    x, y, z = (length**2 * mass / 12 for length in size)
    ET.SubElement(
        inertial, "inertia", ixx=f"{y + z:.3g}", iyy=f"{x + z:.3g}", izz=f"{x + y:.3g}",
        ixy="0", ixz="0", iyz="0",
    )  # fmt: skip


def _joint(
    robot: ET.Element,
    name: str,
    kind: str,
    parent: str,
    child: str,
    offset: tuple[float, ...] = (0, 0, 0),
) -> ET.Element:
    joint = ET.SubElement(robot, "joint", name=name, type=kind)
    ET.SubElement(joint, "parent", link=parent)
    ET.SubElement(joint, "child", link=child)
    ET.SubElement(joint, "origin", xyz=_text(offset), rpy="0 0 0")
    return joint


def _text(numbers: tuple[float, ...]) -> str:
    return " ".join(f"{number:g}" for number in numbers)


def main() -> int:
    """Print the URDF; 1 when it is not there."""
    parser = argparse.ArgumentParser(description="Print the robot of the cell as URDF.")
    parser.add_argument("--tf-prefix", default="", help="before names of links and joints")
    try:
        print(robot_description(parser.parse_args().tf_prefix), end="")
    except AssetError as error:
        print(f"robot_description: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
