# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Lets the arm of a cell follow desired states closely, as the controller of a real one does."""

from __future__ import annotations

import mujoco
import numpy as np

from roborefer_sim.core.arm import ARM_JOINTS
from roborefer_sim.core.cell import Cell
from roborefer_sim.core.trajectory import Array, State


class ArmServo:
    """Reads the arm's joints and commands its servos; made anew when the cell has a new model."""

    def __init__(self, cell: Cell) -> None:
        model, self._data, self._model = cell.model, cell.data, cell.model
        self._places = np.array([int(model.joint(n).qposadr[0]) for n in ARM_JOINTS])
        self._speeds = np.array([int(model.joint(n).dofadr[0]) for n in ARM_JOINTS])
        self._servos = np.array([int(model.actuator(n).id) for n in ARM_JOINTS])
        self._stiffness = model.actuator_gainprm[self._servos, 0].copy()
        self._damping = -model.actuator_biasprm[self._servos, 2].copy()
        self._wanted = np.zeros(model.nv)
        self._torque = np.zeros(model.nv)

    @property
    def position(self) -> Array:
        """Measured, shape (6,), radians."""
        return np.asarray(self._data.qpos[self._places])

    @property
    def velocity(self) -> Array:
        """Measured, shape (6,), radians per second."""
        return np.asarray(self._data.qvel[self._speeds])

    @property
    def effort(self) -> Array:
        """What the servos apply, shape (6,), newton metres."""
        return np.asarray(self._data.actuator_force[self._servos])

    def command(self, desired: State) -> None:
        """Set the servos so that they push for the desired motion, not only for its position.

        A servo of stiffness k and damping d alone would lag by d / k seconds.
        """
        self._wanted[self._speeds] = desired.acceleration
        mujoco.mj_mulM(self._model, self._data, self._torque, self._wanted)
        push = self._damping * desired.velocity + self._torque[self._speeds]
        self._data.ctrl[self._servos] = desired.position + push / self._stiffness
