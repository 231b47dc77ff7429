# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Putting messages together by their stamps."""

from __future__ import annotations

import pytest
import rclpy
from builtin_interfaces.msg import Time as TimeMsg
from message_filters import (
    ApproximateTimeSynchronizer,
    Cache,
    SimpleFilter,
    Subscriber,
    TimeSynchronizer,
)
from rclpy.task import Future
from rclpy.time import Time
from std_msgs.msg import Header, String


class Stamped:
    """A message with a header, as small as it gets."""

    def __init__(self, millis, label=""):
        self.header = Header(stamp=TimeMsg(sec=millis // 1000, nanosec=millis % 1000 * 10**6))
        self.label = label or millis


def inputs(count):
    return [SimpleFilter() for _ in range(count)]


def collect(source):
    seen = []
    source.registerCallback(lambda *messages: seen.append(tuple(m.label for m in messages)))
    return seen


def test_equal_stamps_meet_whatever_the_order_of_arrival():
    left, right = inputs(2)
    seen = collect(TimeSynchronizer([left, right], 10))

    for millis in (1, 2, 3):
        left.signalMessage(Stamped(millis))
    for millis in (3, 4, 1):
        right.signalMessage(Stamped(millis))

    assert seen == [(3, 3), (1, 1)]


def test_a_full_queue_drops_the_oldest_stamp():
    left, right = inputs(2)
    seen = collect(TimeSynchronizer([left, right], 2))

    for millis in (1, 2, 3):
        left.signalMessage(Stamped(millis))
    for millis in (1, 2, 3):
        right.signalMessage(Stamped(millis))

    assert seen == [(2, 2), (3, 3)]


def test_extra_arguments_follow_the_messages():
    (source,) = inputs(1)
    seen = []
    TimeSynchronizer([source], 1).registerCallback(lambda *args: seen.append(args[1:]), "a", "b")

    source.signalMessage(Stamped(1))

    assert seen == [("a", "b")]


def test_the_nearest_message_within_the_slop_is_chosen_and_used_once():
    left, right = inputs(2)
    seen = collect(ApproximateTimeSynchronizer([left, right], 10, 0.05))

    for millis in (100, 130, 300):
        left.signalMessage(Stamped(millis))
    right.signalMessage(Stamped(128))
    right.signalMessage(Stamped(129))

    assert seen == [(130, 128), (100, 129)]


@pytest.mark.parametrize(("gap", "expected"), [(49, 1), (50, 0), (51, 0)])
def test_the_slop_itself_is_too_far(gap, expected):
    left, right = inputs(2)
    seen = collect(ApproximateTimeSynchronizer([left, right], 10, 0.05))

    left.signalMessage(Stamped(1000))
    right.signalMessage(Stamped(1000 + gap))

    assert len(seen) == expected


def test_three_inputs_must_lie_within_the_slop_as_a_whole():
    a, b, c = inputs(3)
    seen = collect(ApproximateTimeSynchronizer([a, b, c], 10, 0.05))

    a.signalMessage(Stamped(1000))
    c.signalMessage(Stamped(1080))
    b.signalMessage(Stamped(1040))
    assert seen == []
    c.signalMessage(Stamped(1045))

    assert seen == [(1000, 1040, 1045)]


def test_a_message_without_header_is_refused_unless_allowed(capfd):
    left, right = inputs(2)
    refused = []
    ApproximateTimeSynchronizer([left, right], 10, 1.0).registerCallback(
        lambda *pair: refused.append(pair)
    )
    allowed = []
    ApproximateTimeSynchronizer([left, right], 10, 1.0, allow_headerless=True).registerCallback(
        lambda *pair: allowed.append(pair)
    )

    left.signalMessage(String(data="a"))
    right.signalMessage(String(data="b"))

    assert refused == []
    assert [(a.data, b.data) for a, b in allowed] == [("a", "b")]
    assert "'allow_headerless' is disabled" in capfd.readouterr().err


def test_arrival_time_may_replace_the_stamps():
    left, right = inputs(2)
    seen = collect(ApproximateTimeSynchronizer([left, right], 10, 10.0, sync_arrival_time=True))

    left.signalMessage(Stamped(1))
    right.signalMessage(Stamped(999_000))

    assert seen == [(1, 999_000)]


def at(millis):
    return Time.from_msg(Stamped(millis).header.stamp)


def test_a_cache_keeps_the_last_messages_and_finds_them_by_time():
    (source,) = inputs(1)
    cache = Cache(source, 3)
    seen = collect(cache)

    for millis in (1, 2, 3, 4):
        source.signalMessage(Stamped(millis))

    assert seen == [(1,), (2,), (3,), (4,)]
    assert [m.label for m in cache.getInterval(at(0), at(3))] == [2, 3]
    assert cache.getElemAfterTime(at(3)).label == 3
    assert cache.getElemBeforeTime(at(1)) is None
    assert cache.getElemBeforeTime(at(99)).label == 4
    assert (cache.getOldestTime(), cache.getLastestTime()) == (at(2), at(4))
    assert cache.getLast().label == 4


def test_subscribers_feed_a_synchronizer():
    with rclpy.init():
        node = rclpy.create_node("filters")
        sources = [Subscriber(node, Header, name) for name in ("left", "right")]
        future = Future()
        sync = ApproximateTimeSynchronizer(sources, 5, 0.1, allow_headerless=True)
        sync.registerCallback(
            lambda *pair: future.done() or future.set_result([m.frame_id for m in pair])
        )
        publishers = [node.create_publisher(Header, name, 10) for name in ("left", "right")]
        for publisher in publishers:
            publisher.publish(Header(frame_id=publisher.topic_name))

        rclpy.spin_until_future_complete(node, future, timeout_sec=10)

        assert future.result() == ["/left", "/right"]
        assert [source.getTopic() for source in sources] == ["left", "right"]
