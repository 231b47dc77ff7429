# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the arm must not touch, in the frame of its base; knows no planning engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from roborefer_grasping.core.robot import Array
from roborefer_grasping.exceptions import SceneError


class Shape(StrEnum):
    """Convex solids that every engine knows."""

    BOX = "box"
    CYLINDER = "cylinder"
    SPHERE = "sphere"


@dataclass(frozen=True, eq=False)
class Obstacle:
    """A solid at rest, or part of what the gripper holds.

    Attributes:
        name: Unique in its world, except that the parts of one thing share its name.
        shape: What it is.
        size: Full lengths along its axes, metres, shape (3,). A cylinder stands along its z axis
            and has its diameter in x and y; a sphere has its diameter in all three.
        pose: In the frame of the base, or of the TCP when held; shape (4, 4).
    """

    name: str
    shape: Shape
    size: Array
    pose: Array

    def __post_init__(self) -> None:
        if not self.name:
            raise SceneError("an obstacle needs a name")
        if self.size.shape != (3,) or not (np.isfinite(self.size) & (self.size > 0)).all():
            raise SceneError(f"obstacle '{self.name}' has size {self.size}; 3 positive numbers")
        rotation = self.pose[:3, :3]
        if self.pose.shape != (4, 4) or not np.isfinite(self.pose).all():
            raise SceneError(f"obstacle '{self.name}' has no finite 4 x 4 pose")
        if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-4:
            raise SceneError(f"the pose of obstacle '{self.name}' is no rigid motion")


@dataclass(frozen=True, eq=False)
class Held:
    """What the gripper holds, in the frame of the TCP."""

    name: str
    parts: tuple[Obstacle, ...]


@dataclass(frozen=True, eq=False)
class World:
    """Everything that motion has to mind.

    Attributes:
        obstacles: Solids at rest.
        held: What moves with the gripper, or None.
        jaw: Present distance of the pads, metres.
        padding: Distance that is kept from obstacles, metres.
        touchable: Names of obstacles that the fingers may touch, and near which no distance is
            kept by fingers and held thing: the thing to be grasped, or the place to put it on.
        workspace: Lowest and highest coordinates of the TCP, each of shape (3,), or None.
    """

    obstacles: Sequence[Obstacle] = ()
    held: Held | None = None
    jaw: float = 0.085
    padding: float = 0.005
    touchable: frozenset[str] = frozenset()
    workspace: tuple[Array, Array] | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.padding) and 0 <= self.padding <= 0.1):
            raise SceneError(f"padding is {self.padding}; 0 to 0.1 m is needed")
        if not (np.isfinite(self.jaw) and 0 <= self.jaw <= 0.3):
            raise SceneError(f"jaw is {self.jaw}; 0 to 0.3 m is needed")
        unknown = self.touchable - {o.name for o in self.obstacles}
        if unknown:
            known = sorted({o.name for o in self.obstacles})
            raise SceneError(f"touchable {sorted(unknown)} are no obstacles; there are {known}")

    def allowing(self, *names: str) -> World:
        """Return the same world in which fingers and held thing may touch these obstacles too."""
        return replace(self, touchable=self.touchable | set(names))
