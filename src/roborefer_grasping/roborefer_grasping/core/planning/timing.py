# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Gives a free polyline the times at which to be where: as fast as limits allow.

TOPPRA times the rounded curve. Where no rounding is free of collisions, Ruckig goes from corner to
corner with a stop at each, straight and with limited jerk.
"""

from __future__ import annotations

import logging
from itertools import pairwise

import numpy as np
import ruckig
import toppra
from toppra import algorithm, constraint
from toppra.interpolator import AbstractGeometricPath

from roborefer_grasping.core.planning.collision import CollisionChecker
from roborefer_grasping.core.planning.curve import Curve, rounded, without_repetitions
from roborefer_grasping.core.planning.interface import Trajectory
from roborefer_grasping.core.robot import Array, Limits
from roborefer_grasping.exceptions import PlanningError

# Corner roundings that are tried, widest first, radians.
RADII = (0.25, 0.10, 0.03)
# Largest change of a joint between two checks of the rounded curve, radians.
CHECK_STEP = 0.008
# Between these points a controller interpolates by cubics, seconds.
POINT_STEP_S = 0.02
# Limits are checked between points too, at this many places per step.
_FINE = 4
# Between places where TOPPRA chooses the speed. A curve that has none between its ends, where the
# arm rests, would take forever.
_GRID_STEP = 0.05
_LEAST_GRID = 16

logging.getLogger("toppra").setLevel(logging.ERROR)


class _ToppraPath(AbstractGeometricPath):  # type: ignore[misc]
    """A curve as TOPPRA wants to see it."""

    def __init__(self, curve: Curve) -> None:
        self._curve = curve

    def __call__(self, path_positions: Array, order: int = 0) -> Array:
        values = self._curve.at(np.asarray(path_positions, float), order)
        return np.asarray(values[0] if np.ndim(path_positions) == 0 else values)

    @property
    def dof(self) -> int:
        return 6

    @property
    def path_interval(self) -> Array:
        return np.array([0.0, self._curve.length])

    @property
    def waypoints(self) -> tuple[Array, Array]:
        return self._curve.breaks, self._curve.at(self._curve.breaks)


def time_path(
    path: Array, limits: Limits, checker: CollisionChecker, *, is_line: bool = False
) -> Trajectory | None:
    """Time a free polyline.

    Args:
        path: Corner points, shape (N, 6).
        limits: What the joints may do.
        checker: Tells whether the rounded curve is still free.
        is_line: The path is a finely sampled straight line of the tool, so corners are slight and
            every rounding stays close; only the narrowest is tried.

    Returns:
        The motion from rest to rest, or None when no way of timing works.
    """
    path = without_repetitions(path)
    if len(path) < 2:
        return None
    share = checker.share_from(path[0])
    for radius in RADII[-1:] if is_line else RADII:
        curve = rounded(path, radius)
        if checker.first_blocked(curve.at(curve.grid(CHECK_STEP)), share) < 0:
            trajectory = _with_toppra(curve, limits)
            if trajectory is not None:
                return trajectory
    return _with_ruckig(path, limits)


def _with_toppra(curve: Curve, limits: Limits) -> Trajectory | None:
    constraints = [
        constraint.JointVelocityConstraint(np.stack([-limits.velocity, limits.velocity], axis=1)),
        constraint.JointAccelerationConstraint(
            np.stack([-limits.acceleration, limits.acceleration], axis=1),
            discretization_scheme=constraint.DiscretizationType.Interpolation,
        ),
    ]
    solver = algorithm.TOPPRA(
        constraints, _ToppraPath(curve),
        gridpoints=curve.grid(min(_GRID_STEP, curve.length / _LEAST_GRID)),
        solver_wrapper="seidel", parametrizer="ParametrizeConstAccel",
    )  # fmt: skip
    timed = solver.compute_trajectory(0, 0)
    if timed is None or not np.isfinite(timed.duration):
        return None
    count = max(3, int(np.ceil(timed.duration / POINT_STEP_S)) + 1)
    times = np.linspace(0, timed.duration, count)
    positions, velocities = timed(times), timed(times, 1)
    velocities[0] = velocities[-1] = 0.0
    positions[0], positions[-1] = curve.at(np.array([0.0, curve.length]))
    return slowed_within(Trajectory(times, positions, velocities, timed(times, 2)), limits)


def slowed_within(trajectory: Trajectory, limits: Limits) -> Trajectory:
    """Slow a trajectory down as a whole until what a controller makes of it keeps the limits."""
    speed, pull = extremes(trajectory)
    factor = max(
        1.0,
        float((speed / limits.velocity).max()),
        float(np.sqrt((pull / limits.acceleration).max())),
    )
    if factor == 1.0:
        return trajectory
    # A hair more, so that rounding does not leave a value above its limit.
    factor *= 1 + 1e-6
    return Trajectory(
        trajectory.times * factor,
        trajectory.positions,
        trajectory.velocities / factor,
        trajectory.accelerations / factor**2,
    )


def extremes(trajectory: Trajectory) -> tuple[Array, Array]:
    """Greatest speed and acceleration of each joint, shape (6,), of the cubics between points."""
    span = np.diff(trajectory.times)[:, None]
    p0, p1 = trajectory.positions[:-1], trajectory.positions[1:]
    v0, v1 = trajectory.velocities[:-1], trajectory.velocities[1:]
    mean = (p1 - p0) / span
    first = (6 * mean - 4 * v0 - 2 * v1) / span
    last = (2 * v0 + 4 * v1 - 6 * mean) / span
    shares = np.arange(1, _FINE)[:, None, None] / _FINE
    between = v0 + shares * span * (first + shares * (last - first) / 2)
    speed = np.maximum(np.abs(trajectory.velocities).max(0), np.abs(between).max((0, 1)))
    return speed, np.maximum(np.abs(first).max(0), np.abs(last).max(0))


def _with_ruckig(path: Array, limits: Limits) -> Trajectory | None:
    pieces = [rest_to_rest(a, b, limits) for a, b in pairwise(path)]
    whole: list[Trajectory] = [piece for piece in pieces if piece is not None]
    return joined(whole) if len(whole) == len(pieces) else None


def rest_to_rest(start: Array, end: Array, limits: Limits) -> Trajectory | None:
    """Go straight in joint space, from rest to rest, with limited jerk."""
    generator = ruckig.Ruckig(6)
    wish = ruckig.InputParameter(6)
    wish.current_position, wish.target_position = start.tolist(), end.tolist()
    wish.max_velocity = limits.velocity.tolist()
    wish.max_acceleration = limits.acceleration.tolist()
    wish.max_jerk = limits.jerk.tolist()
    wish.synchronization = ruckig.Synchronization.Phase
    timed = ruckig.Trajectory(6)
    if generator.calculate(wish, timed) < 0 or timed.duration <= 0:
        return None
    times = np.linspace(0, timed.duration, max(3, int(timed.duration / POINT_STEP_S) + 2))
    rows = [timed.at_time(float(t)) for t in times]
    positions, velocities, accelerations = (np.array([r[i] for r in rows]) for i in range(3))
    return slowed_within(Trajectory(times, positions, velocities, accelerations), limits)


def joined(pieces: list[Trajectory]) -> Trajectory:
    """Put motions one after the other; each must begin where the one before ends."""
    times, rest = [pieces[0].times], pieces[0].times[-1]
    for piece in pieces[1:]:
        times.append(rest + piece.times[1:] - piece.times[0])
        rest = times[-1][-1]
    first = pieces[0]
    return Trajectory(
        np.concatenate(times),
        np.concatenate([first.positions, *(p.positions[1:] for p in pieces[1:])]),
        np.concatenate([first.velocities, *(p.velocities[1:] for p in pieces[1:])]),
        np.concatenate([first.accelerations, *(p.accelerations[1:] for p in pieces[1:])]),
    )


def slowed_to_rest(trajectory: Trajectory, at_s: float, within_s: float) -> Trajectory:
    """The motion that leaves a trajectory's schedule, but not its path, and comes to rest.

    Time itself is slowed along a smooth ramp, so the arm stays on the path that was verified. It
    begins with the speed the arm has there. Slowing down takes at most 1.5 v / within_s of
    acceleration and 6 v / within_s^2 of jerk for a joint at speed v.

    Args:
        trajectory: What is being followed.
        at_s: How far it has come, seconds from its start.
        within_s: Time to rest, seconds.

    Raises:
        PlanningError: within_s is no positive time.
    """
    if not (np.isfinite(within_s) and within_s > 0):
        raise PlanningError(f"within_s is {within_s}; a positive time is needed")
    at = trajectory.times[0] + float(np.clip(at_s, 0, trajectory.duration))
    t = np.linspace(0, within_s, max(3, int(np.ceil(within_s / POINT_STEP_S)) + 1))
    x = t / within_s
    # The rate of time goes from 1 to 0 and is level at both ends; half the time is covered.
    here = at + within_s * (x - x**3 + x**4 / 2)
    rate = (1 - x * x * (3 - 2 * x))[:, None]
    slowing = (-6 * x * (1 - x) / within_s)[:, None]
    speed, pull = trajectory.sample(here, 1), trajectory.sample(here, 2)
    return Trajectory(
        t, trajectory.sample(here), speed * rate, pull * rate * rate + speed * slowing
    )


toppra.setup_logging("ERROR")
