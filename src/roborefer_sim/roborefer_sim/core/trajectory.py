# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Joint trajectories as joint_trajectory_controller of ros2_controllers understands them.

Between two points the motion is linear when they have positions only, cubic when both have
velocities, quintic when both have accelerations as well.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from roborefer_sim.exceptions import SimulationError

Array = npt.NDArray[np.float64]


class Code(IntEnum):
    """Error codes of control_msgs/action/FollowJointTrajectory."""

    SUCCESSFUL = 0
    INVALID_GOAL = -1
    INVALID_JOINTS = -2
    OLD_HEADER_TIMESTAMP = -3
    PATH_TOLERANCE_VIOLATED = -4
    GOAL_TOLERANCE_VIOLATED = -5


class GoalRefusedError(SimulationError, ValueError):
    """A goal that cannot be executed; `code` says why to programs, the message to people."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, eq=False)
class State:
    """Positions, velocities and accelerations of joints: each of shape (n,), radians, seconds."""

    position: Array
    velocity: Array
    acceleration: Array

    @classmethod
    def rest(cls, position: Array) -> State:
        """Stand still here."""
        return cls(np.array(position, float), np.zeros(len(position)), np.zeros(len(position)))


@dataclass(frozen=True, eq=False)
class Point:
    """A point to pass at a time; velocity and acceleration may be left open.

    Attributes:
        time_s: After the start of the trajectory.
        position: Shape (n,), radians.
        velocity: Shape (n,) or None.
        acceleration: Shape (n,) or None; used only where velocity is given.
    """

    time_s: float
    position: Array
    velocity: Array | None = None
    acceleration: Array | None = None


@dataclass(frozen=True)
class _Segment:
    start_s: float
    length_s: float
    coefficients: Array  # shape (6, n), lowest power first

    def at(self, time_s: float) -> State:
        t = min(max(time_s - self.start_s, 0.0), self.length_s)
        c = self.coefficients
        position = c[0] + t * (c[1] + t * (c[2] + t * (c[3] + t * (c[4] + t * c[5]))))
        velocity = c[1] + t * (2 * c[2] + t * (3 * c[3] + t * (4 * c[4] + t * 5 * c[5])))
        acceleration = 2 * c[2] + t * (6 * c[3] + t * (12 * c[4] + t * 20 * c[5]))
        return State(position, velocity, acceleration)


class Trajectory:
    """A motion over time, in seconds after its start.

    Attributes:
        end_s: When the last point is reached.
    """

    def __init__(self, points: Sequence[Point], start: State | None = None, from_s: float = 0.0):
        """Join points, beginning at a state.

        Args:
            points: At least one, with increasing times.
            start: State to come from; None means standing at the first point.
            from_s: When the joints are in that state. Points at or before it have passed: the
                motion is then joined in the middle.
        """
        if start is not None and from_s < points[0].time_s:
            points = [
                Point(from_s, start.position, start.velocity, start.acceleration),
                *points,
            ]
        self._segments = [_segment(a, b) for a, b in itertools.pairwise(points)]
        self._starts = [segment.start_s for segment in self._segments]
        self._last = State.rest(points[-1].position)
        self.end_s = points[-1].time_s

    @classmethod
    def hold(cls, position: Array) -> Trajectory:
        """Stand still at a position, shape (n,)."""
        return cls([Point(0.0, np.array(position, float))])

    @classmethod
    def stop(cls, state: State, deceleration: float, jerk: float) -> Trajectory:
        """Come to rest from a state, all joints in the same time so that the path stays straight.

        Args:
            state: Where it begins.
            deceleration: Greatest one from steady motion, radians per second squared.
            jerk: Greatest one from steady motion, radians per second cubed.
        """
        speed = float(np.abs(state.velocity).max(initial=0.0))
        if speed < 1e-6:
            return cls.hold(state.position)
        length = max(1.5 * speed / deceleration, (6 * speed / jerk) ** 0.5)
        # The velocity follows a cubic from its value and slope to zero and zero.
        way = length * (state.velocity / 2 + length * state.acceleration / 12)
        still = np.zeros_like(way)
        return cls([Point(length, state.position + way, still, still)], state)

    def at(self, time_s: float) -> State:
        """Return the state at a time; after the end it stands still at the last point."""
        if time_s >= self.end_s or not self._segments:
            return self._last
        index = max(bisect_right(self._starts, time_s) - 1, 0)
        return self._segments[index].at(time_s)


def _segment(a: Point, b: Point) -> _Segment:
    length = b.time_s - a.time_s
    c = np.zeros((6, len(a.position)))
    c[0] = a.position
    way = b.position - a.position
    if a.velocity is None or b.velocity is None:
        c[1] = way / length
    elif a.acceleration is None or b.acceleration is None:
        c[1] = a.velocity
        c[2] = (3 * way / length - 2 * a.velocity - b.velocity) / length
        c[3] = (a.velocity + b.velocity - 2 * way / length) / length**2
    else:
        v0, v1, a0, a1 = a.velocity, b.velocity, a.acceleration, b.acceleration
        c[1], c[2] = v0, a0 / 2
        way = way - length * (v0 + length * a0 / 2)
        turn = (v1 - v0 - length * a0) * length
        bend = (a1 - a0) * length**2
        c[3] = (10 * way - 4 * turn + bend / 2) / length**3
        c[4] = (-15 * way + 7 * turn - bend) / length**4
        c[5] = (6 * way - 3 * turn + bend / 2) / length**5
    return _Segment(a.time_s, length, c)
