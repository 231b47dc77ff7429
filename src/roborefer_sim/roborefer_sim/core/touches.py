# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Counts what the robot runs into: ground truth about safety, for tests and benchmarks."""

from __future__ import annotations

import numpy as np

from roborefer_sim.core.arm import FINGER_JOINTS
from roborefer_sim.core.cell import Cell

# The base stands on the table, and the fingers are there to touch things.
_MAY_TOUCH = {"base_link", *(name.replace("_joint", "_link") for name in FINGER_JOINTS)}


class Touches:
    """Watches the links of the arm and the palm of its gripper.

    Attributes:
        count: How often one of them came into contact with something.
        last: The two bodies of the last time, or "".
    """

    def __init__(self, cell: Cell) -> None:
        self.count, self.last = 0, ""
        self._present: set[tuple[int, int]] = set()
        self.bind(cell)

    def bind(self, cell: Cell) -> None:
        """Look up the bodies in the present model."""
        self._model, self._data = cell.model, cell.data
        root = int(cell.model.body("base_link").id)
        bodies = range(cell.model.nbody)
        robot = {b for b in bodies if cell.model.body_rootid[b] == root}
        may = {b for b in robot if cell.model.body(b).name in _MAY_TOUCH}
        self._robot = np.isin(np.arange(cell.model.nbody), list(robot))
        self._watched = np.isin(np.arange(cell.model.nbody), list(robot - may))
        self._present = set()

    def look(self) -> None:
        """Count contacts that were not there at the last look."""
        contacts = self._data.contact
        if not self._data.ncon:
            self._present = set()
            return
        bodies = self._model.geom_bodyid[contacts.geom[contacts.dist < 0]]
        first, second = bodies[:, 0], bodies[:, 1]
        hit = (self._watched[first] & ~self._robot[second]) | (
            self._watched[second] & ~self._robot[first]
        )
        found = {(int(a), int(b)) for a, b in bodies[hit]}
        for a, b in found - self._present:
            self.count += 1
            self.last = f"{self._model.body(a).name} and {self._model.body(b).name}"
        self._present = found
