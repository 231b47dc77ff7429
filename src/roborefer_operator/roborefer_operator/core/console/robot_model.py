# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The bodies of a robot from its description (URDF)."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from roborefer_operator.core.console.shapes import Array, Form, Shape
from roborefer_operator.exceptions import ConsoleError

_LONGEST = 4_000_000
_MOST_FACES = 100_000
_GRAY = (0.62, 0.66, 0.71)

# From the address of a mesh to its file; None when it cannot be told.
Find = Callable[[str], Path | None]


def read_robot(text: str, find: Find) -> list[Shape]:
    """Return what the robot looks like, each shape in the frame of its link.

    A body whose mesh cannot be read is left out.

    Raises:
        ConsoleError: The text is no description of a robot.
    """
    # Entities can make a short text endless.
    if len(text) > _LONGEST or "<!ENTITY" in text:
        raise ConsoleError(f"a robot description of {len(text)} letters, or with entities")
    try:
        robot = ET.fromstring(text)
        return [
            shape
            for link in robot.findall("link")
            for visual in link.findall("visual")
            if (shape := _shape(link.get("name", ""), visual, find)) is not None
        ]
    except (ET.ParseError, ValueError) as error:
        raise ConsoleError(f"the robot description is wrong: {error}") from error


def _shape(link: str, visual: ET.Element, find: Find) -> Shape | None:
    origin = visual.find("origin")
    place = _numbers(origin, "xyz", 3) if origin is not None else np.zeros(3)
    turn = _numbers(origin, "rpy", 3) if origin is not None else np.zeros(3)
    geometry = visual.find("geometry")
    body = None if geometry is None else next(iter(geometry), None)
    if body is None:
        return None
    pose: dict[str, Any] = {
        "frame": link, "position": place, "xyzw": _from_rpy(*turn.tolist()),
    }  # fmt: skip
    if body.tag == "box":
        x, y, z = _numbers(body, "size", 3).tolist()
        return Shape(Form.BOX, **pose, size=(x, y, z), color=_GRAY)
    if body.tag in ("cylinder", "sphere"):
        wide = 2.0 * float(body.get("radius", "nan"))
        high = float(body.get("length", str(wide)))
        return Shape(Form(body.tag), **pose, size=(wide, wide, high), color=_GRAY)
    return _mesh(body, pose, find) if body.tag == "mesh" else None


def _mesh(body: ET.Element, pose: dict[str, Any], find: Find) -> Shape | None:
    path = find(body.get("filename", ""))
    if path is None or not path.is_file():
        return None
    try:
        mesh = trimesh.load_mesh(path, process=False)
    except (ValueError, OSError, ImportError, NotImplementedError):
        # A format that needs a library which is not there shows no body, and harms nothing else.
        return None
    faces = np.asarray(mesh.faces, np.int64)
    if not 0 < len(faces) <= _MOST_FACES:
        return None
    scale = _numbers(body, "scale", 3) if body.get("scale") else np.ones(3)
    corners = np.asarray(mesh.vertices, float) * scale
    return Shape(Form.MESH, **pose, color=_GRAY, points=corners, faces=faces)


def _numbers(element: ET.Element, name: str, count: int) -> Array:
    numbers = np.array([float(word) for word in element.get(name, "0 0 0").split()])
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise ValueError(f'{name}="{element.get(name)}"; {count} numbers are needed')
    return numbers


def _from_rpy(roll: float, pitch: float, yaw: float) -> Array:
    """Quaternion of turns about the fixed axes x, y, z."""
    (sr, cr), (sp, cp), (sy, cy) = ((math.sin(a / 2), math.cos(a / 2)) for a in (roll, pitch, yaw))
    return np.array(
        [
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
            cr * cp * cy + sr * sp * sy,
        ]
    )
