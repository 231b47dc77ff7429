# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import threading
import time

import pytest
from roborefer_sim.core.loop import Loop
from roborefer_sim.exceptions import SimulationError

STEP_S = 0.002


class Counter:
    """Counts steps and lets tests wait for a number of them."""

    def __init__(self, **options):
        self.steps, self.changed = 0, threading.Condition()
        self.failures = []
        settings = {"factor": 0.0, "on_failure": self.failures.append} | options
        self.loop = Loop(self.step, STEP_S, **settings)

    def step(self):
        with self.changed:
            self.steps += 1
            self.changed.notify_all()

    def reaches(self, steps, timeout_s=10.0):
        with self.changed:
            return self.changed.wait_for(lambda: self.steps >= steps, timeout_s)


@pytest.fixture
def start():
    running = []

    def make(**options):
        counter = Counter(**options)
        running.append(counter)
        counter.loop.start()
        return counter

    yield make
    for counter in running:
        counter.loop.stop()


def test_it_is_never_faster_than_its_pace(start):
    counter = start(factor=2.0)
    assert counter.reaches(4)
    since, first = time.monotonic(), counter.steps

    assert counter.reaches(first + 200)

    # 200 steps are 0.4 s of simulated time; a stride may be under way.
    assert time.monotonic() - since >= (200 - 8) * STEP_S / 2.0 - 0.01


def test_work_is_done_between_steps_and_gives_back_results_and_errors(start):
    counter = start()

    assert counter.loop.call(lambda: threading.current_thread().name) == "physics"
    with pytest.raises(ZeroDivisionError):
        counter.loop.call(lambda: 1 // 0)
    assert counter.reaches(counter.steps + 10)


def test_paused_it_works_but_does_not_step(start):
    counter = start(playing=False)

    assert counter.loop.call(lambda: 7) == 7
    assert counter.steps == 0
    counter.loop.play(True)
    assert counter.reaches(10)


def test_advance_makes_exactly_so_many_steps(start):
    counter = start(playing=False)

    counter.loop.advance(7).result(10)
    counter.loop.advance(0).result(10)
    counter.loop.call(lambda: None)

    assert counter.steps == 7


def test_advance_while_playing_is_refused(start):
    counter = start()

    with pytest.raises(SimulationError, match="only while the simulation is paused"):
        counter.loop.advance(3)


def test_failing_step_ends_the_loop_and_is_told(start):
    def fail():
        raise ValueError("broken")

    counter = start(playing=False)
    counter.step, counter.loop._step = fail, fail
    with pytest.raises(SimulationError, match="has ended"):
        counter.loop.advance(1).result(10)

    counter.loop.stop()
    assert str(counter.failures[0]) == "broken"
    with pytest.raises(SimulationError, match="has ended"):
        counter.loop.call(lambda: None)


def test_stop_may_be_called_twice_and_ends_waiting_work(start):
    counter = start(factor=0.001)
    assert counter.reaches(4)

    counter.loop.stop()
    counter.loop.stop()

    with pytest.raises(SimulationError):
        counter.loop.call(lambda: None)
