# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How a camera does: rates, ages and what was dropped."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

# Messages that a rate is made of; older ones than this do not count.
_LOOKED_AT = 30
_SILENT_NS = 2_000_000_000


@dataclass(frozen=True)
class StreamHealth:
    """How a stream of messages does.

    Attributes:
        count: Messages since the start.
        rate_hz: Of the recent ones, by their stamps; 0 when there are none.
        age_s: Of the newest; None when there is none.
    """

    count: int = 0
    rate_hz: float = 0.0
    age_s: float | None = None


@dataclass(frozen=True)
class IntakeHealth:
    """How the camera does.

    Attributes:
        color: Colour images.
        depth: Depth images.
        info: Intrinsics.
        frames: Pairs of colour and depth.
        skew_s: Stamp of depth minus stamp of colour of the newest pair, or of the newest colour
            that found none near enough; None when nothing was compared.
        dropped: How many messages were not used, by why.
        kept: Frames that can be asked for.
    """

    color: StreamHealth
    depth: StreamHealth
    info: StreamHealth
    frames: StreamHealth
    skew_s: float | None
    dropped: dict[str, int]
    kept: int


class Stream:
    """Counts messages and remembers the stamps of the recent ones."""

    def __init__(self) -> None:
        self.count = 0
        self.stamps: deque[int] = deque(maxlen=_LOOKED_AT)

    def take(self, stamp_ns: int) -> None:
        """Count a message."""
        self.count += 1
        self.stamps.append(stamp_ns)

    def health(self, now_ns: int) -> StreamHealth:
        """Return how the stream does at a time."""
        if not self.stamps:
            return StreamHealth(self.count)
        recent = [stamp for stamp in self.stamps if now_ns - stamp < _SILENT_NS]
        span = (recent[-1] - recent[0]) * 1e-9 if recent else 0.0
        rate = (len(recent) - 1) / span if span > 0 else 0.0
        return StreamHealth(self.count, rate, (now_ns - self.stamps[-1]) * 1e-9)
