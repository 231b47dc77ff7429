# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Bodies, lines and texts of the 3D view, each in a frame of the robot."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Form(StrEnum):
    """What a shape is."""

    BOX = "box"
    SPHERE = "sphere"
    CYLINDER = "cylinder"
    LINES = "lines"
    TEXT = "text"
    MESH = "mesh"


@dataclass(frozen=True, eq=False)
class Shape:
    """One thing to be drawn.

    Attributes:
        form: What it is.
        frame: Frame of position and orientation.
        position: Metres, shape (3,).
        xyzw: Orientation, shape (4,).
        size: Metres along x, y, z; of a cylinder the diameter twice and the height along z; of
            lines and texts the thickness or height first.
        color: Red, green, blue from 0 to 1.
        opacity: 0 to 1.
        points: LINES: pairs of ends, shape (2 n, 3). MESH: corners, shape (n, 3). Metres.
        faces: MESH: corners of triangles, shape (m, 3).
        text: TEXT: what it says.
    """

    form: Form
    frame: str
    position: Array = field(default_factory=lambda: np.zeros(3))
    xyzw: Array = field(default_factory=lambda: np.array([0.0, 0.0, 0.0, 1.0]))
    size: tuple[float, float, float] = (0.01, 0.01, 0.01)
    color: tuple[float, float, float] = (0.6, 0.6, 0.6)
    opacity: float = 1.0
    points: Array = field(default_factory=lambda: np.zeros((0, 3)))
    faces: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 3), np.int64))
    text: str = ""
