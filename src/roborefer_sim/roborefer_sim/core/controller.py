# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Follows one trajectory at a time, as joint_trajectory_controller does.

Two things are better than there: after a cancel or a violated tolerance the arm comes to rest
along a ramp of limited deceleration and jerk instead of at once, and a canceled goal is reported
when the arm stands still.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from roborefer_sim.core.goals import CheckedGoal, Goal, Tolerances, check_goal
from roborefer_sim.core.trajectory import Array, Code, State, Trajectory


class Outcome(Enum):
    """Where the execution of a goal stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    ABORTED = "aborted"
    CANCELED = "canceled"


@dataclass(frozen=True)
class Braking:
    """How the arm comes to rest: radians per second squared and cubed."""

    deceleration: float = 10.0
    jerk: float = 250.0


class Execution:
    """One goal on its way.

    Attributes:
        outcome: RUNNING until `done` is set.
        code: Of FollowJointTrajectory.
        text: One sentence for people.
        desired: The state that was commanded last.
        actual: The state that was measured last; its acceleration is not known and 0.
        done: Set when the outcome stands, for threads that wait for it.
    """

    def __init__(self, goal: CheckedGoal, start_s: float) -> None:
        self.goal, self.start_s = goal, start_s
        self.outcome = Outcome.RUNNING
        self.code, self.text = Code.SUCCESSFUL, ""
        self.desired: State | None = None
        self.actual: State | None = None
        self.canceling = False
        self.done = threading.Event()

    def finish(self, outcome: Outcome, code: Code = Code.SUCCESSFUL, text: str = "") -> None:
        """Settle the outcome; the first one stands."""
        if not self.done.is_set():
            self.outcome, self.code, self.text = outcome, code, text
            self.done.set()


class TrajectoryController:
    """Turns goals into desired states; all methods belong to one thread."""

    def __init__(
        self,
        joints: Sequence[str],
        position: Array,
        tolerances: Tolerances | None = None,
        braking: Braking | None = None,
    ) -> None:
        self.joints = tuple(joints)
        self.tolerances = tolerances or Tolerances()
        self.braking = braking or Braking()
        self._execution: Execution | None = None
        self.hold(position)

    @property
    def execution(self) -> Execution | None:
        """The goal that is being executed."""
        return self._execution

    def hold(self, position: Array) -> None:
        """Stand at a position at once, shape (n,), and give up what was going on."""
        self.abort("the controller was reset")
        self._trajectory, self._start_s = Trajectory.hold(position), 0.0
        self._desired = State.rest(position)

    def accept(self, goal: Goal, now_s: float) -> Execution:
        """Check a goal and begin with it; a goal that was being executed is aborted.

        Raises:
            GoalRefusedError: The goal cannot be executed; whatever went on goes on.
        """
        checked = check_goal(goal, self.joints, self.tolerances, now_s)
        self._finish(Outcome.ABORTED, Code.INVALID_GOAL, "a newer goal took over")
        start_s = checked.stamp_s or now_s
        self._trajectory = Trajectory(checked.points, self._desired, now_s - start_s)
        self._start_s = start_s
        self._execution = Execution(checked, start_s)
        return self._execution

    def cancel(self, execution: Execution, now_s: float) -> None:
        """Bring the arm to rest; the goal is canceled when it stands. Others are left alone."""
        if execution is self._execution and not execution.canceling:
            execution.canceling = True
            self._brake(self._desired, now_s)

    def abort(self, text: str, now_s: float | None = None) -> None:
        """Give up the goal, and bring the arm to rest if the time is given."""
        if self._execution is not None and now_s is not None:
            self._brake(self._desired, now_s)
        self._finish(Outcome.ABORTED, Code.INVALID_GOAL, text)

    def update(self, now_s: float, position: Array, velocity: Array) -> State:
        """Return what is desired now, given what is measured; both of shape (n,)."""
        desired = self._trajectory.at(now_s - self._start_s)
        execution = self._execution
        if execution is not None:
            actual = State(position, velocity, np.zeros_like(position))
            # A first step counts as on the way, so that no goal is a jump.
            on_way = execution.desired is None or not self._arrived(now_s)
            execution.desired, execution.actual = desired, actual
            if execution.canceling:
                if self._arrived(now_s):
                    self._finish(Outcome.CANCELED, text="canceled; the arm stands still")
            elif violated := self._violation(execution.goal, desired, actual, now_s, on_way):
                # From where the arm is: whatever holds it up must not be pushed on.
                self._brake(actual, now_s)
                self._finish(Outcome.ABORTED, *violated)
                desired = self._trajectory.at(0.0)
            elif self._arrived(now_s) and _reached(execution.goal, desired, actual):
                self._finish(Outcome.SUCCEEDED)
        self._desired = desired
        return desired

    def _arrived(self, now_s: float) -> bool:
        return now_s - self._start_s >= self._trajectory.end_s

    def _violation(
        self, goal: CheckedGoal, desired: State, actual: State, now_s: float, on_way: bool
    ) -> tuple[Code, str] | None:
        if on_way:
            worst = self._worst(desired, actual, goal.path_position, goal.path_velocity)
            if worst:
                return Code.PATH_TOLERANCE_VIOLATED, f"path tolerance violated: {worst}"
            return None
        late_s = now_s - self._start_s - self._trajectory.end_s
        if late_s > goal.goal_time_s and not _reached(goal, desired, actual):
            worst = self._worst(desired, actual, goal.goal_position, goal.goal_velocity)
            text = f"goal not reached {late_s:.2f} s after its time: {worst}"
            return Code.GOAL_TOLERANCE_VIOLATED, text
        return None

    def _worst(self, desired: State, actual: State, position: Array, velocity: Array) -> str:
        """Name the joint that is farthest beyond a tolerance, or return "" when none is."""
        for unit, error, limit in (
            ("rad", np.abs(actual.position - desired.position), position),
            ("rad/s", np.abs(actual.velocity - desired.velocity), velocity),
        ):
            joint = int(np.argmax(error / limit))
            if error[joint] > limit[joint]:
                return (
                    f"{self.joints[joint]} is {error[joint]:.4f} {unit} off,"
                    f" {limit[joint]:.4f} are allowed"
                )
        return ""

    def _brake(self, state: State, now_s: float) -> None:
        braking = self.braking
        self._trajectory = Trajectory.stop(state, braking.deceleration, braking.jerk)
        self._start_s = now_s

    def _finish(self, outcome: Outcome, code: Code = Code.SUCCESSFUL, text: str = "") -> None:
        execution, self._execution = self._execution, None
        if execution is not None:
            if execution.canceling:
                outcome, code = Outcome.CANCELED, Code.SUCCESSFUL
            execution.finish(outcome, code, text)


def _reached(goal: CheckedGoal, desired: State, actual: State) -> bool:
    return bool(
        (np.abs(actual.position - desired.position) <= goal.goal_position).all()
        and (np.abs(actual.velocity) <= goal.goal_velocity).all()
    )
