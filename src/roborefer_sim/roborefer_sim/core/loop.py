# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs a simulation in a thread of its own at a pace, and lets other threads in between steps."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from roborefer_sim.exceptions import SimulationError

T = TypeVar("T")
# When this far behind its schedule, the loop gives up catching up, seconds of wall time.
MOST_BEHIND_S = 0.25
# Steps done in one go before the clock on the wall is looked at.
STRIDE = 4
RATE_WINDOW_S = 1.0


class Loop:
    """Calls `step` again and again; `step` and everything that is submitted run in its thread."""

    def __init__(
        self,
        step: Callable[[], None],
        step_s: float,
        factor: float,
        playing: bool = True,
        on_failure: Callable[[BaseException], None] = lambda error: None,
    ) -> None:
        """Prepare a loop; `start` starts it.

        Args:
            step: Does one time step.
            step_s: Simulated time of a step, seconds.
            factor: Simulated time per wall time; 0 is as fast as possible.
            playing: Whether to step from the start.
            on_failure: Told, in the loop's thread, about an exception that ended the loop.
        """
        self._step, self._step_s, self.factor = step, step_s, factor
        self._playing, self._on_failure = playing, on_failure
        self._owed, self._owed_future = 0, Future[None]()
        self._work: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._steps = 0
        self._origin: tuple[float, int] = (0.0, 0)
        self._measured: tuple[float, int] = (0.0, 0)
        self.rate = 0.0
        self._thread = threading.Thread(target=self._run, name="physics", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the present step; wait for it. Calling it twice is allowed."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    @property
    def playing(self) -> bool:
        """Whether steps are made by themselves."""
        return self._playing

    def play(self, playing: bool) -> None:
        """Go on, or pause."""
        with self._changed:
            self._playing = playing
            self._origin = (0.0, 0)
            self._changed.notify_all()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have something done in the loop's thread, between two steps, paused or not."""
        future: Future[T] = Future()
        with self._changed:
            if self._ended:
                future.set_exception(SimulationError("the simulation has ended"))
            else:
                self._work.append((work, future))
                self._changed.notify_all()
        return future

    def call(self, work: Callable[[], T], timeout_s: float = 10.0) -> T:
        """Have something done between two steps and return what it returns.

        Raises:
            SimulationError: The simulation ended, or did not come to it in time.
            Exception: Whatever work raises.
        """
        try:
            return self.submit(work).result(timeout_s)
        except TimeoutError as error:
            raise SimulationError(f"the simulation did not answer within {timeout_s} s") from error

    def advance(self, steps: int) -> Future[None]:
        """Make so many steps while paused, as fast as possible; the future is done after them.

        Raises:
            SimulationError: It plays, or such steps are being made already.
        """
        with self._changed:
            if self._playing or self._owed:
                raise SimulationError("steps can be made only while the simulation is paused")
            future: Future[None] = Future()
            if steps > 0:
                self._owed, self._owed_future = steps, future
                self._changed.notify_all()
            else:
                future.set_result(None)
            return future

    def _run(self) -> None:
        try:
            while not self._ended:
                self._do_work()
                if self._owed:
                    self._step()
                    self._owed -= 1
                    if not self._owed:
                        self._owed_future.set_result(None)
                elif self._playing:
                    for _ in range(STRIDE):
                        self._step()
                    self._steps += STRIDE
                    self._pace()
                else:
                    with self._changed:
                        self._changed.wait_for(self._wanted)
        except BaseException as error:
            self._ended = True
            self._on_failure(error)
        finally:
            self._drop_work()

    def _wanted(self) -> bool:
        return bool(self._ended or self._work or self._playing or self._owed)

    def _do_work(self) -> None:
        while self._work:
            work, future = self._work.popleft()
            try:
                future.set_result(work())
            except Exception as error:
                future.set_exception(error)

    def _drop_work(self) -> None:
        with self._changed:
            waiting = [future for _, future in self._work]
            self._work.clear()
            if self._owed:
                waiting.append(self._owed_future)
                self._owed = 0
        for future in waiting:
            future.set_exception(SimulationError("the simulation has ended"))

    def _pace(self) -> None:
        now = time.monotonic()
        since, steps = self._measured
        if now - since >= RATE_WINDOW_S:
            self.rate = (self._steps - steps) * self._step_s / (now - since) if since else 0.0
            self._measured = (now, self._steps)
        if self.factor <= 0:
            return
        since, steps = self._origin
        due = since + (self._steps - steps) * self._step_s / self.factor
        if not since or now - due > MOST_BEHIND_S:
            self._origin = (now, self._steps)
            return
        while (left := due - time.monotonic()) > 0 and not self._ended:
            with self._changed:
                self._changed.wait_for(lambda: self._work or self._ended, left)
            self._do_work()
