# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""When a server that failed is left alone, and when it is asked again."""

from __future__ import annotations

import pytest
from roborefer_perception.core.breaker import Breaker, State


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker(failures=3, pause_s=2.0, clock=clock)


def fail(breaker, times):
    for _ in range(times):
        assert breaker.enter() is None
        breaker.failed()


def test_failures_in_a_row_open_it(breaker):
    fail(breaker, 2)
    assert breaker.state is State.CLOSED

    fail(breaker, 1)

    assert breaker.state is State.OPEN


def test_a_success_in_between_begins_the_count_anew(breaker):
    fail(breaker, 2)
    breaker.enter()
    breaker.succeeded()

    fail(breaker, 2)

    assert breaker.state is State.CLOSED


def test_an_open_one_says_how_long_it_stays_open(breaker, clock):
    fail(breaker, 3)
    clock.now += 0.5

    assert breaker.enter() == pytest.approx(1.5)


def test_after_the_pause_one_attempt_is_let_through(breaker, clock):
    fail(breaker, 3)
    clock.now += 2.0

    assert breaker.state is State.HALF_OPEN
    assert breaker.enter() is None
    assert breaker.enter() == 0.0


def test_the_one_attempt_closes_it_when_it_succeeds(breaker, clock):
    fail(breaker, 3)
    clock.now += 2.0
    breaker.enter()

    breaker.succeeded()

    assert breaker.state is State.CLOSED


def test_the_one_attempt_opens_it_again_when_it_fails(breaker, clock):
    fail(breaker, 3)
    clock.now += 2.0

    fail(breaker, 1)

    assert breaker.enter() == pytest.approx(2.0)


def test_a_canceled_attempt_leaves_room_for_another(breaker, clock):
    fail(breaker, 3)
    clock.now += 2.0
    breaker.enter()

    breaker.left()

    assert breaker.state is State.HALF_OPEN
    assert breaker.enter() is None
