# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The joints of a URDF, and where they put their child links."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from tf2_py._rigid import IDENTITY, Rigid, compose, from_rpy

_ROTATING = ("revolute", "continuous")
_KINDS = (*_ROTATING, "prismatic", "fixed", "floating", "planar")


class UrdfError(ValueError):
    """A robot description cannot be understood."""


@dataclass(frozen=True)
class Mimic:
    """A joint follows another: position = multiplier * position of `joint` + offset."""

    joint: str
    multiplier: float
    offset: float


@dataclass(frozen=True)
class Joint:
    """One joint: its origin in the parent link, and an axis of unit length in its own frame."""

    name: str
    kind: str
    parent: str
    child: str
    origin: Rigid
    axis: tuple[float, float, float]
    mimic: Mimic | None

    @property
    def moves(self) -> bool:
        """Tell whether one number, a position, says where the child is."""
        return self.kind in (*_ROTATING, "prismatic")

    def child_pose(self, position: float) -> Rigid:
        """Return the child link in the parent link at a position in radians or metres."""
        x, y, z = self.axis
        motion = IDENTITY
        if self.kind in _ROTATING:
            half = math.sin(position / 2)
            motion = (0.0, 0.0, 0.0, x * half, y * half, z * half, math.cos(position / 2))
        elif self.kind == "prismatic":
            motion = (x * position, y * position, z * position, *IDENTITY[3:])
        return compose(self.origin, motion)


def parse(description: str) -> dict[str, Joint]:
    """Return the joints by name.

    Raises:
        UrdfError: It is no URDF, links or joints are named twice or missing, or it is no tree.
    """
    if not description.strip():
        raise UrdfError("robot_description must not be empty")
    try:
        robot = ET.fromstring(description)
    except ET.ParseError as error:
        raise UrdfError(f"robot_description is not valid XML: {error}") from error
    if robot.tag != "robot":
        raise UrdfError(f"robot_description has the root element <{robot.tag}> instead of <robot>")
    links: set[str] = set()
    for element in robot.findall("link"):
        name = _attribute(element, "name", "a link")
        if name in links:
            raise UrdfError(f"link '{name}' is defined twice")
        links.add(name)
    joints: dict[str, Joint] = {}
    parents: dict[str, Joint] = {}
    for element in robot.findall("joint"):
        joint = _joint(element)
        if joint.name in joints:
            raise UrdfError(f"joint '{joint.name}' is defined twice")
        for link in (joint.parent, joint.child):
            if link not in links:
                raise UrdfError(f"joint '{joint.name}' names the unknown link '{link}'")
        if joint.child in parents:
            first = parents[joint.child].name
            raise UrdfError(f"link '{joint.child}' hangs on two joints: {first}, {joint.name}")
        joints[joint.name] = parents[joint.child] = joint
    roots = sorted(links - set(parents))
    if len(roots) != 1:
        raise UrdfError(f"a robot is one tree with one root link, found the roots: {roots}")
    for joint in joints.values():
        if joint.mimic is not None and joint.mimic.joint not in joints:
            raise UrdfError(f"joint '{joint.name}' mimics the unknown '{joint.mimic.joint}'")
    return joints


def _joint(element: ET.Element) -> Joint:
    name = _attribute(element, "name", "a joint")
    where = f"joint '{name}'"
    kind = _attribute(element, "type", where)
    if kind not in _KINDS:
        raise UrdfError(f"{where} has type '{kind}'; valid are {', '.join(_KINDS)}")
    x, y, z = _vector(element, "origin", "xyz", "0 0 0", where)
    turn = from_rpy(*_vector(element, "origin", "rpy", "0 0 0", where))
    origin = compose((x, y, z, *IDENTITY[3:]), turn)
    axis = _vector(element, "axis", "xyz", "1 0 0", where)
    length = math.hypot(*axis)
    if length == 0 and kind in (*_ROTATING, "prismatic"):
        raise UrdfError(f"{where} has an axis without length")
    mimic, node = None, element.find("mimic")
    if node is not None:
        text = f"{node.get('multiplier', '1')} {node.get('offset', '0')}"
        factor, offset = _numbers(text, 2, f"<mimic multiplier, offset> of {where}")
        mimic = Mimic(_attribute(node, "joint", f"mimic of {where}"), factor, offset)
    parent, child = (
        _attribute(element.find(tag), "link", f"<{tag}> of {where}") for tag in ("parent", "child")
    )
    x, y, z = (part / (length or 1.0) for part in axis)
    return Joint(name, kind, parent, child, origin, (x, y, z), mimic)


def _attribute(element: ET.Element | None, key: str, where: str) -> str:
    value = "" if element is None else element.get(key, "")
    if not value:
        raise UrdfError(f"{where} has no attribute '{key}'")
    return value


def _vector(element: ET.Element, tag: str, key: str, default: str, where: str) -> list[float]:
    node = element.find(tag)
    text = default if node is None else node.get(key, default)
    return _numbers(text, 3, f"<{tag} {key}> of {where}")


def _numbers(text: str, count: int, where: str) -> list[float]:
    try:
        values = [float(word) for word in text.split()]
    except ValueError:
        values = []
    if len(values) != count or not all(map(math.isfinite, values)):
        raise UrdfError(f"{where} is '{text}'; it takes {count} finite number(s)")
    return values
