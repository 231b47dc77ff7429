# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Timers on any clock, and the rates built on them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from rclpy._entity import Entity, await_or_execute
from rclpy.clock import Clock, ClockChange, JumpHandle, JumpThreshold, TimeJump
from rclpy.clock_type import ClockType
from rclpy.duration import Duration
from rclpy.exceptions import ROSInterruptException

if TYPE_CHECKING:
    from rclpy.callback_groups import CallbackGroup
    from rclpy.context import Context


class Timer(Entity):
    """Calls back on a grid of periods; calls that a stall made late are skipped, not made up."""

    kind: ClassVar[int] = Entity.TIMER

    def __init__(
        self,
        callback: Callable[[], Any] | None,
        callback_group: CallbackGroup | None,
        timer_period_ns: int,
        clock: Clock,
        *,
        context: Context | None = None,
        autostart: bool = True,
    ) -> None:
        super().__init__(callback_group)
        self.callback = callback
        self._clock = clock
        self._context = context
        self.timer_period_ns = timer_period_ns
        self._last_call_ns = clock._now_ns()
        self._next_call_ns = self._last_call_ns + self.timer_period_ns
        self._canceled = not autostart
        self._time_credit_ns = 0
        self._lock = threading.Lock()
        self._jumps: JumpHandle | None = None
        if clock.clock_type is ClockType.ROS_TIME:
            nanosecond = Duration(nanoseconds=1)
            threshold = JumpThreshold(
                min_forward=nanosecond, min_backward=Duration(nanoseconds=-1)
            )
            self._jumps = clock.create_jump_callback(
                threshold, pre_callback=self._before_jump, post_callback=self._after_jump
            )

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def timer_period_ns(self) -> int:
        return self._period_ns

    @timer_period_ns.setter
    def timer_period_ns(self, value: int) -> None:
        """Change the period; it counts from the next call on."""
        if int(value) < 0:
            raise ValueError(f"timer period must be non-negative, got {value} ns")
        self._period_ns = int(value)

    def is_canceled(self) -> bool:
        self._check()
        return self._canceled

    def is_ready(self) -> bool:
        self._check()
        return self.ready()

    def cancel(self) -> None:
        self._check()
        self._canceled = True

    def reset(self) -> None:
        """Start a full period from now, also after cancel()."""
        self._check()
        with self._lock:
            self._next_call_ns = self._clock._now_ns() + self._period_ns
            self._canceled = False
        self.notify()

    def time_since_last_call(self) -> int:
        self._check()
        return self._clock._now_ns() - self._last_call_ns

    def time_until_next_call(self) -> int | None:
        """Return nanoseconds, negative when overdue, or None when canceled."""
        self._check()
        return self._remaining_ns()

    def _remaining_ns(self) -> int | None:
        return None if self._canceled else self._next_call_ns - self._clock._now_ns()

    def _before_jump(self) -> None:
        now = self._clock._now_ns()
        if now != 0:
            self._time_credit_ns = now - self._last_call_ns

    def _after_jump(self, jump: TimeJump) -> None:
        now = self._clock._now_ns()
        with self._lock:
            if jump.clock_change is not ClockChange.ROS_TIME_NO_CHANGE:
                # The part of the period that has passed stays passed on the new source of time.
                if now == 0:
                    return
                self._last_call_ns = now - self._time_credit_ns
                self._next_call_ns = self._last_call_ns + self._period_ns
            elif now < self._last_call_ns:
                self._last_call_ns = now
                self._next_call_ns = now + self._period_ns
        self.notify()

    def ready(self) -> bool:
        remaining = None if self._destroyed else self._remaining_ns()
        return remaining is not None and remaining <= 0

    def take(self) -> bool | None:
        with self._lock:
            if not self.ready():
                return None
            now = self._clock._now_ns()
            self._last_call_ns = now
            self._next_call_ns += self._period_ns
            if self._next_call_ns < now:
                if self._period_ns == 0:
                    self._next_call_ns = now
                else:
                    behind = now - self._next_call_ns
                    self._next_call_ns += -(-behind // self._period_ns) * self._period_ns
            return True

    async def execute(self, taken: Any) -> None:
        if self.callback is not None:
            await await_or_execute(self.callback)

    def destroy(self) -> None:
        if self._jumps is not None:
            self._jumps.unregister()
        super().destroy()


class Rate:
    """Sleeps to the beat of a timer that an executor in another thread must be spinning."""

    def __init__(self, timer: Timer, *, context: Context) -> None:
        self._timer = timer
        self._context = context
        self._beat = threading.Event()
        self._lock = threading.Lock()
        self._sleepers = 0
        self._is_shutdown = False
        self._is_destroyed = False
        timer.callback = self._beat.set
        context.on_shutdown(self._shutdown)

    def _shutdown(self) -> None:
        self._is_shutdown = True
        self._beat.set()

    def destroy(self) -> None:
        self._is_destroyed = True
        self._beat.set()
        self._timer.destroy()

    def sleep(self) -> None:
        """Block until the next beat, or not at all when one has passed since the last sleep.

        Raises:
            ROSInterruptException: The context is shut down, or the rate destroyed meanwhile.
            RuntimeError: The rate was destroyed before.
        """
        if self._is_destroyed:
            raise RuntimeError("Rate cannot sleep because it has been destroyed")
        with self._lock:
            self._sleepers += 1
        self._beat.wait()
        with self._lock:
            self._sleepers -= 1
            if self._sleepers == 0 and not self._is_shutdown:
                self._beat.clear()
        if self._is_shutdown or self._is_destroyed:
            raise ROSInterruptException
