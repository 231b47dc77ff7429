# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A circuit breaker: who failed several times in a row is left alone for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum
from time import monotonic


class State(Enum):
    """What a breaker lets through."""

    # Everything.
    CLOSED = "closed"
    # Nothing, until the pause is over.
    OPEN = "open"
    # One attempt, whose outcome decides.
    HALF_OPEN = "half-open"


class Breaker:
    """Counts failures; safe to use from any thread.

    Every attempt is announced by `enter` and ended by one of `succeeded`, `failed`, `left`.
    """

    def __init__(
        self, failures: int = 5, pause_s: float = 2.0, clock: Callable[[], float] = monotonic
    ) -> None:
        """Begin closed.

        Args:
            failures: So many in a row open it.
            pause_s: How long it stays open before one attempt is let through.
            clock: Seconds that never go back.
        """
        self._most, self._pause_s, self._clock = failures, pause_s, clock
        self._failures = 0
        self._until = 0.0
        self._probing = False
        self._lock = threading.Lock()

    @property
    def state(self) -> State:
        """What it lets through now."""
        with self._lock:
            return self._state()

    def enter(self) -> float | None:
        """Announce an attempt.

        Returns:
            None: go ahead. Else no attempt may be made for so many seconds; 0 while the one
            attempt of a half-open breaker is under way.
        """
        with self._lock:
            state = self._state()
            if state is State.CLOSED:
                return None
            if state is State.OPEN:
                return self._until - self._clock()
            if self._probing:
                return 0.0
            self._probing = True
            return None

    def succeeded(self) -> None:
        """End an attempt: there was an answer, of whatever kind."""
        with self._lock:
            self._failures, self._probing = 0, False

    def failed(self) -> None:
        """End an attempt: nobody answered."""
        with self._lock:
            self._failures, self._probing = self._failures + 1, False
            if self._failures >= self._most:
                self._until = self._clock() + self._pause_s

    def left(self) -> None:
        """End an attempt of which nothing was learnt, such as a canceled one."""
        with self._lock:
            self._probing = False

    def _state(self) -> State:
        if self._failures < self._most:
            return State.CLOSED
        return State.OPEN if self._clock() < self._until else State.HALF_OPEN
