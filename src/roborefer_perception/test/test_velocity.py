# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The filter of position and velocity, with the stamps that real cameras give."""

import numpy as np
import pytest
from roborefer_perception.core.velocity import VelocityFilter, VelocitySettings

SIGMA = 0.002
NOISE = SIGMA**2 * np.eye(3)


def run(motion, stamps, rng):
    """Feed noisy positions; seconds to nanoseconds."""
    for seconds, at in stamps:
        assert motion.update(round(seconds * 1e9), at + rng.normal(0, SIGMA, 3), NOISE)


@pytest.mark.parametrize("rate", [10, 30])
def test_velocity_is_learnt_from_irregular_stamps(rate):
    rng = np.random.default_rng(1)
    velocity = np.array([0.2, -0.05, 0.0])
    times = np.sort(np.arange(rate * 2) / rate + rng.uniform(0, 0.6 / rate, rate * 2))
    motion = VelocityFilter()

    run(motion, [(t, velocity * t) for t in times], rng)

    sigma = np.sqrt(np.diag(motion.velocity_covariance))
    assert (np.abs(motion.velocity - velocity) < 3 * sigma).all()
    assert (sigma < 0.12).all()
    assert motion.position == pytest.approx(velocity * times[-1], abs=0.005)


def test_covariance_is_honest():
    squares, settings, fine = [], VelocitySettings(), 10
    for seed in range(100):
        rng = np.random.default_rng(seed)
        motion = VelocityFilter(settings)
        at, speed = np.zeros(3), rng.normal(0, settings.first_speed_m_s, 3)
        for number in range(15):
            motion.update(number * 100_000_000, at + rng.normal(0, SIGMA, 3), NOISE)
            truth = speed
            for _ in range(fine):
                at = at + speed * 0.1 / fine
                speed = speed + rng.normal(0, settings.acceleration_m_s2 * np.sqrt(0.1 / fine), 3)
        error = motion.velocity - truth
        squares.append(error @ np.linalg.solve(motion.velocity_covariance, error))

    # Three degrees of freedom: the mean of 100 is 3 with a standard deviation of 0.25.
    assert 2.3 < np.mean(squares) < 3.7


def test_an_outlier_changes_nothing_and_several_are_the_truth():
    rng = np.random.default_rng(2)
    motion = VelocityFilter()
    run(motion, [(t / 10, np.zeros(3)) for t in range(20)], rng)
    before = motion.position
    elsewhere = np.array([0.5, 0, 0])

    assert not motion.update(2_000_000_000, elsewhere, NOISE)
    assert (motion.position == before).all()
    assert not motion.update(2_100_000_000, elsewhere, NOISE)
    assert motion.update(2_200_000_000, elsewhere, NOISE)
    assert motion.position == pytest.approx(elsewhere)


@pytest.mark.parametrize("jump_s", [-5.0, 10.0])
def test_it_begins_anew_after_a_jump_of_the_clock_or_a_long_gap(jump_s):
    rng = np.random.default_rng(3)
    motion = VelocityFilter()
    run(motion, [(10 + t / 10, np.array([0.1, 0, 0]) * t) for t in range(10)], rng)

    assert motion.update(round((11 + jump_s) * 1e9), np.ones(3), NOISE)

    assert motion.position == pytest.approx([1, 1, 1])
    assert motion.velocity == pytest.approx([0, 0, 0])


def test_the_same_stamp_twice_changes_nothing():
    motion = VelocityFilter()
    motion.update(0, np.zeros(3), NOISE)

    assert motion.update(0, np.ones(3), NOISE)

    assert motion.position == pytest.approx([0, 0, 0])


def test_prediction_goes_on_over_a_short_gap_and_stands_still_over_a_long_one():
    rng = np.random.default_rng(4)
    motion = VelocityFilter()
    run(motion, [(t / 20, np.array([0.2, 0, 0]) * t / 20) for t in range(41)], rng)

    soon, spread = motion.predict(2_500_000_000)
    late, _ = motion.predict(20_000_000_000)

    assert soon[0] == pytest.approx(0.5, abs=0.06)
    assert spread[0, 0] > NOISE[0, 0]
    assert late == pytest.approx(motion.position)


def test_a_shift_moves_the_position_and_keeps_the_velocity():
    rng = np.random.default_rng(5)
    motion = VelocityFilter()
    run(motion, [(t / 20, np.array([0.2, 0, 0]) * t / 20) for t in range(41)], rng)
    velocity, position = motion.velocity, motion.position

    motion.shift(np.array([0.0, 0.1, 0.0]))

    assert (motion.velocity == velocity).all()
    assert motion.position - position == pytest.approx([0, 0.1, 0])
