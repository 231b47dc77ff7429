# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What is known of one frame relative to its parent."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from tf2_py._rigid import Rigid, interpolate

Sample = tuple[str, Rigid]


class TimeCache:
    """Samples ordered by time, the last `span` nanoseconds of them."""

    def __init__(self, span: int) -> None:
        self.span = span
        self.stamps: list[int] = []
        self.samples: list[Sample] = []

    @property
    def oldest(self) -> int:
        return self.stamps[0] if self.stamps else 0

    @property
    def latest(self) -> int:
        return self.stamps[-1] if self.stamps else 0

    @property
    def parent(self) -> str | None:
        return self.samples[-1][0] if self.samples else None

    def insert(self, stamp: int, sample: Sample) -> bool:
        """Add a sample, in whatever order it arrives; False if it is too old to be kept.

        A second, different sample of the same time counts as the newer one.
        """
        limit = self.latest - self.span
        expired = bisect_left(self.stamps, limit)
        del self.stamps[:expired], self.samples[:expired]
        if self.stamps and stamp < limit:
            return False
        index = bisect_right(self.stamps, stamp)
        if sample not in self.samples[bisect_left(self.stamps, stamp) : index]:
            self.stamps.insert(index, stamp)
            self.samples.insert(index, sample)
        return True

    def clear(self) -> None:
        self.stamps.clear()
        self.samples.clear()

    def find(self, time: int) -> Sample | str:
        """Return the sample at a time (0: the latest), or the text of what is missing."""
        stamps = self.stamps
        if not stamps:
            return ""
        if time == 0 or time == stamps[-1]:
            return self.samples[-1]
        would = "Lookup would require extrapolation"
        if len(stamps) == 1:
            only = f", but only time {seconds(stamps[0])} is in the buffer"
            return f"{would} at time {seconds(time)}{only}"
        if time > stamps[-1]:
            side, known = "into the future", f"latest data is at time {seconds(stamps[-1])}"
        elif time < stamps[0]:
            side, known = "into the past", f"earliest data is at time {seconds(stamps[0])}"
        else:
            newer = bisect_right(stamps, time)
            before, after = self.samples[newer - 1], self.samples[newer]
            start = stamps[newer - 1]
            if before[0] != after[0] or start == time:
                return before
            ratio = (time - start) / (stamps[newer] - start)
            return (before[0], interpolate(before[1], after[1], ratio))
        return f"{would} {side}.  Requested time {seconds(time)} but the {known}"


class StaticCache(TimeCache):
    """One sample, valid at all times; it does not age, so it survives clear()."""

    oldest = latest = 0  # type: ignore[assignment]

    def insert(self, stamp: int, sample: Sample) -> bool:
        self.stamps, self.samples = [0], [sample]
        return True

    def clear(self) -> None:
        pass

    def find(self, time: int) -> Sample | str:
        return self.samples[0]


def seconds(stamp: int) -> str:
    """Return a time as tf2 prints it."""
    return f"{stamp / 1e9:.6f}"
