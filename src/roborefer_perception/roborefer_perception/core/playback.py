# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Shows the frames of a recording one after the other, at their pace, in a thread of its own."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic

from roborefer_perception.core.recordings import RecordedFrame, Recording
from roborefer_perception.exceptions import RecordingError

# Later than this the pace is not caught up with but begins anew.
_MOST_LATE_S = 0.5
# Waits look up now and then, because a lock cannot wait for ever.
_LONGEST_WAIT_S = 3600.0


class AtEnd(StrEnum):
    """What comes after the last frame."""

    LOOP = "loop"
    HOLD = "hold"
    EXIT = "exit"


@dataclass(frozen=True)
class Pace:
    """How fast frames follow each other.

    Attributes:
        rate_hz: How often a picture is shown that stays: a still scene, or any while paused.
        hold_s: How long a still scene stays; 0: until the next one is asked for.
        speed: Seconds of a recorded sequence per second.
        at_end: What comes after the last frame.
        paused: Whether to begin paused.
    """

    rate_hz: float = 10.0
    hold_s: float = 0.0
    speed: float = 1.0
    at_end: AtEnd = AtEnd.LOOP
    paused: bool = False


class Playback:
    """Plays a recording; a picture that stays is shown again and again, as a camera would.

    All methods may be called from any thread.
    """

    def __init__(
        self,
        recording: Recording,
        pace: Pace,
        show: Callable[[RecordedFrame, int], None],
        report: Callable[[RecordingError], None],
        ended: Callable[[Exception | None], None],
        now_ns: Callable[[], int] | None = None,
    ) -> None:
        """Make it; `start` begins.

        Args:
            recording: What is played.
            pace: How fast.
            show: Takes a frame and its stamp; called in the thread of the playback, as all here.
            report: Takes why a frame was left out.
            ended: Called when `at_end` is EXIT and all was shown, or with what broke the playback.
            now_ns: Gives the stamps. Without it they are the recorded ones; they go on rising
                when a picture stays and when the recording begins again.
        """
        self._recording, self._pace = recording, pace
        self._show_frame, self._report, self._on_end = show, report, ended
        self._now_ns = now_ns
        self._changed = threading.Condition()
        self._closed = self._over = False
        self._paused, self._steps = pace.paused, 0
        self._period_s = 1 / pace.rate_hz
        self._shift_ns, self._last_ns = 0, -1
        self._due = 0.0
        self._thread = threading.Thread(target=self._run, name="playback", daemon=True)

    def start(self) -> None:
        """Begin with the first frame."""
        self._due = monotonic()
        self._thread.start()

    def stop(self) -> None:
        """End; nothing is shown after it has returned. Calling it twice is allowed."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    def pause(self, paused: bool) -> None:
        """Stay at the present picture, or go on."""
        with self._changed:
            self._paused = paused or self._over
            self._changed.notify_all()

    def next(self) -> bool:
        """Go to the next frame, paused or not.

        Returns:
            Whether there is one. Every stamp from now on belongs to it or to a later one.
        """
        with self._changed:
            if self._over or self._closed:
                return False
            self._steps += 1
            self._changed.notify_all()
            return True

    def _run(self) -> None:
        try:
            while self._play_once() and self._pace.at_end is AtEnd.LOOP:
                pass
        except Exception as error:
            self._on_end(error)
            return
        if not self._closed:
            self._on_end(None)

    def _play_once(self) -> bool:
        recording, last = self._recording, None
        stamps = recording.stamps_ns
        for i, frame in enumerate(recording.frames()):
            if isinstance(frame, RecordingError):
                self._report(frame)
                continue
            last = frame
            if recording.still:
                lasts_s = self._pace.hold_s or math.inf
            elif i + 1 < len(stamps):
                lasts_s = (stamps[i + 1] - stamps[i]) * 1e-9 / self._pace.speed
            else:
                lasts_s = self._period_s
            if not self._show(frame, lasts_s):
                return False
        if last is None:
            raise RecordingError(f"none of the {len(stamps)} frames could be read")
        if self._pace.at_end is AtEnd.HOLD:
            with self._changed:
                self._over, self._paused, self._steps = True, True, 0
            self._show(last, math.inf)
        return not self._closed

    def _show(self, frame: RecordedFrame, lasts_s: float) -> bool:
        """Show a frame until it is time for the next one; return whether one is wanted."""
        begin = max(self._due, monotonic() - _MOST_LATE_S)
        again, is_first = begin, True
        while True:
            with self._changed:
                if self._closed:
                    return False
                if not is_first and self._take_step():
                    return True
                stamp_ns = self._stamp(frame, is_first)
            self._show_frame(frame, stamp_ns)
            again, is_first = max(again + self._period_s, monotonic()), False
            with self._changed:
                paused = self._paused
                stays = paused or self._recording.still
                wake = min(again if stays else math.inf, math.inf if paused else begin + lasts_s)
                self._wait(wake, paused)
                if self._closed:
                    return False
                if self._take_step():
                    return True
                if paused and not self._paused:
                    # A sequence goes on at once, a scene stays its full time from now.
                    begin = monotonic() - (0.0 if self._recording.still else lasts_s)
                if not self._paused and monotonic() >= begin + lasts_s:
                    self._due = begin + lasts_s
                    return True

    def _wait(self, until: float, paused: bool) -> None:
        def is_disturbed() -> bool:
            return self._closed or bool(self._steps) or self._paused != paused

        self._changed.wait_for(is_disturbed, min(max(0.0, until - monotonic()), _LONGEST_WAIT_S))

    def _take_step(self) -> bool:
        if not self._steps or self._over:
            return False
        self._steps -= 1
        self._due = monotonic()
        return True

    def _stamp(self, frame: RecordedFrame, is_first: bool) -> int:
        if self._now_ns is not None:
            return self._now_ns()
        stamp_ns = frame.stamp_ns + self._shift_ns
        # The stamps of still scenes are made up: they say nothing about how long a scene stays.
        stays = not is_first or (self._recording.still and self._last_ns >= 0)
        if stays or stamp_ns <= self._last_ns:
            stamp_ns = self._last_ns + round(self._period_s * 1e9)
        self._shift_ns, self._last_ns = stamp_ns - frame.stamp_ns, stamp_ns
        return stamp_ns
