# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a task needs of the body it moves, and how a task ends.

A task knows neither topics nor controllers: it looks, follows trajectories and closes the gripper
through a `Body`, which the node implements with ROS and tests implement with a few lines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from roborefer_grasping.core.planning.interface import Trajectory
from roborefer_grasping.core.robot import Array
from roborefer_grasping.core.view import DepthView
from roborefer_grasping.exceptions import GraspingError


class Reason(StrEnum):
    """Why a task ended without success; values are the constants of roborefer_msgs/ErrorCode."""

    TIMEOUT = "TIMEOUT"
    BUSY = "BUSY"
    NOT_ACTIVE = "NOT_ACTIVE"
    TRANSFORM_UNAVAILABLE = "TRANSFORM_UNAVAILABLE"
    CANCELED = "CANCELED"
    STOPPED = "STOPPED"
    INVALID_GOAL = "INVALID_GOAL"
    UNKNOWN_FRAME = "UNKNOWN_FRAME"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    REFERENCE_STALE = "ARM_REFERENCE_STALE"
    NO_DEPTH = "ARM_NO_DEPTH"
    NO_JOINT_STATES = "ARM_NO_JOINT_STATES"
    PLANNING_TIMEOUT = "ARM_PLANNING_TIMEOUT"
    PLANNER_UNAVAILABLE = "ARM_PLANNER_UNAVAILABLE"
    CONTROLLER_UNAVAILABLE = "ARM_CONTROLLER_UNAVAILABLE"
    EXECUTION_ABORTED = "ARM_EXECUTION_ABORTED"
    GRASP_MISSED = "ARM_GRASP_MISSED"
    GRASP_LOST = "ARM_GRASP_LOST"
    TARGET_MOVED = "ARM_TARGET_MOVED"
    NO_GRASP = "ARM_NO_GRASP"
    TOO_WIDE = "ARM_TOO_WIDE"
    UNREACHABLE = "ARM_UNREACHABLE"
    NO_PATH = "ARM_NO_PATH"
    NO_STABLE_PLACE = "ARM_NO_STABLE_PLACE"
    PLACE_OCCUPIED = "ARM_PLACE_OCCUPIED"
    OUTSIDE_WORKSPACE = "ARM_OUTSIDE_WORKSPACE"
    OBJECT_LOST = "ARM_OBJECT_LOST"
    GRIPPER_FULL = "ARM_GRIPPER_FULL"
    GRIPPER_EMPTY = "ARM_GRIPPER_EMPTY"
    PLACE_MISSED = "ARM_PLACE_MISSED"
    REFERENCE_ON_ROBOT = "ARM_REFERENCE_ON_ROBOT"
    NOTHING_THERE = "ARM_NOTHING_THERE"
    START_IN_COLLISION = "ARM_START_IN_COLLISION"
    START_OUTSIDE_LIMITS = "ARM_START_OUTSIDE_LIMITS"
    UNSAFE_TRAJECTORY = "ARM_UNSAFE_TRAJECTORY"
    TRAJECTORY_REJECTED = "ARM_TRAJECTORY_REJECTED"
    PROTECTIVE_STOP = "ARM_PROTECTIVE_STOP"
    GRIPPER_FAULT = "ARM_GRIPPER_FAULT"


# Somebody or something else wants the task to end.
INTERRUPTIONS = frozenset(
    {
        Reason.CANCELED,
        Reason.STOPPED,
        Reason.TIMEOUT,
        Reason.NOT_ACTIVE,
        Reason.PROTECTIVE_STOP,
    }
)


class Phase(StrEnum):
    """What a task is doing; values are the constants of roborefer_msgs/Phase."""

    WAITING = "WAITING"
    CHECKING = "CHECKING"
    CHOOSING = "CHOOSING"
    PLANNING = "PLANNING"
    MOVING = "MOVING"
    APPROACHING = "APPROACHING"
    GRASPING = "GRASPING"
    LIFTING = "LIFTING"
    RELEASING = "RELEASING"
    RETREATING = "RETREATING"
    VERIFYING = "VERIFYING"
    STOPPING = "STOPPING"
    DONE = "DONE"


class TaskFailure(GraspingError):
    """A task cannot go on; the arm is still when this reaches the task.

    Attributes:
        reason: For programs; the message is one sentence for people.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Look:
    """One depth image with the state of the robot at its time.

    Attributes:
        view: The image, placed in the frame of the base.
        joints: Radians, shape (6,), at the image's time.
        jaw: Distance of the pads then, metres.
        stamp_ns: Time of the image.
    """

    view: DepthView
    joints: Array
    jaw: float
    stamp_ns: int


@dataclass(frozen=True)
class Grip:
    """How a command to the gripper ended.

    Attributes:
        width: Distance of the pads, metres.
        stalled: Something keeps them from the commanded distance.
        interrupted: The command was given up half way because of a stop.
    """

    width: float
    stalled: bool
    interrupted: bool = False


@dataclass(frozen=True)
class Progress:
    """Feedback of a task.

    Attributes:
        phase: What it is doing.
        attempt: Which attempt by moving this is, from 1; 0 before the first one.
        share: Of the planned motion done, 0 to 1.
        distance: To the grasp or place, metres; negative before there is one.
    """

    phase: Phase
    attempt: int = 0
    share: float = 0.0
    distance: float = -1.0


class Body(Protocol):
    """The arm, its gripper and its camera, during one task.

    Every method that takes time raises `TaskFailure` with one of `INTERRUPTIONS` when the task
    shall end, and its own reason when it fails; the arm is then at rest.
    """

    def check(self) -> None:
        """Raise when the task shall end."""

    def remaining_s(self) -> float:
        """Time left until the task's deadline, seconds."""

    def now_ns(self) -> int:
        """Present time."""

    def joints(self) -> Array:
        """Where the joints are now, radians, shape (6,)."""

    def jaw(self) -> float:
        """Present distance of the pads, metres."""

    def look(self, after_ns: int = 0) -> Look:
        """Return the newest depth image that was taken at or after a time; waits for it."""

    def follow(self, trajectory: Trajectory, watch: Callable[[float], None]) -> None:
        """Follow a trajectory to its end.

        Args:
            trajectory: Verified by the caller; starts where the arm is.
            watch: Called some times a second with the seconds passed; when it raises, the arm
                comes to rest on its path and the exception goes on to the caller.
        """

    def settle(self, joints: Array, tolerance: float) -> bool:
        """Wait a moment until the joints are this close to a configuration; False if not."""

    def grip(self, opening: float, force: float) -> Grip:
        """Bring the pads to a distance, with at most this force in newtons.

        A cancel lets the command end first, so that it is known what the gripper holds; a stop
        interrupts it. Neither raises here: the caller takes note and calls `check`.
        """

    def report(self, progress: Progress) -> None:
        """Tell how far the task is."""
