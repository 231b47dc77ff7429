# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Filters for messages of several topics that belong together."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.clock import ROSClock
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.time import Time


class SimpleFilter:
    """Hands its output to everyone who registered."""

    def __init__(self) -> None:
        self.callbacks: dict[int, tuple[Callable[..., Any], tuple[Any, ...]]] = {}

    def registerCallback(self, cb: Callable[..., Any], *args: Any) -> int:
        """Call cb with every output, followed by args; return the number of the connection."""
        connection = len(self.callbacks)
        self.callbacks[connection] = (cb, args)
        return connection

    def signalMessage(self, *msg: Any) -> None:
        for callback, args in list(self.callbacks.values()):
            callback(*msg, *args)


class Subscriber(SimpleFilter):
    """A subscription as a filter: `Subscriber(node, msg_type, topic, **subscription options)`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.node, _, self.topic = args[:3]
        kwargs.setdefault("qos_profile", 10)
        self.sub = self.node.create_subscription(*args[1:], self.callback, **kwargs)

    def callback(self, msg: Any) -> None:
        self.signalMessage(msg)

    def getTopic(self) -> str:
        return self.topic

    def __getattr__(self, key: str) -> Any:
        if key == "sub":
            raise AttributeError(key)
        return getattr(self.sub, key)


class Cache(SimpleFilter):
    """Keeps the last messages and finds them by time, in order of arrival."""

    def __init__(self, f: SimpleFilter, cache_size: int = 1, allow_headerless: bool = False):
        super().__init__()
        self.cache_size = cache_size
        self.allow_headerless = allow_headerless
        self.cache_msgs: list[Any] = []
        self.cache_times: list[Time] = []
        self.connectInput(f)

    def connectInput(self, f: SimpleFilter) -> None:
        self.incoming_connection = f.registerCallback(self.add)

    def add(self, msg: Any) -> None:
        stamp = _stamp(msg, self.allow_headerless, "message_filters_cache")
        if stamp is None:
            return
        self.cache_times.append(stamp)
        self.cache_msgs.append(msg)
        if len(self.cache_msgs) > self.cache_size:
            del self.cache_msgs[0], self.cache_times[0]
        self.signalMessage(msg)

    def getInterval(self, from_stamp: Time, to_stamp: Time) -> list[Any]:
        """Return the messages with from_stamp <= time <= to_stamp."""
        assert from_stamp <= to_stamp
        return [msg for msg, time in self._items() if from_stamp <= time <= to_stamp]

    def getElemAfterTime(self, stamp: Time) -> Any:
        """Return the first message not older than stamp, or None."""
        return next((msg for msg, time in self._items() if time >= stamp), None)

    def getElemBeforeTime(self, stamp: Time) -> Any:
        """Return the last message not newer than stamp, or None."""
        return next((msg for msg, time in reversed(self._items()) if time <= stamp), None)

    def getLastestTime(self) -> Time | None:
        return self.cache_times[-1] if self.cache_times else None

    def getOldestTime(self) -> Time | None:
        return self.cache_times[0] if self.cache_times else None

    def getLast(self) -> Any:
        latest = self.getLastestTime()
        return None if latest is None else self.getElemAfterTime(latest)

    def _items(self) -> list[tuple[Any, Time]]:
        return list(zip(self.cache_msgs, self.cache_times, strict=True))


class TimeSynchronizer(SimpleFilter):
    """Puts together messages with exactly the same stamp, one of each input.

    Each input keeps at most `queue_size` messages that wait for their companions; the one with
    the oldest stamp is dropped first.
    """

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int) -> None:
        super().__init__()
        self.queue_size = queue_size
        self.lock = threading.Lock()
        self.connectInput(fs)

    def connectInput(self, fs: Sequence[SimpleFilter]) -> None:
        self.queues: list[dict[int, Any]] = [{} for _ in fs]
        self.input_connections = [
            f.registerCallback(self.add, queue, index)
            for index, (f, queue) in enumerate(zip(fs, self.queues, strict=True))
        ]

    def add(self, msg: Any, my_queue: dict[int, Any], my_queue_index: int | None = None) -> None:
        with self.lock:
            self._keep(Time.from_msg(msg.header.stamp), msg, my_queue)
            common = set(self.queues[0]).intersection(*self.queues[1:])
            for stamp in sorted(common):
                self._release([stamp] * len(self.queues))

    def _keep(self, stamp: Time, msg: Any, queue: dict[int, Any]) -> None:
        queue[stamp.nanoseconds] = msg
        while len(queue) > self.queue_size:
            del queue[min(queue)]

    def _release(self, stamps: Sequence[int]) -> None:
        pairs = list(zip(self.queues, stamps, strict=True))
        self.signalMessage(*(queue[stamp] for queue, stamp in pairs))
        for queue, stamp in pairs:
            del queue[stamp]


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """Puts together messages whose stamps lie within `slop` seconds, one of each input.

    A new message takes from each other input the candidates nearest to it; the first combination
    that lies within the slop as a whole is released.
    """

    def __init__(
        self, fs, queue_size: int, slop: float, allow_headerless=False, sync_arrival_time=False
    ) -> None:
        super().__init__(fs, queue_size)
        self.slop = Duration(seconds=slop)
        self.allow_headerless = allow_headerless
        self.sync_arrival_time = sync_arrival_time

    def add(self, msg: Any, my_queue: dict[int, Any], my_queue_index: int | None = None) -> None:
        if self.sync_arrival_time:
            arrival = ROSClock().now()
        else:
            arrival = _stamp(msg, self.allow_headerless, "message_filters_approx")
        if arrival is None:
            return
        now, slop = arrival.nanoseconds, self.slop.nanoseconds
        with self.lock:
            self._keep(arrival, msg, my_queue)
            candidates = []
            for index, queue in enumerate(self.queues):
                near = [now] if index == my_queue_index else list(queue)
                near = [stamp for stamp in near if abs(stamp - now) <= slop and stamp in queue]
                candidates.append(sorted(near, key=lambda stamp: abs(stamp - now)))
            for stamps in itertools.product(*candidates):
                if max(stamps) - min(stamps) < slop:
                    self._release(stamps)
                    break


def _stamp(msg: Any, allow_headerless: bool, logger: str) -> Time | None:
    """Return the stamp of a message, the present where it has none, None if that is forbidden."""
    stamp = getattr(getattr(msg, "header", None), "stamp", None)
    if stamp is not None:
        return stamp if hasattr(stamp, "nanoseconds") else Time.from_msg(stamp)
    if allow_headerless:
        return ROSClock().now()
    get_logger(logger).warning(
        "can not use message filters for messages without timestamp infomation when "
        "'allow_headerless' is disabled. auto assign ROSTIME to headerless messages once "
        "enabling constructor option of 'allow_headerless'."
    )
    return None
