# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A simulated cell as the body that tasks move, and as the stage of a film; no ROS in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import mujoco
import numpy as np
from roborefer_grasping.core.motion import Grip, Look, Progress, Reason, TaskFailure
from roborefer_grasping.core.planning.interface import Trajectory
from roborefer_grasping.core.robot import Array
from roborefer_grasping.core.view import DepthView
from roborefer_sim.core.camera import View, photographer, pinhole_of
from roborefer_sim.core.cell import TIME_STEP_S, Cell
from roborefer_sim.core.goals import Goal, GoalPoint
from roborefer_sim.core.sensor import SensorModel, measure
from roborefer_sim.core.simulation import Simulation

# Every planning has the same time.
TASK_S = 60.0
FRAME_S, FRAME_SIZE = 0.2, (320, 240)


class SimulatedBody:
    """Arm, gripper and camera of a simulated cell.

    Attributes:
        truth: What the camera would have seen first without any flaw.
        first: What it saw first.
        busy_s: Real time that physics and pictures took.
        on_step: Called after each step of the physics.
    """

    def __init__(self, simulation: Simulation, sensor: SensorModel, seed: int) -> None:
        self.simulation, self.cell = simulation, simulation.cell
        self._sensor, self._rng = sensor, np.random.default_rng(seed)
        self._photographer = photographer(self.cell)
        self.busy_s = 0.0
        self.on_step: Callable[[], None] = lambda: None
        self.truth, self.first = self._photograph()

    def _photograph(self) -> tuple[View, Look]:
        with self._clocked():
            truth = self._photographer.take()
            place = self.cell.layout.camera
            seen = measure(truth, place.focal, self._sensor, self._rng)
            k = pinhole_of(place)
        view = DepthView(seen.depth_m, k.fx, k.fy, k.cx, k.cy, place.t_world_optical)
        return truth, Look(view, self.joints(), self.jaw(), self.now_ns())

    @contextmanager
    def _clocked(self) -> Iterator[None]:
        begin = perf_counter()
        try:
            yield
        finally:
            self.busy_s += perf_counter() - begin

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        with self._clocked():
            for _ in range(round(seconds / TIME_STEP_S)):
                self.simulation.step()
                self.on_step()

    def close(self) -> None:
        """Let go of the graphics."""
        self._photographer.close()

    def check(self) -> None:
        """Nobody cancels here."""

    def remaining_s(self) -> float:
        """Every planning has the same time."""
        return TASK_S

    def now_ns(self) -> int:
        """Simulated time."""
        return round(self.simulation.now_s * 1e9)

    def joints(self) -> Array:
        """Measured, radians, shape (6,)."""
        return self.simulation.joints().position[:6].copy()

    def jaw(self) -> float:
        """Distance of the pads, metres."""
        return float(self.simulation.joints().position[6:].sum())

    def look(self, after_ns: int = 0) -> Look:
        """Take a picture now, or the first one again while nothing has moved."""
        if self.first.stamp_ns >= max(after_ns, self.now_ns()):
            return self.first
        return self._photograph()[1]

    def follow(self, trajectory: Trajectory, watch: Callable[[float], None]) -> None:
        """Send a trajectory to the controller and wait for its end."""
        rows = zip(trajectory.times, trajectory.positions, trajectory.velocities, strict=True)
        points = tuple(
            GoalPoint(float(t - trajectory.times[0]), tuple(p), tuple(v)) for t, p, v in rows
        )
        execution = self.simulation.follow(Goal(self.simulation.arm.joints, points))
        begin = self.simulation.now_s
        while not execution.done.is_set():
            self.wait(0.1)
            try:
                watch(self.simulation.now_s - begin)
            except TaskFailure:
                self.simulation.cancel(execution)
                while not execution.done.is_set():
                    self.wait(0.02)
                raise
        if execution.code:
            raise TaskFailure(Reason.EXECUTION_ABORTED, execution.text)

    def settle(self, joints: Array, tolerance: float) -> bool:
        """Wait until the joints are there, half a second at most."""
        for _ in range(25):
            if np.abs(self.joints() - joints).max() <= tolerance:
                return True
            self.wait(0.02)
        return False

    def grip(self, opening: float, force: float) -> Grip:
        """Move the jaw and wait for it."""
        grip = self.simulation.grip(min(opening, 0.085) / 2, force)
        while not grip.done.is_set():
            self.wait(0.02)
        return Grip(self.jaw(), grip.stalled)

    def report(self, progress: Progress) -> None:
        """Nobody listens."""


class Film:
    """Pictures of a run for the video wall, with a disc where the thing shall go."""

    def __init__(self, cell: Cell, goal: Array) -> None:
        self.frames: list[Any] = []
        self._cell, self._goal, self._next_s = cell, goal, 0.0
        self._renderer = mujoco.Renderer(cell.model, FRAME_SIZE[1], FRAME_SIZE[0])
        self._camera = mujoco.MjvCamera()
        self._camera.lookat[:] = (0.38, 0.0, 0.10)
        self._camera.distance, self._camera.azimuth, self._camera.elevation = 1.35, 150, -32

    def step(self) -> None:
        """Take a picture when it is time for one."""
        if self._cell.data.time < self._next_s:
            return
        self._next_s = self._cell.data.time + FRAME_S
        scene = self._renderer.scene
        self._renderer.update_scene(self._cell.data, self._camera)
        mujoco.mjv_initGeom(
            scene.geoms[scene.ngeom], mujoco.mjtGeom.mjGEOM_ELLIPSOID,
            np.array([0.03, 0.03, 0.001]),
            np.array([*self._goal, 0.0]), np.eye(3).flatten(),
            np.array([0.1, 0.9, 0.2, 0.8], np.float32),
        )  # fmt: skip
        scene.ngeom += 1
        self.frames.append(self._renderer.render().copy())

    def close(self) -> None:
        """Let go of the graphics."""
        self._renderer.close()
