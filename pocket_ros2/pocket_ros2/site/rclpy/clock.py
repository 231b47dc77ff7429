# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Clocks, their jumps, and sleeping on them."""

from __future__ import annotations

import threading
import time as _system
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from rclpy.clock_type import ClockType
from rclpy.duration import Duration
from rclpy.exceptions import NotInitializedException
from rclpy.time import Time


class ClockChange(IntEnum):
    """What a jump did to the source of ROS time."""

    ROS_TIME_NO_CHANGE = 1
    ROS_TIME_ACTIVATED = 2
    ROS_TIME_DEACTIVATED = 3
    SYSTEM_TIME_NO_CHANGE = 4


_SOURCE_CHANGES = (ClockChange.ROS_TIME_ACTIVATED, ClockChange.ROS_TIME_DEACTIVATED)


class JumpThreshold:
    """Which jumps a callback is called for; None switches a direction off."""

    def __init__(
        self,
        *,
        min_forward: Duration | None,
        min_backward: Duration | None,
        on_clock_change: bool = True,
    ) -> None:
        if min_forward is not None and min_forward.nanoseconds <= 0:
            raise ValueError("min_forward must be a positive non-zero duration")
        if min_backward is not None and min_backward.nanoseconds >= 0:
            raise ValueError("min_backward must be a negative non-zero duration")
        if min_forward is None and min_backward is None and not on_clock_change:
            raise ValueError("At least one jump threshold must be enabled")
        self.min_forward = min_forward
        self.min_backward = min_backward
        self.on_clock_change = on_clock_change

    def _exceeded_by(self, jump: TimeJump) -> bool:
        if jump.clock_change in _SOURCE_CHANGES:
            return self.on_clock_change
        return (self.min_forward is not None and jump.delta >= self.min_forward) or (
            self.min_backward is not None and jump.delta <= self.min_backward
        )


class TimeJump:
    def __init__(self, clock_change: ClockChange, delta: Duration) -> None:
        if not isinstance(clock_change, ClockChange):
            raise TypeError(f"clock_change must be a ClockChange, not {clock_change!r}")
        self._clock_change = clock_change
        self._delta = delta

    @property
    def clock_change(self) -> ClockChange:
        return self._clock_change

    @property
    def delta(self) -> Duration:
        return self._delta


class JumpHandle:
    """Keeps a jump callback registered until unregister(), or until a with block ends."""

    def __init__(
        self,
        *,
        clock: Clock,
        threshold: JumpThreshold,
        pre_callback: Callable[[], Any] | None,
        post_callback: Callable[[TimeJump], Any] | None,
    ) -> None:
        if pre_callback is None and post_callback is None:
            raise ValueError("One of pre_callback or post_callback must be callable")
        if pre_callback is not None and not callable(pre_callback):
            raise ValueError("pre_callback must be callable if given")
        if post_callback is not None and not callable(post_callback):
            raise ValueError("post_callback must be callable if given")
        self._clock: Clock | None = clock
        self._threshold = threshold
        self._pre_callback = pre_callback
        self._post_callback = post_callback
        clock._jump_handles.append(self)

    def unregister(self) -> None:
        if self._clock is not None:
            self._clock._jump_handles.remove(self)
            self._clock = None

    def __enter__(self) -> JumpHandle:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.unregister()


class Clock:
    """A source of time; Clock(clock_type=ClockType.ROS_TIME) gives a ROSClock."""

    _clock_type: ClockType
    _jump_handles: list[JumpHandle]

    def __new__(cls, *, clock_type: ClockType = ClockType.SYSTEM_TIME) -> Clock:
        if not isinstance(clock_type, ClockType):
            raise TypeError(f"Clock type must be a ClockType enum, not {clock_type!r}")
        self = super().__new__(
            ROSClock if cls is Clock and clock_type is ClockType.ROS_TIME else cls
        )
        self._clock_type = clock_type
        self._jump_handles = []
        return self

    @property
    def clock_type(self) -> ClockType:
        return self._clock_type

    def __repr__(self) -> str:
        return f"Clock(clock_type={self.clock_type.name})"

    def _now_ns(self) -> int:
        return (
            _system.monotonic_ns()
            if self._clock_type is ClockType.STEADY_TIME
            else _system.time_ns()
        )

    def _is_running(self) -> bool:
        """Tell whether time passes by itself, as opposed to by messages on /clock."""
        return True

    def now(self) -> Time:
        return Time(nanoseconds=self._now_ns(), clock_type=self.clock_type)

    def create_jump_callback(
        self,
        threshold: JumpThreshold,
        *,
        pre_callback: Callable[[], Any] | None = None,
        post_callback: Callable[[TimeJump], Any] | None = None,
    ) -> JumpHandle:
        """Call back around every jump past the threshold; callbacks must not block."""
        return JumpHandle(
            clock=self, threshold=threshold, pre_callback=pre_callback, post_callback=post_callback
        )

    def sleep_until(self, until: Time, context: Any = None) -> bool:
        """Block until the clock reaches a time.

        Returns:
            False when the context was shut down, or the source of ROS time changed, meanwhile.
        """
        if not isinstance(until, Time):
            raise TypeError(f"until must be a Time, not {until!r}")
        if until.clock_type is not self.clock_type:
            raise ValueError(
                f"until's clock type does not match this clock's type: {until.clock_type.name} "
                f"is not {self.clock_type.name}"
            )
        if context is None:
            # Not imported above: contexts log, and loggers have a clock.
            from rclpy.utilities import get_default_context

            context = get_default_context()
        if not context.ok():
            raise NotInitializedException("context cannot be used to sleep on a clock")
        wake = threading.Event()
        source_changed = False

        def on_jump(jump: TimeJump) -> None:
            nonlocal source_changed
            source_changed |= jump.clock_change in _SOURCE_CHANGES
            wake.set()

        context.on_shutdown(wake.set)
        threshold = JumpThreshold(min_forward=Duration(nanoseconds=1), min_backward=None)
        with self.create_jump_callback(threshold, post_callback=on_jump):
            while context.ok() and not source_changed:
                remaining = until.nanoseconds - self._now_ns()
                if remaining <= 0:
                    return True
                seconds = min(remaining * 1e-9, threading.TIMEOUT_MAX)
                wake.wait(seconds if self._is_running() else None)
                wake.clear()
        return False

    def sleep_for(self, rel_time: Duration, context: Any = None) -> bool:
        return self.sleep_until(self.now() + rel_time, context)


class ROSClock(Clock):
    """System time, or under use_sim_time whatever /clock last said (0 before it spoke)."""

    _override_ns = 0
    _override_active = False

    def __new__(cls) -> Clock:  # type: ignore[misc]
        return super().__new__(cls, clock_type=ClockType.ROS_TIME)

    def _now_ns(self) -> int:
        return self._override_ns if self._override_active else _system.time_ns()

    def _is_running(self) -> bool:
        return not self._override_active

    @property
    def ros_time_is_active(self) -> bool:
        return self._override_active

    def _jump(self, change: ClockChange, delta_ns: int, apply: Callable[[], None]) -> None:
        jump = TimeJump(change, Duration(nanoseconds=delta_ns))
        handles = list(self._jump_handles)  # Other threads add and remove some.
        told = [handle for handle in handles if handle._threshold._exceeded_by(jump)]
        for handle in told:
            if handle._pre_callback is not None:
                handle._pre_callback()
        apply()
        for handle in told:
            if handle._post_callback is not None:
                handle._post_callback(jump)

    def _set_ros_time_is_active(self, enabled: bool) -> None:
        if enabled == self._override_active:
            return

        def apply() -> None:
            self._override_active = enabled

        change = _SOURCE_CHANGES[0] if enabled else _SOURCE_CHANGES[1]
        self._jump(change, 0, apply)

    def set_ros_time_override(self, time: Time) -> None:
        """Set the time that counts while ROS time is active."""
        if not isinstance(time, Time):
            raise TypeError(f"Time must be specified as rclpy.time.Time, not {type(time)}")

        def apply() -> None:
            self._override_ns = time.nanoseconds

        if self._override_active:
            delta = time.nanoseconds - self._override_ns
            self._jump(ClockChange.ROS_TIME_NO_CHANGE, delta, apply)
        else:
            apply()
