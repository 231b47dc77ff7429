# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from roborefer_sim.core.trajectory import Point, State, Trajectory

ONE = np.array([0.0, 1.0])
TWO = np.array([0.5, -1.0])
V1, V2 = np.array([0.1, 0.2]), np.array([-0.3, 0.4])
A1, A2 = np.array([1.0, -1.0]), np.array([0.5, 0.0])


def derivative(trajectory, time_s, what, step_s=1e-6):
    after, before = (getattr(trajectory.at(time_s + d), what) for d in (step_s, -step_s))
    return (after - before) / (2 * step_s)


def test_positions_alone_give_straight_lines():
    trajectory = Trajectory([Point(1.0, ONE), Point(3.0, TWO)])

    middle = trajectory.at(2.0)

    np.testing.assert_allclose(middle.position, (ONE + TWO) / 2)
    np.testing.assert_allclose(middle.velocity, (TWO - ONE) / 2)
    assert not middle.acceleration.any()


def test_velocities_give_cubics_that_pass_with_them():
    trajectory = Trajectory([Point(1.0, ONE, V1), Point(3.0, TWO, V2)])

    first, last = trajectory.at(1.0), trajectory.at(3.0 - 1e-9)

    np.testing.assert_allclose(first.position, ONE)
    np.testing.assert_allclose(first.velocity, V1)
    np.testing.assert_allclose(last.position, TWO, atol=1e-8)
    np.testing.assert_allclose(last.velocity, V2, atol=1e-7)
    # A cubic: its acceleration is a straight line.
    quarter, half, rest = (trajectory.at(t).acceleration for t in (1.5, 2.0, 2.5))
    np.testing.assert_allclose(half, (quarter + rest) / 2)


def test_accelerations_give_quintics_that_pass_with_them():
    trajectory = Trajectory([Point(1.0, ONE, V1, A1), Point(3.0, TWO, V2, A2)])

    first, last = trajectory.at(1.0), trajectory.at(3.0 - 1e-9)

    np.testing.assert_allclose(first.acceleration, A1)
    np.testing.assert_allclose(last.position, TWO, atol=1e-8)
    np.testing.assert_allclose(last.velocity, V2, atol=1e-7)
    np.testing.assert_allclose(last.acceleration, A2, atol=1e-6)


@pytest.mark.parametrize("points", [(V1, V2, None, None), (V1, V2, A1, A2)])
def test_velocity_and_acceleration_are_the_derivatives(points):
    v1, v2, a1, a2 = points
    trajectory = Trajectory([Point(1.0, ONE, v1, a1), Point(3.0, TWO, v2, a2)])

    for time_s in (1.3, 2.2, 2.9):
        state = trajectory.at(time_s)
        np.testing.assert_allclose(
            state.velocity, derivative(trajectory, time_s, "position"), atol=1e-7
        )
        np.testing.assert_allclose(
            state.acceleration, derivative(trajectory, time_s, "velocity"), atol=1e-7
        )


def test_it_stands_still_at_the_last_point():
    trajectory = Trajectory([Point(1.0, ONE, V1), Point(3.0, TWO, V2)])

    after = trajectory.at(3.0)

    np.testing.assert_array_equal(after.position, TWO)
    assert not after.velocity.any()


def test_a_moving_start_is_left_smoothly():
    start = State(ONE, V1, A1)
    zero = np.zeros(2)

    trajectory = Trajectory([Point(2.0, TWO, zero, zero)], start, from_s=0.5)

    np.testing.assert_allclose(trajectory.at(0.5).position, ONE)
    np.testing.assert_allclose(trajectory.at(0.5).velocity, V1)
    np.testing.assert_allclose(trajectory.at(0.5).acceleration, A1)


def test_points_of_the_past_are_joined_in_the_middle():
    trajectory = Trajectory(
        [Point(1.0, ONE), Point(3.0, TWO)], State.rest(np.array([9.0, 9.0])), from_s=2.0
    )

    np.testing.assert_allclose(trajectory.at(2.0).position, (ONE + TWO) / 2)


def test_stop_is_limited_and_straight():
    moving = State(np.array([0.0, 1.0]), np.array([1.5, -0.75]), np.zeros(2))

    trajectory = Trajectory.stop(moving, deceleration=10.0, jerk=250.0)

    times = np.linspace(0, trajectory.end_s, 400)
    states = [trajectory.at(t) for t in times]
    accelerations = np.array([state.acceleration for state in states])
    assert trajectory.end_s < 0.3
    assert np.abs(accelerations).max() <= 10.0 + 1e-9
    assert np.abs(np.diff(accelerations, axis=0)[1:-1] / times[1]).max() <= 250.0 * 1.01
    velocities = np.array([state.velocity for state in states])
    np.testing.assert_allclose(velocities[:, 1], -0.5 * velocities[:, 0], atol=1e-9)
    assert (velocities[:, 0] >= -1e-9).all()


def test_stop_of_a_still_arm_is_a_hold():
    trajectory = Trajectory.stop(State.rest(ONE), 10.0, 250.0)

    assert trajectory.end_s == 0.0
    np.testing.assert_array_equal(trajectory.at(5.0).position, ONE)
