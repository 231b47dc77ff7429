# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the robot's frames are, as physics has them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from roborefer_sim.core.arm import TCP_OFFSET_M
from roborefer_sim.core.cell import Cell

Array = npt.NDArray[np.float64]
TCP_PARENT = "gripper_base_link"

# Pose of an optical frame (x right, y down, z ahead) in its camera's body (x ahead, y left, z up).
T_LINK_OPTICAL: Array = np.array(
    [[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)


def robot_frames(cell: Cell) -> Iterator[tuple[str, str, Array]]:
    """Yield parent, child and the pose of child in parent, (4, 4), of all links and of `tcp`.

    The tree begins at `base_link`. Places of bodies must have been worked out for the present
    state (`mj_kinematics`).
    """
    model, data = cell.model, cell.data
    things = {thing.name for thing in cell.placed}
    for body in range(1, model.nbody):
        parent = int(model.body_parentid[body])
        name = model.body(body).name
        if parent and name not in things:
            turned = data.xmat[parent].reshape(3, 3).T
            pose = np.eye(4)
            pose[:3, :3] = turned @ data.xmat[body].reshape(3, 3)
            pose[:3, 3] = turned @ (data.xpos[body] - data.xpos[parent])
            yield model.body(parent).name, name, pose
    tcp = np.eye(4)
    tcp[2, 3] = TCP_OFFSET_M
    yield TCP_PARENT, "tcp", tcp
