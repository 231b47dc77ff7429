# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The tree of frames and the lookups through it."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from geometry_msgs.msg import TransformStamped

from tf2_py._cache import StaticCache, TimeCache, seconds
from tf2_py._exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TransformException,
)
from tf2_py._rigid import IDENTITY, Rigid, canonical, compose, inverse

if TYPE_CHECKING:
    from rclpy.duration import Duration
    from rclpy.time import Time

_MAX_DEPTH = 1000


class BufferCore:
    """Stores transforms over time and answers how one frame lies in another.

    A time may be an `rclpy.time.Time` or a `builtin_interfaces` Time; zero means the latest time
    at which the whole chain between the two frames is known.
    """

    def __init__(self, cache_time: Duration | None = None) -> None:
        self._span = 10_000_000_000 if cache_time is None else cache_time.nanoseconds
        self._lock = threading.RLock()
        self._caches: dict[str, TimeCache | None] = {}
        self._authorities: dict[str, str] = {}

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Add a transform; one that makes no sense is refused with a message on stderr."""
        self._insert(transform, authority, static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Add a transform that holds at all times."""
        self._insert(transform, authority, static=True)

    def clear(self) -> None:
        """Forget the samples of moving frames; static ones and the known names stay."""
        with self._lock:
            for cache in self._caches.values():
                if cache is not None:
                    cache.clear()

    def lookup_transform_core(
        self, target_frame: str, source_frame: str, time: Time
    ) -> TransformStamped:
        """Return the pose of source_frame in target_frame.

        Raises:
            LookupException: A frame is unknown.
            ConnectivityException: The frames are in different trees.
            ExtrapolationException: Nothing is known for that time.
            InvalidArgumentException: A frame id is empty or starts with a slash.
        """
        rigid, stamp = self._lookup(target_frame, source_frame, _nanoseconds(time))
        return _message(rigid, stamp, target_frame, source_frame)

    def lookup_transform_full_core(
        self, target_frame, target_time, source_frame, source_time, fixed_frame
    ) -> TransformStamped:
        """Return source_frame at source_time in target_frame at target_time.

        The two times are joined in fixed_frame, which is taken to stand still between them.
        """
        with self._lock:
            self._check("lookupTransform argument target_frame", target_frame)
            self._check("lookupTransform argument source_frame", source_frame)
            self._check("lookupTransform argument fixed_frame", fixed_frame)
            first, _ = self._lookup(fixed_frame, source_frame, _nanoseconds(source_time))
            then, stamp = self._lookup(target_frame, fixed_frame, _nanoseconds(target_time))
        return _message(compose(then, first), stamp, target_frame, source_frame)

    def can_transform_core(
        self, target_frame: str, source_frame: str, time: Time
    ) -> tuple[bool, str]:
        """Return whether the lookup would succeed now, and if not why."""
        if target_frame == source_frame:
            return True, ""
        frames = {"target_frame": target_frame, "source_frame": source_frame}
        return self._can(frames, (target_frame, source_frame, time))

    def can_transform_full_core(
        self, target_frame, target_time, source_frame, source_time, fixed_frame
    ) -> tuple[bool, str]:
        """Return whether the full lookup would succeed now, and if not why."""
        frames = {"target_frame": target_frame, "source_frame": source_frame}
        frames["fixed_frame"] = fixed_frame
        then = (target_frame, fixed_frame, target_time)
        return self._can(frames, then, (fixed_frame, source_frame, source_time))

    def get_latest_common_time(self, target_frame: str, source_frame: str) -> Time:
        """Return the newest time at which every moving link between two frames is known."""
        from rclpy.time import Time

        with self._lock:
            self._check("get_latest_common_time", target_frame)
            self._check("get_latest_common_time", source_frame)
            return Time(nanoseconds=self._latest_common_time(target_frame, source_frame))

    def all_frames_as_string(self) -> str:
        """Return one line for each frame that has been a child."""
        with self._lock:
            return "".join(
                f"Frame {name} exists with parent {cache.parent or 'NO_PARENT'}.\n"
                for name, cache in self._caches.items()
                if cache is not None
            )

    def all_frames_as_yaml(self) -> str:
        """Return parents, rates and times of all frames as YAML."""
        with self._lock:
            if not self._caches:
                return "[]"
            lines = []
            for name, cache in self._caches.items():
                if cache is None or cache.parent is None:
                    continue
                age = cache.latest - cache.oldest
                lines.append(
                    f"{name}: \n"
                    f"  parent: '{cache.parent}'\n"
                    f"  broadcaster: '{self._authorities[name]}'\n"
                    f"  rate: {len(cache.stamps) * 1e9 / max(age, 100_000):.3f}\n"
                    f"  most_recent_transform: {seconds(cache.latest)}\n"
                    f"  oldest_transform: {seconds(cache.oldest)}\n"
                    f"  buffer_length: {age / 1e9:.3f}\n"
                )
            return "".join(lines)

    def _frameExists(self, frame_id: str) -> bool:
        return frame_id in self._caches

    def _getFrameStrings(self) -> list[str]:
        with self._lock:
            return list(self._caches)

    def _insert(self, message: TransformStamped, authority: str, *, static: bool) -> None:
        parent = message.header.frame_id.removeprefix("/")
        child = message.child_frame_id.removeprefix("/")
        stamp = _nanoseconds(message.header.stamp)
        move, turn = message.transform.translation, message.transform.rotation
        values = (move.x, move.y, move.z, turn.x, turn.y, turn.z, turn.w)
        by = f'from authority "{authority}"'
        problems = []
        if child == parent:
            why = f'with frame_id and  child_frame_id "{child}" because they are the same'
            problems.append(f"TF_SELF_TRANSFORM: Ignoring transform {by} {why}")
        if not child:
            why = "because child_frame_id not set "
            problems.append(f"TF_NO_CHILD_FRAME_ID: Ignoring transform {by} {why}")
        if not parent:
            why = f'with child_frame_id "{child}"  {by} because frame_id not set'
            problems.append(f"TF_NO_FRAME_ID: Ignoring transform {why}")
        try:
            rigid = canonical(values)
        except ValueError:
            numbers = "({:f} {:f} {:f}) ({:f} {:f} {:f} {:f})".format(*values)
            why = f"because of a nan value in the transform {numbers}"
            problems.append(
                f'TF_NAN_INPUT: Ignoring transform for child_frame_id "{child}" {by} {why}'
            )
        if not problems:
            with self._lock:
                cache = self._caches.get(child)
                if cache is None or isinstance(cache, StaticCache) != static:
                    kind = StaticCache if static else TimeCache
                    cache = self._caches[child] = kind(self._span)
                self._caches.setdefault(parent, None)
                self._authorities[child] = authority
                if not cache.insert(stamp, (parent, rigid)):
                    problems.append(
                        "TF_OLD_DATA ignoring data from the past for frame "
                        f"{child} at time {seconds(stamp)} according to authority {authority}"
                    )
        sys.stderr.write("".join(f"{problem}\n" for problem in problems))

    def _can(self, frames: dict[str, str], *legs: tuple[str, str, Time]) -> tuple[bool, str]:
        with self._lock:
            for role, frame in frames.items():
                why = ""
                if not frame:
                    why = "in tf2 frame_ids cannot be empty"
                elif frame.startswith("/"):
                    why = "in tf2 frame_ids cannot start with a '/'"
                elif frame not in self._caches:
                    why = "frame does not exist"
                if why:
                    argument = f"canTransform argument {role}"
                    return False, f'Invalid frame ID "{frame}" passed to {argument} - {why}'
            try:
                for target, source, time in legs:
                    self._lookup(target, source, _nanoseconds(time))
            except TransformException as error:
                return False, str(error)
            return True, ""

    def _check(self, argument: str, frame: str) -> None:
        if not frame or frame.startswith("/"):
            why = "start with a '/'" if frame else "be empty"
            raise InvalidArgumentException(
                f'Invalid argument "{frame}" passed to {argument} - in tf2 frame_ids cannot {why}'
            )
        if frame not in self._caches:
            raise LookupException(f'"{frame}" passed to {argument} does not exist. ')

    def _lookup(self, target: str, source: str, time: int) -> tuple[Rigid, int]:
        with self._lock:
            if target == source:
                cache = self._caches.get(target)
                return IDENTITY, cache.latest if cache is not None and time == 0 else time
            self._check("lookupTransform argument target_frame", target)
            self._check("lookupTransform argument source_frame", source)
            return self._walk(target, source, time)

    def _walk(self, target: str, source: str, time: int) -> tuple[Rigid, int]:
        """Go up from the source, then from the target to where the first way ended."""
        if time == 0:
            time = self._latest_common_time(target, source)
        top, up, missing = self._climb(source, (target,), time)
        if top == target:
            return up, time
        end, down, gap = self._climb(target, (top, source), time)
        if end == source:
            return inverse(down), time
        if end == top:
            return compose(inverse(down), up), time
        text = missing if gap is None else gap
        if text is None:
            raise _unconnected(target, source)
        between = f", when looking up transform from frame [{source}] to frame [{target}]"
        raise ExtrapolationException(text + between)

    def _climb(
        self, frame: str, goals: tuple[str, ...], time: int
    ) -> tuple[str, Rigid, str | None]:
        """Go up to a goal, the root, or where nothing is known of that time.

        Returns:
            The frame reached, the start in that frame, and the text of what is missing, if any.
        """
        rigid = IDENTITY
        for _ in range(_MAX_DEPTH):
            cache = self._caches[frame]
            if frame in goals or cache is None:
                return frame, rigid, None
            sample = cache.find(time)
            if isinstance(sample, str):
                return frame, rigid, sample
            frame, rigid = sample[0], compose(sample[1], rigid)
        raise self._loop()

    def _latest_common_time(self, target: str, source: str) -> int:
        """Return the newest time common to the links between two frames; 0 if all are static."""
        if target == source:
            cache = self._caches[source]
            return 0 if cache is None else cache.latest
        up, down = self._links(source), self._links(target)
        steps = {frame: index for index, (_, frame) in enumerate(up)}
        for index, (_, frame) in enumerate(down):
            if frame in steps:
                between = up[: steps[frame] + 1] + down[: index + 1]
                return min((stamp for stamp, _ in between if stamp), default=0)
        raise _unconnected(target, source)

    def _links(self, frame: str) -> list[tuple[int, str]]:
        """Return the frame and all above it, each with the latest time of the link to it."""
        links = [(0, frame)]
        while (cache := self._caches[frame]) is not None and cache.parent is not None:
            frame = cache.parent
            links.append((cache.latest, frame))
            if len(links) > _MAX_DEPTH:
                raise self._loop()
        return links

    def _loop(self) -> LookupException:
        frames = self.all_frames_as_string()
        return LookupException(f"The tf tree is invalid because it contains a loop.\n{frames}\n")


def _unconnected(target: str, source: str) -> ConnectivityException:
    return ConnectivityException(
        f"Could not find a connection between '{target}' and '{source}' because they are not "
        "part of the same tree.Tf has two or more unconnected trees."
    )


def _nanoseconds(time: Any) -> int:
    if hasattr(time, "nanosec"):
        return int(time.sec) * 1_000_000_000 + int(time.nanosec)
    if hasattr(time, "nanoseconds"):
        return int(time.nanoseconds)
    raise TypeError(f"time must have sec and nanosec, or nanoseconds; {time!r} has neither")


def _message(rigid: Rigid, stamp: int, target: str, source: str) -> TransformStamped:
    message = TransformStamped()
    header, transform = message.header, message.transform
    header.stamp.sec, header.stamp.nanosec = divmod(stamp, 1_000_000_000)
    header.frame_id = target
    message.child_frame_id = source
    move, turn = transform.translation, transform.rotation
    move.x, move.y, move.z, turn.x, turn.y, turn.z, turn.w = canonical(rigid)
    return message
