# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks trajectory goals the way joint_trajectory_controller does, and puts them in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from roborefer_sim.core.trajectory import Array, Code, GoalRefusedError, Point


@dataclass(frozen=True)
class GoalPoint:
    """A point as a message has it: empty tuples mean "not given"."""

    time_s: float
    positions: tuple[float, ...]
    velocities: tuple[float, ...] = ()
    accelerations: tuple[float, ...] = ()


@dataclass(frozen=True)
class Goal:
    """A goal as a message has it.

    Attributes:
        joints: In the order of the points' numbers.
        points: To pass.
        stamp_s: When the motion starts; 0 means at once.
        path_tolerance: Position and velocity by joint; 0 means the default, below 0 none.
        goal_tolerance: Likewise, at the end.
        goal_time_s: How long after the end the goal may still be reached; 0 means the default,
            below 0 for ever.
    """

    joints: tuple[str, ...]
    points: tuple[GoalPoint, ...]
    stamp_s: float = 0.0
    path_tolerance: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    goal_tolerance: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    goal_time_s: float = 0.0


@dataclass(frozen=True)
class Tolerances:
    """Defaults of the controller; 0 switches a check off, a goal_time_s of 0 waits for ever.

    Attributes:
        path: Greatest position error on the way, radians.
        goal: Greatest position error at the end, radians.
        goal_time_s: How long after the end the goal may still be reached.
        stopped: Greatest speed at the end, radians per second.
    """

    path: float = 0.2
    goal: float = 0.1
    goal_time_s: float = 1.0
    stopped: float = 0.2


@dataclass(frozen=True, eq=False)
class CheckedGoal:
    """A goal in the controller's order of joints; tolerances of shape (n,), infinite means none.

    Attributes:
        points: To pass, in order.
        stamp_s: As in the goal.
        path_position: Radians.
        path_velocity: Radians per second.
        goal_position: Radians.
        goal_velocity: Radians per second.
        goal_time_s: Infinite means for ever.
    """

    points: tuple[Point, ...]
    stamp_s: float
    path_position: Array
    path_velocity: Array
    goal_position: Array
    goal_velocity: Array
    goal_time_s: float


def check_goal(
    goal: Goal, joints: Sequence[str], defaults: Tolerances, now_s: float
) -> CheckedGoal:
    """Check a goal and sort its joints.

    Args:
        goal: From anyone.
        joints: The controller's, in its order.
        defaults: Tolerances where the goal leaves them open.
        now_s: The present time.

    Raises:
        GoalRefusedError: The goal cannot be executed; the message names what is wrong.
    """
    order = _order(goal.joints, joints)
    if not goal.points:
        raise GoalRefusedError(
            Code.INVALID_GOAL, "the trajectory has no points; cancel a goal to stop the arm"
        )
    points = tuple(
        _point(index, point, goal.points, order) for index, point in enumerate(goal.points)
    )
    last = points[-1].velocity
    if last is not None and np.abs(last).max() > 1e-3:
        raise GoalRefusedError(
            Code.INVALID_GOAL, f"the last point has velocities {last.tolist()}; all must be 0"
        )
    if not np.isfinite([goal.stamp_s, goal.goal_time_s]).all():
        raise GoalRefusedError(Code.INVALID_GOAL, "a time of the goal is not finite")
    end_s = goal.stamp_s + points[-1].time_s
    if goal.stamp_s > 0 and end_s < now_s:
        raise GoalRefusedError(
            Code.OLD_HEADER_TIMESTAMP,
            f"the trajectory ended at {end_s:.3f} s and it is {now_s:.3f} s; stamp it later, or"
            " with 0 to start at once",
        )
    path = _tolerance(goal.path_tolerance, joints, (defaults.path, 0.0), "path")
    reach = _tolerance(goal.goal_tolerance, joints, (defaults.goal, defaults.stopped), "goal")
    late_s = goal.goal_time_s or defaults.goal_time_s
    late_s = late_s if late_s > 0 else np.inf
    return CheckedGoal(points, goal.stamp_s, path[0], path[1], reach[0], reach[1], late_s)


def _order(given: Sequence[str], joints: Sequence[str]) -> list[int]:
    unknown = [name for name in given if name not in joints]
    missing = [name for name in joints if name not in given]
    if unknown or missing or len(given) != len(joints):
        wrong = [f"names {', '.join(unknown)}, which this arm does not have"] if unknown else []
        wrong += [f"lacks {', '.join(missing)}"] if missing else []
        raise GoalRefusedError(
            Code.INVALID_JOINTS,
            f"the goal {' and '.join(wrong or ['has a joint twice'])}; each of these is needed"
            f" once: {', '.join(joints)}",
        )
    return [given.index(name) for name in joints]


def _point(
    index: int, point: GoalPoint, points: Sequence[GoalPoint], order: Sequence[int]
) -> Point:
    where = f"point {index}"
    previous = points[index - 1].time_s if index else None
    if not np.isfinite(point.time_s) or point.time_s < 0:
        raise GoalRefusedError(
            Code.INVALID_GOAL, f"{where} has the time {point.time_s}; it must not be negative"
        )
    if previous is not None and point.time_s <= previous:
        raise GoalRefusedError(
            Code.INVALID_GOAL,
            f"{where} is at {point.time_s} s and the one before at {previous} s; times must"
            " increase",
        )
    values: list[Array | None] = []
    for name in ("positions", "velocities", "accelerations"):
        given = getattr(point, name)
        if not given and name != "positions":
            values.append(None)
            continue
        if len(given) != len(order) or not np.isfinite(given).all():
            raise GoalRefusedError(
                Code.INVALID_GOAL,
                f"{where} has {name} {list(given)}; {len(order)} finite numbers are needed",
            )
        values.append(np.array(given, float)[list(order)])
    position, velocity, acceleration = values
    assert position is not None
    return Point(point.time_s, position, velocity, acceleration if velocity is not None else None)


def _tolerance(
    given: Mapping[str, tuple[float, float]],
    joints: Sequence[str],
    defaults: tuple[float, float],
    kind: str,
) -> Array:
    """Positions and velocities, shape (2, n)."""
    unknown = sorted(set(given) - set(joints))
    if unknown:
        raise GoalRefusedError(
            Code.INVALID_JOINTS,
            f"{kind}_tolerance names {', '.join(unknown)}; known are {', '.join(joints)}",
        )
    result = np.empty((2, len(joints)))
    for column, name in enumerate(joints):
        for row, value in enumerate(given.get(name, (0.0, 0.0))):
            if not np.isfinite(value):
                raise GoalRefusedError(
                    Code.INVALID_GOAL, f"{kind}_tolerance of {name} is {value}; it must be finite"
                )
            chosen = value or defaults[row]
            result[row, column] = chosen if chosen > 0 else np.inf
    return result
