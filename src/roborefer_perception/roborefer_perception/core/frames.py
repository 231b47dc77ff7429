# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Colour, depth and intrinsics that belong together, and the recent ones of them.

Depth of the very stamp of a colour image is taken first. Else the nearest is, once depth of a
later stamp has come, so that nothing nearer can follow. Nothing is decoded before it is asked for.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass
from enum import IntEnum

from roborefer_common.core.pictures import Depth, Rgb

from roborefer_perception.core.arrivals import Arrived, RawFrame
from roborefer_perception.core.camera import Camera
from roborefer_perception.core.health import IntakeHealth, Stream
from roborefer_perception.exceptions import Reason, ReferFailure

_NS = 1e-9
# A message that is older than the one before it by more than this shows that time was set back,
# by less, that the network changed their order.
_ORDER_NS = 100_000_000
# How cameras may send pictures, with the ends of the names of topics by image_transport.
COLOR_TRANSPORTS = {"raw": "", "compressed": "/compressed"}
DEPTH_TRANSPORTS = {"raw": "", "compressedDepth": "/compressedDepth"}
# Messages kept while the others of their frame are on their way.
_RECENT = 30


class Policy(IntEnum):
    """Which image: the constants IMAGE_* of roborefer_msgs/Refer."""

    NEWEST = 0
    FRESH = 1
    AT_STAMP = 2


@dataclass(frozen=True)
class ImageWish:
    """Which image is wanted.

    Attributes:
        policy: NEWEST: the newest that is young enough. FRESH: the first taken after a time.
            AT_STAMP: the one of exactly this stamp.
        stamp_ns: For AT_STAMP.
        max_age_s: For NEWEST and FRESH: older ones are refused.
        after_ns: For FRESH.
    """

    policy: Policy = Policy.NEWEST
    stamp_ns: int = 0
    max_age_s: float = 1.0
    after_ns: int = 0


@dataclass(frozen=True)
class StoreSettings:
    """How images are paired and kept.

    Attributes:
        max_skew_s: Colour and depth whose stamps differ by more are not paired.
        future_s: Images stamped later than now by more are refused.
        keep_frames: Most frames kept.
        keep_s: Frames that are older than the newest by more are dropped.
    """

    max_skew_s: float = 0.02
    future_s: float = 0.2
    keep_frames: int = 30
    keep_s: float = 5.0


class FrameStore:
    """Pairs what comes and keeps the recent frames. Usable from any thread."""

    def __init__(
        self,
        settings: StoreSettings = StoreSettings(),
        names: tuple[str, str, str] = ("the colour topic", "the depth topic", "camera_info"),
    ) -> None:
        """Begin with nothing.

        Args:
            settings: How to pair and what to keep.
            names: What messages for people call the topics of colour, depth and intrinsics.
        """
        self._settings, self._names = settings, names
        self._lock = threading.RLock()
        self._dropped: Counter[str] = Counter()
        self._streams = {name: Stream() for name in ("color", "depth", "info", "frames")}
        self._infos: deque[Arrived[Camera]] = deque(maxlen=max(_RECENT, settings.keep_frames))
        self._camera: Camera | None = None
        self.clear()

    def clear(self) -> None:
        """Forget all images; intrinsics stay, as some cameras tell them only once."""
        with self._lock:
            self._colors: deque[Arrived[Rgb]] = deque()
            self._depths: deque[Arrived[Depth]] = deque()
            self._frames: deque[RawFrame] = deque()
            # Stamp and skew of colour images that found no depth.
            self._lonely: deque[tuple[int, float]] = deque(maxlen=_RECENT)
            self._skew_s: float | None = None
            for stream in self._streams.values():
                stream.stamps.clear()

    # --- what comes ---------------------------------------------------------------------------
    def add_color(self, color: Arrived[Rgb]) -> list[RawFrame]:
        """Take a colour image; return the frames that it completes, oldest first."""
        with self._lock:
            if not self._in_order("color", color.stamp_ns):
                return []
            self._colors.append(color)
            if len(self._colors) > _RECENT:
                self._colors.popleft()
                self._dropped["no depth"] += 1
            return self._pair()

    def add_depth(self, depth: Arrived[Depth]) -> list[RawFrame]:
        """Take a depth image; return the frames that it completes, oldest first."""
        with self._lock:
            if not self._in_order("depth", depth.stamp_ns):
                return []
            self._depths.append(depth)
            if len(self._depths) > _RECENT:
                self._depths.popleft()
            return self._pair()

    def add_info(self, info: Arrived[Camera]) -> None:
        """Take intrinsics."""
        with self._lock:
            self._streams["info"].take(info.stamp_ns)
            self._infos.append(info)

    def _in_order(self, name: str, stamp_ns: int) -> bool:
        """Count an image; forget the others when time was set back."""
        stamps = self._streams[name].stamps
        behind = stamps[-1] - stamp_ns if stamps else 0
        if behind > _ORDER_NS:
            self._dropped["time was set back"] += 1
            self.clear()
        elif stamps and behind >= 0:
            self._dropped["out of order"] += 1
            return False
        self._streams[name].take(stamp_ns)
        return True

    def _pair(self) -> list[RawFrame]:
        made = []
        while self._colors and self._depths:
            color = self._colors[0]
            nearest = min(self._depths, key=lambda d: abs(d.stamp_ns - color.stamp_ns))
            if nearest.stamp_ns != color.stamp_ns and self._depths[-1].stamp_ns < color.stamp_ns:
                break
            self._colors.popleft()
            self._skew_s = (nearest.stamp_ns - color.stamp_ns) * _NS
            if abs(self._skew_s) > self._settings.max_skew_s:
                self._dropped["skew"] += 1
                self._lonely.append((color.stamp_ns, self._skew_s))
                continue
            frame = RawFrame(color, nearest, self._camera_of)
            self._streams["frames"].take(frame.stamp_ns)
            self._frames.append(frame)
            made.append(frame)
        keep = self._settings
        while self._frames and (
            len(self._frames) > keep.keep_frames
            or (self._frames[-1].stamp_ns - self._frames[0].stamp_ns) * _NS > keep.keep_s
        ):
            self._frames.popleft()
        return made

    def _camera_of(self, stamp_ns: int, size: tuple[int, int]) -> Camera:
        with self._lock:
            infos = list(self._infos)
        if not infos:
            raise ReferFailure(
                Reason.NO_CAMERA_INFO,
                f"no intrinsics have come on {self._names[2]}; start the camera's driver",
            )
        exact = [info for info in infos if info.stamp_ns == stamp_ns]
        alike = [info for info in infos if info.size == size]
        best = (exact or alike or infos)[-1]
        if best.size not in (None, size):
            raise ReferFailure(
                Reason.INVALID_INTRINSICS,
                f"the intrinsics on {self._names[2]} are for {best.size} pixels (width, height),"
                f" the colour image has {size}; use those that belong to it",
            )
        camera = best.decode()
        with self._lock:
            # The same object as long as nothing changes: it remembers the rays of its pixels.
            if self._camera != camera:
                self._camera = camera
            return self._camera

    # --- what is asked for --------------------------------------------------------------------
    def find(self, wish: ImageWish, now_ns: int) -> RawFrame | None:
        """Look for a frame.

        Args:
            wish: Which one.
            now_ns: Present time.

        Returns:
            None when it may still come.

        Raises:
            ReferFailure: STAMP_NOT_KEPT or SKEW_TOO_LARGE when waiting cannot help.
        """
        with self._lock:
            if not self._infos:
                return None
            if wish.policy is Policy.AT_STAMP:
                return self._at_stamp(wish.stamp_ns)
            for frame in reversed(self._frames):
                age_s = (now_ns - frame.stamp_ns) * _NS
                if age_s > wish.max_age_s:
                    break
                if wish.policy is Policy.FRESH and frame.stamp_ns < wish.after_ns:
                    break
                if age_s >= -self._settings.future_s:
                    return frame
            return None

    def _at_stamp(self, stamp_ns: int) -> RawFrame | None:
        for frame in reversed(self._frames):
            if frame.stamp_ns == stamp_ns:
                return frame
        for lonely_ns, skew_s in self._lonely:
            if lonely_ns == stamp_ns:
                raise self._skewed(skew_s)
        colors = self._streams["color"].stamps
        waiting = any(color.stamp_ns == stamp_ns for color in self._colors)
        if colors and stamp_ns <= colors[-1] and not waiting:
            raise self._not_kept(stamp_ns)
        return None

    def why(self, wish: ImageWish, now_ns: int) -> ReferFailure:
        """Return why a frame that was waited for is not there.

        Args:
            wish: Which one.
            now_ns: Present time.
        """
        with self._lock:
            for name, topic in zip(("color", "depth"), self._names, strict=False):
                if not self._streams[name].stamps:
                    return self._silent(name, topic)
            if not self._infos:
                return ReferFailure(
                    Reason.NO_CAMERA_INFO,
                    f"no intrinsics have come on {self._names[2]}; start the camera's driver",
                )
            if wish.policy is Policy.AT_STAMP:
                return self._not_kept(wish.stamp_ns)
            return self._why_none_now(wish, now_ns)

    def _silent(self, name: str, topic: str) -> ReferFailure:
        if self._streams[name].count:
            when = " since time was set back; look at the clocks and for a second camera on it"
        else:
            when = "; start the camera's driver"
        kind = "colour" if name == "color" else name
        return ReferFailure(Reason.NO_IMAGE, f"no {kind} image has come on {topic}{when}")

    def _why_none_now(self, wish: ImageWish, now_ns: int) -> ReferFailure:
        color_ns = self._streams["color"].stamps[-1]
        depth_ns = self._streams["depth"].stamps[-1]
        age_s = (now_ns - color_ns) * _NS
        if age_s < -self._settings.future_s:
            return ReferFailure(
                Reason.IMAGE_FROM_FUTURE,
                f"the newest colour image is stamped {-age_s:.2f} s later than now,"
                f" {self._settings.future_s:.2f} s are allowed; synchronise the clocks of camera"
                " and computer, and look at use_sim_time",
            )
        if age_s > wish.max_age_s:
            return ReferFailure(
                Reason.STALE_IMAGE,
                f"the newest colour image is {age_s:.2f} s old, {wish.max_age_s:.2f} s are"
                " allowed; look at the camera and the clocks",
            )
        if self._lonely and (not self._frames or self._lonely[-1][0] > self._frames[-1].stamp_ns):
            return self._skewed(self._lonely[-1][1])
        if not self._frames or self._frames[-1].stamp_ns < color_ns:
            # Colour goes on, depth does not, or lags too far behind.
            return self._skewed((depth_ns - color_ns) * _NS)
        return ReferFailure(
            Reason.STALE_IMAGE,
            f"the newest image is {age_s:.2f} s old and none has followed; look at the camera",
        )

    def _skewed(self, skew_s: float) -> ReferFailure:
        return ReferFailure(
            Reason.SKEW_TOO_LARGE,
            f"the nearest depth image was taken {abs(skew_s):.3f} s"
            f" {'after' if skew_s > 0 else 'before'} the colour image,"
            f" {self._settings.max_skew_s:.3f} s are allowed; let the camera's driver synchronise"
            " them",
        )

    def _not_kept(self, stamp_ns: int) -> ReferFailure:
        kept = [frame.stamp_ns * _NS for frame in self._frames]
        span = f"those from {kept[0]:.3f} to {kept[-1]:.3f} s are" if kept else "none is"
        return ReferFailure(
            Reason.STAMP_NOT_KEPT,
            f"no image of the stamp {stamp_ns * _NS:.3f} s is kept, {span}; take a newer image",
        )

    def health(self, now_ns: int) -> IntakeHealth:
        """Return how the camera does."""
        with self._lock:
            streams = {name: stream.health(now_ns) for name, stream in self._streams.items()}
            return IntakeHealth(
                **streams,
                skew_s=self._skew_s,
                dropped=dict(self._dropped),
                kept=len(self._frames),
            )
