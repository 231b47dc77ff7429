# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Points in time, each of one clock type, in exact nanoseconds."""

from __future__ import annotations

from typing import Any, overload

import builtin_interfaces.msg

from rclpy._exact import Exact
from rclpy.clock_type import ClockType
from rclpy.constants import S_TO_NS
from rclpy.duration import Duration

_LIMIT = 2**63


class Time(Exact):
    """A point in time; only times of the same clock type compare and subtract."""

    def __init__(
        self,
        *,
        seconds: float = 0,
        nanoseconds: int = 0,
        clock_type: ClockType = ClockType.SYSTEM_TIME,
    ) -> None:
        if not isinstance(clock_type, ClockType):
            raise TypeError(f"Clock type must be a ClockType enum, not {clock_type!r}")
        if seconds < 0:
            raise ValueError(f"Seconds value must not be negative, got {seconds}")
        if nanoseconds < 0:
            raise ValueError(f"Nanoseconds value must not be negative, got {nanoseconds}")
        total = int(seconds * S_TO_NS) + int(nanoseconds)
        if total >= _LIMIT:
            raise OverflowError(f"{total} ns does not fit a Time, which holds up to 2**63 - 1 ns")
        self._nanoseconds = total
        self._clock_type = clock_type

    @property
    def nanoseconds(self) -> int:
        return self._nanoseconds

    @property
    def clock_type(self) -> ClockType:
        return self._clock_type

    def seconds_nanoseconds(self) -> tuple[int, int]:
        return divmod(self.nanoseconds, S_TO_NS)

    def __repr__(self) -> str:
        return f"Time(nanoseconds={self.nanoseconds}, clock_type={self.clock_type.name})"

    def _shifted(self, nanoseconds: int) -> Time:
        if nanoseconds < 0:
            raise ValueError(f"The result, {nanoseconds} ns, would be a negative time")
        if nanoseconds >= _LIMIT:
            raise OverflowError("Addition leads to overflow in C storage.")
        return Time(nanoseconds=nanoseconds, clock_type=self.clock_type)

    def __add__(self, other: Duration) -> Time:
        if not isinstance(other, Duration):
            return NotImplemented
        return self._shifted(self.nanoseconds + other.nanoseconds)

    __radd__ = __add__

    @overload
    def __sub__(self, other: Time) -> Duration: ...
    @overload
    def __sub__(self, other: Duration) -> Time: ...
    def __sub__(self, other: Time | Duration) -> Duration | Time:
        if isinstance(other, Time):
            if self.clock_type != other.clock_type:
                raise TypeError("Can't subtract times with different clock types")
            return Duration(nanoseconds=self.nanoseconds - other.nanoseconds)
        if isinstance(other, Duration):
            return self._shifted(self.nanoseconds - other.nanoseconds)
        return NotImplemented

    def _check_comparable(self, other: Any) -> None:
        if self.clock_type != other.clock_type:
            raise TypeError("Can't compare times with different clock types")

    def to_msg(self) -> builtin_interfaces.msg.Time:
        seconds, nanoseconds = self.seconds_nanoseconds()
        return builtin_interfaces.msg.Time(sec=seconds, nanosec=nanoseconds)

    @classmethod
    def from_msg(
        cls, msg: builtin_interfaces.msg.Time, clock_type: ClockType = ClockType.ROS_TIME
    ) -> Time:
        if not isinstance(msg, builtin_interfaces.msg.Time):
            raise TypeError(f"Must pass a builtin_interfaces.msg.Time object, not {msg!r}")
        return cls(seconds=msg.sec, nanoseconds=msg.nanosec, clock_type=clock_type)
