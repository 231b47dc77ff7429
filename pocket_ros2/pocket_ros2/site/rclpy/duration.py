# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Lengths of time, in exact nanoseconds."""

from __future__ import annotations

import builtin_interfaces.msg

from rclpy._exact import Exact
from rclpy.constants import S_TO_NS

_LIMIT = 2**63


class Duration(Exact):
    """A signed length of time that fits 64-bit nanoseconds."""

    def __init__(self, *, seconds: float = 0, nanoseconds: int = 0) -> None:
        total = int(seconds * S_TO_NS) + int(nanoseconds)
        if not -_LIMIT <= total < _LIMIT:
            raise OverflowError(
                f"{total} ns does not fit a Duration, which holds -2**63 to 2**63 - 1 ns"
            )
        self._nanoseconds = total

    @property
    def nanoseconds(self) -> int:
        return self._nanoseconds

    def __repr__(self) -> str:
        return f"Duration(nanoseconds={self.nanoseconds})"

    def __str__(self) -> str:
        if self == Infinite:
            return "Infinite"
        return f"{self.nanoseconds} nanoseconds"

    def to_msg(self) -> builtin_interfaces.msg.Duration:
        seconds, nanoseconds = divmod(self.nanoseconds, S_TO_NS)
        return builtin_interfaces.msg.Duration(sec=seconds, nanosec=nanoseconds)

    @classmethod
    def from_msg(cls, msg: builtin_interfaces.msg.Duration) -> Duration:
        if not isinstance(msg, builtin_interfaces.msg.Duration):
            raise TypeError(f"Must pass a builtin_interfaces.msg.Duration object, not {msg!r}")
        return cls(seconds=msg.sec, nanoseconds=msg.nanosec)


Infinite = Duration(nanoseconds=_LIMIT - 1)
