# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The cell in operation: physics, arm controller, gripper controller and faults, step by step."""

from __future__ import annotations

from dataclasses import dataclass, field

import mujoco
import numpy as np

from roborefer_sim.core.arm import ARM_JOINTS, FINGER_JOINTS, GRIPPER_ACTUATOR, HOME, OPEN_M
from roborefer_sim.core.arm_servo import ArmServo
from roborefer_sim.core.cell import TIME_STEP_S, Cell, Placed
from roborefer_sim.core.controller import Braking, Execution, TrajectoryController
from roborefer_sim.core.goals import Goal, Tolerances
from roborefer_sim.core.jaw import Grip, JawController, JawSettings
from roborefer_sim.core.touches import Touches
from roborefer_sim.core.trajectory import Array
from roborefer_sim.exceptions import SceneError

# Metres, metres and radians per second: physics explodes somewhere beyond.
FARTHEST = 1000.0
# Time steps between two looks at what the robot touches.
_LOOK = 5


@dataclass(frozen=True)
class Faults:
    """What is broken on purpose, for tests.

    Attributes:
        abort: The arm's controller gives up its goal and every new one.
        limp: The gripper has no force, so that it drops what it holds.
    """

    abort: bool = False
    limp: bool = False


@dataclass(frozen=True)
class Settings:
    """Settings of the controllers."""

    tolerances: Tolerances = field(default_factory=Tolerances)
    braking: Braking = field(default_factory=Braking)
    jaw: JawSettings = field(default_factory=JawSettings)


@dataclass(frozen=True, eq=False)
class Joints:
    """What the joints measure: arm first, then the fingers; each array of shape (8,)."""

    names: tuple[str, ...]
    position: Array
    velocity: Array
    effort: Array


class Simulation:
    """A cell whose arm and gripper obey controllers. All methods belong to one thread.

    Attributes:
        cell: Its `model` and `data` change when things are added or removed.
        steps: Time steps done since the clock was set to 0.
        faults: What is broken at present.
        touches: What the robot ran into.
    """

    def __init__(self, cell: Cell, settings: Settings | None = None) -> None:
        settings = settings or Settings()
        self.cell, self.steps, self.faults = cell, 0, Faults()
        home = np.array(HOME)
        self.arm = TrajectoryController(ARM_JOINTS, home, settings.tolerances, settings.braking)
        self.jaw = JawController(settings.jaw)
        self.touches = Touches(cell)
        self._first = cell.placed
        self._bind()

    def _bind(self) -> None:
        """Look up the places of joints and servos in the present model."""
        model = self.cell.model
        self._servo = ArmServo(self.cell)
        self._fingers = [model.joint(name) for name in FINGER_JOINTS]
        self._finger_places = np.array([int(joint.qposadr[0]) for joint in self._fingers])
        self._finger_speeds = np.array([int(joint.dofadr[0]) for joint in self._fingers])
        self._grip = int(model.actuator(GRIPPER_ACTUATOR).id)
        self.touches.bind(self.cell)

    @property
    def now_s(self) -> float:
        """Simulated time, seconds."""
        return self.steps * TIME_STEP_S

    def step(self) -> None:
        """Do one time step of the controllers and the physics."""
        data, now_s = self.cell.data, self.now_s
        if self.faults.abort and self.arm.execution is not None:
            self.arm.abort("the controller failed (fault.controller_abort)", now_s)
        servo = self._servo
        servo.command(self.arm.update(now_s, servo.position, servo.velocity))
        finger = data.qpos[self._finger_places[0]], data.qvel[self._finger_speeds[0]]
        data.ctrl[self._grip] = self.jaw.update(now_s, TIME_STEP_S, *map(float, finger))
        effort = 1e-3 if self.faults.limp else self.jaw.effort
        self.cell.model.actuator_forcerange[self._grip] = (-effort, effort)
        mujoco.mj_step(self.cell.model, data)
        self.steps += 1
        if self.steps % _LOOK == 0:
            self.touches.look()

    def joints(self) -> Joints:
        """Read arm and fingers."""
        data, servo = self.cell.data, self._servo
        grip = float(data.actuator_force[self._grip])
        return Joints(
            (*ARM_JOINTS, *FINGER_JOINTS),
            np.append(servo.position, data.qpos[self._finger_places]),
            np.append(servo.velocity, data.qvel[self._finger_speeds]),
            np.append(servo.effort, (grip, grip)),
        )

    def follow(self, goal: Goal) -> Execution:
        """Begin with a trajectory.

        Raises:
            GoalRefusedError: It cannot be executed.
        """
        return self.arm.accept(goal, self.now_s)

    def grip(self, position: float, effort: float) -> Grip:
        """Begin to move the jaw.

        Raises:
            GoalRefusedError: The numbers make no sense.
        """
        return self.jaw.accept(position, effort, self.now_s)

    def cancel(self, execution: Execution) -> None:
        """Bring the arm to rest, if it still executes this."""
        self.arm.cancel(execution, self.now_s)

    def release(self, text: str) -> None:
        """Give up what arm and gripper are doing, so that nobody waits for it any more."""
        self.arm.abort(text, self.now_s)
        self.jaw.abort(text)

    def add(self, thing: Placed, pose: Array | None = None) -> None:
        """Put one more thing into the scene.

        Args:
            thing: With its place.
            pose: In world, shape (4, 4), if it is not upright; its start for `reset`, too.

        Raises:
            SceneError: The name is taken, or a number is beyond what physics can take.
        """
        self.cell.add(thing)
        self._bind()
        if pose is not None:
            self.place(thing.name, pose)
            start = int(self.cell.model.joint(f"{thing.name}_free").qposadr[0])
            self.cell.model.qpos0[start : start + 7] = self.cell.data.qpos[start : start + 7]

    def remove(self, name: str) -> None:
        """Take a thing out of the scene.

        Raises:
            SceneError: There is no such thing.
        """
        self.cell.remove(name)
        self._bind()

    def place(self, name: str, pose: Array, twist: Array | None = None) -> None:
        """Move a thing at once.

        Args:
            name: Of the thing.
            pose: In world, shape (4, 4).
            twist: Linear, then angular velocity in world, shape (6,); None is at rest.

        Raises:
            SceneError: There is no such thing, or a number is beyond what physics can take.
        """
        self.cell.pose_of(name)
        twist = np.zeros(6) if twist is None else twist
        if not (np.abs(pose) < FARTHEST).all() or not (np.abs(twist) < FARTHEST).all():
            raise SceneError(
                f"the state for '{name}' has a number that is not finite or beyond {FARTHEST:g}"
            )
        joint = self.cell.data.joint(f"{name}_free")
        quaternion = np.zeros(4)
        mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(pose[:3, :3]).flatten())
        joint.qpos[:3], joint.qpos[3:] = pose[:3, 3], quaternion
        # Free joints turn about their own axes.
        joint.qvel[:3], joint.qvel[3:] = twist[:3], pose[:3, :3].T @ twist[3:]
        mujoco.mj_forward(self.cell.model, self.cell.data)

    def pose_of(self, name: str) -> Array:
        """Pose of a thing in world at this very time, shape (4, 4).

        Raises:
            SceneError: There is no such thing.
        """
        mujoco.mj_kinematics(self.cell.model, self.cell.data)
        return self.cell.pose_of(name)

    def twist_of(self, name: str) -> Array:
        """Linear, then angular velocity of a thing's origin in world, shape (6,).

        Raises:
            SceneError: There is no such thing.
        """
        pose = self.cell.pose_of(name)
        velocity = self.cell.data.joint(f"{name}_free").qvel
        return np.append(velocity[:3], pose[:3, :3] @ velocity[3:])

    def reset(self, *, time: bool = True, state: bool = True, spawned: bool = True) -> None:
        """Go back to the beginning.

        Args:
            time: Set the clock to 0.
            state: Put arm, jaw and things where they were at first, at rest.
            spawned: Remove what was added, and bring back what was removed.
        """
        cell, data = self.cell, self.cell.data
        if spawned:
            first = {thing.name: thing for thing in self._first}
            present = {thing.name for thing in cell.placed}
            for name in present - set(first):
                self.remove(name)
            for thing in self._first:
                if thing.name not in present:
                    self.add(thing)
        if time:
            self.arm.abort("the clock was set back", self.now_s)
            self.steps = 0
        if state:
            cell.reset()
            self.arm.hold(np.array(HOME))
            self.jaw.reset(OPEN_M)
        elif time:
            self.arm.hold(self._servo.position)
        data = self.cell.data
        data.time = self.now_s

    def thing(self, name: str) -> Placed:
        """Return a thing as it was placed.

        Raises:
            SceneError: There is no such thing.
        """
        self.cell.pose_of(name)
        return next(thing for thing in self.cell.placed if thing.name == name)
