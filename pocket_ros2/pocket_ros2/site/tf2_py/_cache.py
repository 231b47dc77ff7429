# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What is known of one frame relative to its parent."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from tf2_py._rigid import Rigid, interpolate

Sample = tuple[str, Rigid]


class StaticCache:
    """One sample, valid at all times; it survives clear()."""

    oldest = latest = 0

    def __init__(self) -> None:
        self.sample: Sample | None = None

    def __len__(self) -> int:
        return 0 if self.sample is None else 1

    @property
    def parent(self) -> str | None:
        return None if self.sample is None else self.sample[0]

    def insert(self, stamp: int, sample: Sample) -> bool:
        """Replace the sample."""
        self.sample = sample
        return True

    def clear(self) -> None:
        """Keep the sample: it does not age."""

    def find(self, time: int) -> Sample | str:
        """Return the sample."""
        return self.sample or ""


class TimeCache:
    """Samples ordered by time, the last `span` nanoseconds of them."""

    def __init__(self, span: int) -> None:
        self.span = span
        self.stamps: list[int] = []
        self.samples: list[Sample] = []

    def __len__(self) -> int:
        return len(self.stamps)

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
        twin = index
        while twin and self.stamps[twin - 1] == stamp:
            twin -= 1
            if self.samples[twin] == sample:
                return True
        self.stamps.insert(index, stamp)
        self.samples.insert(index, sample)
        return True

    def clear(self) -> None:
        """Forget all samples."""
        self.stamps.clear()
        self.samples.clear()

    def find(self, time: int) -> Sample | str:
        """Return the sample at a time (0: the latest), or the text of what is missing."""
        stamps = self.stamps
        if not stamps:
            return ""
        if time == 0 or time == stamps[-1]:
            return self.samples[-1]
        if len(stamps) == 1:
            return (
                f"Lookup would require extrapolation at time {seconds(time)}, "
                f"but only time {seconds(stamps[0])} is in the buffer"
            )
        if time > stamps[-1]:
            return (
                "Lookup would require extrapolation into the future.  Requested time "
                f"{seconds(time)} but the latest data is at time {seconds(stamps[-1])}"
            )
        if time < stamps[0]:
            return (
                "Lookup would require extrapolation into the past.  Requested time "
                f"{seconds(time)} but the earliest data is at time {seconds(stamps[0])}"
            )
        newer = bisect_right(stamps, time)
        before, after = self.samples[newer - 1], self.samples[newer]
        start = stamps[newer - 1]
        if before[0] != after[0] or start == time:
            return before
        ratio = (time - start) / (stamps[newer] - start)
        return (before[0], interpolate(before[1], after[1], ratio))


def seconds(stamp: int) -> str:
    """Return a time as tf2 prints it."""
    return f"{stamp / 1e9:.6f}"
