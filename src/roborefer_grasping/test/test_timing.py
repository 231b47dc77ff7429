# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import warnings
from itertools import pairwise
from math import pi

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.planning.collision import CollisionChecker
from roborefer_grasping.core.planning.curve import rounded, without_repetitions
from roborefer_grasping.core.planning.interface import Trajectory
from roborefer_grasping.core.planning.timing import (
    extremes,
    joined,
    rest_to_rest,
    slowed_to_rest,
    slowed_within,
    time_path,
)
from roborefer_grasping.core.robot import robot_named
from roborefer_grasping.core.world import World
from roborefer_grasping.exceptions import PlanningError

ROBOT, GRIPPER = robot_named("ur5"), Gripper()
LIMITS = ROBOT.limits
READY = np.array([0.3, -1.5, 1.6, -1.67, -pi / 2, 0.3])
FREE = CollisionChecker(ROBOT, GRIPPER, World())
STEP_S = 0.001


class Anywhere:
    """A checker for which everything is free, so that only timing is looked at."""

    def first_blocked(self, path, share):
        return -1

    def share_from(self, start):
        return 0.7


def random_path(seed, corners=5, reach=0.8):
    rng = np.random.default_rng(seed)
    return READY + np.vstack([np.zeros(6), rng.uniform(-reach, reach, (corners - 1, 6))])


def finely(trajectory, order=0):
    times = np.arange(trajectory.times[0] - 2 * STEP_S, trajectory.times[-1] + 3 * STEP_S, STEP_S)
    return trajectory.sample(times, order)


# ---- curves ------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 8), st.floats(0.01, 0.4))
def test_a_curve_goes_on_where_it_is_and_with_the_direction_it_has(seed, corners, radius):
    curve = rounded(random_path(seed, corners), radius)

    inner = curve.breaks[1:-1]
    for order in (0, 1):
        before, after = curve.at(inner - 1e-9, order), curve.at(inner + 1e-9, order)
        np.testing.assert_allclose(before, after, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 8), st.floats(0.01, 0.4))
def test_a_corner_never_overshoots(seed, corners, radius):
    path = random_path(seed, corners)

    points = rounded(path, radius).at(np.linspace(0, rounded(path, radius).length, 500))

    assert (points <= path.max(axis=0) + 1e-9).all()
    assert (points >= path.min(axis=0) - 1e-9).all()
    along = [segment_distance(points, first, last) for first, last in pairwise(path)]
    assert np.min(along, axis=0).max() <= radius


def segment_distance(points, first, last):
    step = last - first
    share = np.clip((points - first) @ step / (step @ step), 0, 1)
    return np.linalg.norm(points - first - share[:, None] * step, axis=1)


def test_a_curve_begins_and_ends_where_the_path_does():
    path = random_path(4)
    curve = rounded(path, 0.2)

    np.testing.assert_allclose(curve.at([0.0, curve.length]), path[[0, -1]], atol=1e-9)


def test_derivatives_are_those_of_the_points():
    curve = rounded(random_path(5), 0.2)
    s = np.linspace(0.01, curve.length - 0.01, 200)
    s = s[np.abs(s[:, None] - curve.breaks).min(axis=1) > 1e-4]

    slope = (curve.at(s + 1e-6) - curve.at(s - 1e-6)) / 2e-6
    bend = (curve.at(s + 1e-6, 1) - curve.at(s - 1e-6, 1)) / 2e-6

    np.testing.assert_allclose(curve.at(s, 1), slope, atol=1e-5)
    np.testing.assert_allclose(curve.at(s, 2), bend, atol=1e-4)


def test_a_grid_holds_every_break_and_no_wide_gap():
    curve = rounded(random_path(6), 0.2)

    grid = curve.grid(0.05)

    assert set(curve.breaks) <= set(grid)
    assert np.diff(grid).max() <= 0.05 + 1e-12
    assert np.diff(grid).min() > 0


def test_points_that_repeat_are_left_out():
    path = np.repeat(random_path(7, 3), 2, axis=0)

    np.testing.assert_array_equal(without_repetitions(path), path[::2])
    assert len(without_repetitions(np.repeat(path[:1], 3, axis=0))) == 1


# ---- timing ------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 7), st.sampled_from([0.002, 0.05, 0.8]))
def test_limits_hold_between_points_too(seed, corners, reach):
    path = random_path(seed, corners, reach)

    trajectory = time_path(path, LIMITS, Anywhere())

    velocity = np.diff(finely(trajectory), axis=0) / STEP_S
    acceleration = np.diff(velocity, axis=0) / STEP_S
    assert (np.abs(velocity) <= LIMITS.velocity * 1.0001).all()
    assert (np.abs(acceleration) <= LIMITS.acceleration * 1.001).all()
    np.testing.assert_allclose(trajectory.positions[[0, -1]], path[[0, -1]], atol=1e-9)
    np.testing.assert_array_equal(trajectory.velocities[[0, -1]], 0)


def test_short_paths_are_timed_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for length in (1e-5, 1e-3, 0.02, 0.06):
            path = np.stack([READY, READY + length * np.array([1, 0.5, 0, 0, -1, 0])])
            trajectory = time_path(path, LIMITS, Anywhere())

            assert 0 < trajectory.duration < 1


def test_one_joint_alone_moves_as_fast_as_it_may():
    path = np.stack([READY, READY + np.array([2.5, 0, 0, 0, 0, 0])])

    trajectory = time_path(path, LIMITS, Anywhere())

    # Half of the way speeding up, half slowing down: 2.5 rad do not reach full speed.
    best = 2 * np.sqrt(2.5 / LIMITS.acceleration[0])
    assert best <= trajectory.duration < 1.05 * best


def test_slower_limits_take_longer():
    path = random_path(8)

    fast = time_path(path, LIMITS, Anywhere())
    slow = time_path(path, LIMITS.scaled(0.25, 0.25), Anywhere())

    assert slow.duration > 1.9 * fast.duration


def test_where_no_rounding_is_free_the_arm_stops_at_the_corners():
    class NothingRound(Anywhere):
        def first_blocked(self, path, share):
            return 0

    path = random_path(9, 3)

    trajectory = time_path(path, LIMITS, NothingRound())

    at_corner = np.abs(trajectory.positions - path[1]).max(axis=1).argmin()
    np.testing.assert_allclose(trajectory.positions[at_corner], path[1], atol=1e-6)
    np.testing.assert_allclose(trajectory.velocities[at_corner], 0, atol=1e-6)


def test_a_wide_rounding_that_would_collide_is_made_narrower():
    corner = READY + np.array([0.8, 0, 0, 0, 0, 0])
    path = np.stack([READY, corner, corner + np.array([0, 0.5, 0, 0, 0, 0])])
    wide = rounded(path, 0.25)
    middle = wide.at([wide.breaks[1:3].mean()])[0]

    class BlockedInside(Anywhere):
        def first_blocked(self, curve, share):
            near = np.abs(curve - middle).max(axis=1) < 0.01
            return int(near.argmax()) if near.any() else -1

    trajectory = time_path(path, LIMITS, BlockedInside())

    assert np.abs(finely(trajectory) - middle).max(axis=1).min() > 0.01


def test_a_path_without_length_has_no_motion():
    assert time_path(np.stack([READY, READY]), LIMITS, FREE) is None


def test_rest_to_rest_is_straight_and_limits_jerk():
    goal = READY + np.array([1.0, -0.5, 0.2, 0, 0, 0.7])

    trajectory = rest_to_rest(READY, goal, LIMITS)

    share = (trajectory.positions - READY) @ (goal - READY) / np.sum((goal - READY) ** 2)
    np.testing.assert_allclose(
        trajectory.positions, READY + share[:, None] * (goal - READY), atol=1e-6
    )
    jerk = np.diff(trajectory.accelerations, axis=0) / np.diff(trajectory.times)[:, None]
    assert (np.abs(jerk) <= LIMITS.jerk * 1.001).all()


def test_joined_motions_go_on_without_a_gap():
    first = rest_to_rest(READY, READY + 0.2, LIMITS)
    second = rest_to_rest(READY + 0.2, READY - 0.1, LIMITS)

    whole = joined([first, second])

    assert whole.duration == pytest.approx(first.duration + second.duration)
    assert (np.diff(whole.times) > 0).all()
    assert np.abs(np.diff(finely(whole), axis=0)).max() < LIMITS.velocity.max() * STEP_S * 1.01


def test_slowing_down_keeps_the_path():
    trajectory = time_path(random_path(10), LIMITS, Anywhere())

    slower = slowed_within(trajectory, LIMITS.scaled(0.3, 0.3))

    np.testing.assert_array_equal(slower.positions, trajectory.positions)
    speed, pull = extremes(slower)
    assert (speed <= 0.3 * LIMITS.velocity).all()
    assert (pull <= 0.3 * LIMITS.acceleration).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 1))
def test_samples_of_derivatives_belong_to_the_samples(seed, share):
    trajectory = time_path(random_path(seed), LIMITS, Anywhere())
    t = trajectory.times[0] + share * trajectory.duration
    assume(np.abs(trajectory.times - t).min() > 1e-4)

    for order in (1, 2):
        lower = trajectory.sample([t - 1e-5, t + 1e-5], order - 1)
        slope = (lower[1] - lower[0]) / 2e-5
        np.testing.assert_allclose(trajectory.sample([t], order)[0], slope, atol=1e-3)


# ---- coming to rest ----------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 1.0), st.sampled_from([0.15, 0.3]))
def test_an_arm_comes_to_rest_in_time_from_exactly_the_speed_it_has(seed, share, within):
    trajectory = time_path(random_path(seed), LIMITS.scaled(0.5, 0.5), Anywhere())
    at = share * trajectory.duration

    ramp = slowed_to_rest(trajectory, at, within)

    here = [trajectory.times[0] + at]
    np.testing.assert_allclose(ramp.positions[0], trajectory.sample(here)[0], atol=1e-12)
    np.testing.assert_allclose(ramp.velocities[0], trajectory.sample(here, 1)[0], atol=1e-12)
    assert ramp.duration == pytest.approx(within)
    np.testing.assert_allclose(ramp.velocities[-1], 0, atol=1e-12)
    np.testing.assert_allclose(ramp.accelerations[-1], 0, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 0.9))
def test_an_arm_that_comes_to_rest_stays_on_its_path(seed, share):
    trajectory = time_path(random_path(seed), LIMITS.scaled(0.5, 0.5), Anywhere())

    ramp = slowed_to_rest(trajectory, share * trajectory.duration, 0.3)

    path = finely(trajectory)
    away = [np.abs(path - q).max(axis=1).min() for q in finely(ramp)[::10]]
    assert max(away) < 2e-3


def test_coming_to_rest_takes_no_more_than_is_said():
    speed = 1.2
    times = np.linspace(0, 2, 101)
    cruising = Trajectory(
        times,
        READY + speed * times[:, None] * np.eye(6)[0],
        np.tile(speed * np.eye(6)[0], (101, 1)),
        np.zeros((101, 6)),
    )

    ramp = slowed_to_rest(cruising, 0.8, 0.3)

    pull = np.diff(finely(ramp)[3:-3], 2, axis=0) / STEP_S**2
    jerk = np.diff(ramp.accelerations, axis=0) / np.diff(ramp.times)[:, None]
    assert np.abs(pull).max() < 1.5 * speed / 0.3 * 1.02
    assert np.abs(jerk).max() < 6 * speed / 0.3**2 * 1.02
    covered = ramp.positions[-1, 0] - ramp.positions[0, 0]
    assert covered == pytest.approx(speed * 0.15, rel=1e-3)


def test_near_the_end_the_ramp_ends_where_the_motion_would_have():
    trajectory = time_path(random_path(11), LIMITS, Anywhere())

    ramp = slowed_to_rest(trajectory, trajectory.duration - 0.01, 0.3)

    np.testing.assert_allclose(ramp.positions[-1], trajectory.positions[-1], atol=1e-9)


@pytest.mark.parametrize("within", [0.0, -1.0, float("nan")])
def test_no_time_to_rest_is_refused(within):
    trajectory = time_path(random_path(12), LIMITS, Anywhere())

    with pytest.raises(PlanningError, match="positive time"):
        slowed_to_rest(trajectory, 0.1, within)
