# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Stamps and durations of messages as whole nanoseconds, and back."""

from __future__ import annotations

from builtin_interfaces.msg import Duration, Time

_NS = 1_000_000_000


def nanoseconds(stamp: Time | Duration) -> int:
    """Whole nanoseconds of a stamp or duration."""
    return int(stamp.sec) * _NS + int(stamp.nanosec)


def time_to_msg(stamp_ns: int) -> Time:
    """Stamp of so many nanoseconds; before the epoch there is none, so at least zero."""
    seconds, rest = divmod(max(0, stamp_ns), _NS)
    return Time(sec=seconds, nanosec=rest)


def duration_to_msg(seconds: float) -> Duration:
    """Split seconds into the two numbers of a Duration."""
    whole, rest = divmod(round(seconds * _NS), _NS)
    return Duration(sec=whole, nanosec=rest)
