# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Moves the jaw with limited speed and force, as parallel_gripper_action_controller does.

Positions are those of the finger joint: the distance of a pad from the middle, metres, so that 0
is closed and OPEN_M is open. A jaw that something keeps from its goal stalls; it then presses
with the full effort of the command until the next command.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from math import isfinite

from roborefer_sim.core.arm import GRIP_FORCE_N, OPEN_M
from roborefer_sim.core.trajectory import Code, GoalRefusedError

# Proportional gain of the jaw's servo (core/arm.py), newtons per metre.
STIFFNESS = 4000.0


@dataclass(frozen=True)
class JawSettings:
    """How the jaw moves and what counts as done.

    Attributes:
        speed: Of each finger, metres per second.
        goal_tolerance: The goal is reached within this, metres.
        stall_speed: The jaw stands when it is slower, metres per second.
        stall_time_s: It has stalled when it has stood this long.
        allow_stalling: Whether a stall is a success, which holding something is.
    """

    speed: float = 0.06
    goal_tolerance: float = 0.001
    stall_speed: float = 0.002
    stall_time_s: float = 0.2
    allow_stalling: bool = True


class Grip:
    """One command on its way.

    Attributes:
        goal: Position, metres.
        effort: Greatest force of each finger, newtons.
        position: Where the jaw is, metres.
        force: What its servo applies, newtons.
        stalled: Something keeps it from the goal.
        reached: It is at the goal.
        canceled: It was given up for the wish of its sender.
        text: Why it was given up, or "".
        done: Set when the rest stands, for threads that wait for it.
    """

    def __init__(self, goal: float, effort: float) -> None:
        self.goal, self.effort = goal, effort
        self.position = self.force = 0.0
        self.stalled = self.reached = self.canceled = False
        self.text = ""
        self.done = threading.Event()


class JawController:
    """Turns commands into positions of the jaw's servo; all methods belong to one thread."""

    def __init__(self, settings: JawSettings | None = None) -> None:
        self.settings = settings or JawSettings()
        self._grip: Grip | None = None
        self.reset(OPEN_M)

    def reset(self, position: float) -> None:
        """Stand at a position and give up what was going on."""
        self.abort("the gripper was reset")
        self._goal = self._setpoint = self._command = position
        self.effort = GRIP_FORCE_N
        self._moved_s = 0.0
        self._pressing = False

    def accept(self, position: float, effort: float, now_s: float) -> Grip:
        """Begin to move; a command that was being executed is given up.

        Args:
            position: Of the finger joint, metres.
            effort: Greatest force, newtons; 0 or less means the greatest that there is.
            now_s: The present time.

        Raises:
            GoalRefusedError: The numbers make no sense; whatever went on goes on.
        """
        if not isfinite(position) or not -1e-6 <= position <= OPEN_M + 1e-6:
            raise GoalRefusedError(
                Code.INVALID_GOAL,
                f"the gripper cannot go to {position}; 0 (closed) to {OPEN_M} m are possible",
            )
        if not isfinite(effort):
            raise GoalRefusedError(Code.INVALID_GOAL, f"the effort {effort} is not finite")
        self.abort("a newer command took over")
        self._goal = position
        self.effort = min(effort, GRIP_FORCE_N) if effort > 0 else GRIP_FORCE_N
        self._moved_s, self._pressing = now_s, False
        self._grip = Grip(position, self.effort)
        return self._grip

    def cancel(self, grip: Grip) -> None:
        """Stop here with the force as it is; commands that are over are left alone."""
        if grip is self._grip:
            grip.canceled = True
            if not self._pressing:
                self._goal = self._setpoint
            self.abort("canceled")

    def update(self, now_s: float, step_s: float, position: float, velocity: float) -> float:
        """Return the command of the servo, metres.

        Args:
            now_s: The present time.
            step_s: Time since the last call.
            position: Of the finger joint, metres.
            velocity: Of the finger joint, metres per second.
        """
        settings = self.settings
        off = self._goal - self._setpoint
        most = settings.speed * step_s
        self._setpoint += max(-most, min(most, off))
        if abs(velocity) > settings.stall_speed:
            self._moved_s = now_s
        near = abs(position - self._goal) <= settings.goal_tolerance
        stands = now_s - self._moved_s >= settings.stall_time_s
        if stands and not near and self._grip is not None:
            self._pressing = True
        elif self._pressing and near:
            # What was held is gone.
            self._pressing, self._setpoint = False, self._goal
        if self._pressing:
            # Past the thing, as far as gives the whole effort.
            toward = 1.0 if self._goal > position else -1.0
            self._setpoint = position
            self._command = position + toward * self.effort / STIFFNESS
        else:
            self._command = self._setpoint
        self._report(position, near, stands)
        return self._command

    def _report(self, position: float, near: bool, stands: bool) -> None:
        grip = self._grip
        if grip is None:
            return
        force = STIFFNESS * (self._command - position)
        grip.position, grip.force = position, max(-self.effort, min(self.effort, force))
        if near or stands:
            grip.reached, grip.stalled = near, not near
            if grip.stalled and not self.settings.allow_stalling:
                grip.text = f"the gripper stalled at {position:.4f} m on its way to {grip.goal}"
            self._grip = None
            grip.done.set()

    def abort(self, text: str) -> None:
        """Give up the present command, if there is one; the jaw goes on to its goal."""
        grip, self._grip = self._grip, None
        if grip is not None:
            grip.text = text
            grip.done.set()
