# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Waits that end: by the node's clock, and by the wall when the node's clock stands still."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

from rclpy.clock import Clock

# How often a wait looks up, seconds of wall time; a cancel is noticed this fast.
LOOK_UP_S = 0.01
# A clock of a simulation may be this much slower than the wall before it counts as dead.
_SLOWEST = 10.0
_GRACE_S = 2.0


class Patience:
    """A span of time that is running out."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self.seconds = clock, seconds
        self._begin_ns, self._begin_wall = clock.now().nanoseconds, monotonic()

    @property
    def passed_s(self) -> float:
        """Time since the beginning, by the node's clock."""
        return (self._clock.now().nanoseconds - self._begin_ns) * 1e-9

    @property
    def left_s(self) -> float:
        """Time left, by the node's clock; negative when it is over."""
        if monotonic() - self._begin_wall > self.seconds * _SLOWEST + _GRACE_S:
            return -1.0
        return self.seconds - self.passed_s

    @property
    def over(self) -> bool:
        """Whether it has run out."""
        return self.left_s < 0


def wait_until(
    done: Callable[[], bool],
    patience: Patience,
    changed: threading.Condition,
    check: Callable[[], None] = lambda: None,
) -> bool:
    """Wait for something that other callbacks of the node bring about.

    Args:
        done: What is waited for.
        patience: How long.
        changed: Notified by the callbacks; only a hint, it is looked at now and then anyway.
        check: Called at each look; its exceptions end the wait.

    Returns:
        Whether it came in time.
    """
    while not done():
        check()
        if patience.over:
            return False
        with changed:
            changed.wait(LOOK_UP_S)
    return True
