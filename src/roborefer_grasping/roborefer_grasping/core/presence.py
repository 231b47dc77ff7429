# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Takes out of a world what cannot be: solids where the robot itself is.

Boxes around measured points are larger than what was measured, a sensor makes some up at edges,
and what the arm hides counts as filled. Where the arm and what it holds are right now, there is
nothing else; without this an arm that has just lifted something could not leave.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.occupancy import SURROUNDINGS, UNSEEN, merged
from roborefer_grasping.core.robot import Array, Robot
from roborefer_grasping.core.self_filter import on_robot
from roborefer_grasping.core.world import Obstacle, World

# Cells into which boxes are cut, metres.
CELL_M = 0.012
# A cell whose middle is this close to the robot is taken out, metres: half of its diagonal for
# what was measured, and more for what nobody saw, whose outlines mean little.
_NEAR_M = {SURROUNDINGS: 0.010, UNSEEN: 0.030}


def without_robot(world: World, robot: Robot, gripper: Gripper, joints: Array) -> World:
    """Return the same world with measured and hidden space cut away where the robot is.

    Args:
        world: With what is held.
        robot: The arm.
        gripper: On its flange.
        joints: Where the arm is now, radians, shape (6,).
    """
    left: list[Obstacle] = []
    for obstacle in world.obstacles:
        margin = _NEAR_M.get(obstacle.name)
        left += [obstacle] if margin is None else _cut(obstacle, world, robot, gripper, joints)
    return replace(world, obstacles=tuple(left))


def _cut(
    box: Obstacle, world: World, robot: Robot, gripper: Gripper, joints: Array
) -> list[Obstacle]:
    counts = np.maximum(1, np.round(box.size / CELL_M)).astype(int)
    steps = box.size / counts
    low = box.pose[:3, 3] - box.size / 2
    axes = [low[i] + steps[i] * (np.arange(counts[i]) + 0.5) for i in range(3)]
    middles = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    taken = on_robot(
        middles.reshape(-1, 3), robot, gripper, joints, world.jaw, world.held, _NEAR_M[box.name]
    )
    if not taken.any():
        return [box]
    return merged(~taken.reshape(counts), low, steps, box.name)
