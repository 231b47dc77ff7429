# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The buffer over the network, waiting, and the transform programs."""

from __future__ import annotations

import threading
import time

import pytest
import rclpy
import tf2_ros
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.task import Future
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from tf2_ros import (
    Buffer,
    StaticTransformBroadcaster,
    TransformBroadcaster,
    TransformListener,
)
from tf2_ros.executables import static_transform_publisher


def link(parent, child, sec=1, x=0.0):
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp.sec = sec
    message.transform.translation.x = x
    return message


@pytest.fixture
def node():
    with rclpy.init():
        node = rclpy.create_node("tf_test")
        yield node
        node.destroy_node()


def wait(node, buffer, *query):
    future = buffer.wait_for_transform_async(*query)
    rclpy.spin_until_future_complete(node, future, timeout_sec=10)
    assert future.done(), buffer.all_frames_as_string()
    return future.result()


def test_frames_sent_are_frames_found_moving_or_static(node):
    buffer = Buffer(node=node)
    listener = TransformListener(buffer, node)

    TransformBroadcaster(node).sendTransform(link("map", "base", x=2.0))
    static = StaticTransformBroadcaster(node)
    static.sendTransform([link("base", "arm", x=3.0), link("base", "camera", x=5.0)])

    assert wait(node, buffer, "map", "camera", Time()).transform.translation.x == 7.0
    assert wait(node, buffer, "arm", "camera", Time()).transform.translation.x == 2.0
    listener.unregister()


def test_a_late_listener_gets_every_static_frame_ever_sent(node):
    static = StaticTransformBroadcaster(node)
    static.sendTransform(link("base", "arm", x=1.0))
    static.sendTransform(link("base", "camera", x=2.0))
    static.sendTransform(link("base", "arm", x=4.0))

    buffer = Buffer()
    listener = TransformListener(buffer, node, static_only=True)

    assert wait(node, buffer, "arm", "camera", Time()).transform.translation.x == -2.0
    listener.unregister()


def test_waiting_in_the_thread_that_spins_sees_nothing_new(node):
    buffer = Buffer()
    listener = TransformListener(buffer, node)
    StaticTransformBroadcaster(node).sendTransform(link("base", "camera"))
    seen = Future()

    def look():
        seen.done() or seen.set_result(
            buffer.can_transform("base", "camera", Time(), Duration(seconds=0.3))
        )

    executor = SingleThreadedExecutor()
    node.create_timer(0.0, look)
    executor.add_node(node)
    executor.spin_once(timeout_sec=5)
    while not seen.done():
        executor.spin_once(timeout_sec=5)

    first = seen.result()
    later = wait(node, buffer, "base", "camera", Time())
    assert later.child_frame_id == "camera"
    assert first is False
    executor.shutdown()
    listener.unregister()


def test_a_listener_with_its_own_thread_lets_the_caller_block_and_ends_with_the_context():
    with rclpy.init():
        node = rclpy.create_node("tf_test")
        buffer = Buffer()
        listener = TransformListener(buffer, node, spin_thread=True)
        StaticTransformBroadcaster(node).sendTransform(link("base", "camera", x=1.0))

        found = buffer.lookup_transform("base", "camera", Time(), Duration(seconds=10))

    assert found.transform.translation.x == 1.0
    listener.dedicated_listener_thread.join(10)
    assert not listener.dedicated_listener_thread.is_alive()


def test_a_jump_back_in_time_clears_the_buffer():
    with rclpy.init():
        simulated = Parameter("use_sim_time", value=True)
        node = rclpy.create_node("tf_test", parameter_overrides=[simulated])
        buffer = Buffer(node=node)
        clock = node.create_publisher(Clock, "/clock", 10)

        def show(sec):
            message = Clock()
            message.clock.sec = sec
            deadline = time.monotonic() + 10
            while node.get_clock().now().nanoseconds != sec * 10**9:
                clock.publish(message)
                rclpy.spin_once(node, timeout_sec=0.5)
                assert time.monotonic() < deadline

        show(10)
        buffer.set_transform(link("a", "b", sec=10), "test")
        show(11)
        assert buffer.can_transform("a", "b", Time())
        show(5)
        assert not buffer.can_transform("a", "b", Time())


def test_new_data_ends_the_wait_at_once_and_not_after_the_timeout():
    buffer = Buffer()
    timer = threading.Timer(0.05, buffer.set_transform, (link("a", "b"), "test"))
    start = time.monotonic()
    timer.start()

    assert buffer.can_transform("a", "b", Time(), Duration(seconds=30))

    assert time.monotonic() - start < 10
    timer.join()


def test_a_wait_in_vain_raises_what_is_missing_after_the_timeout():
    buffer = Buffer()
    start = time.monotonic()

    with pytest.raises(tf2_ros.LookupException, match='"a" passed to lookupTransform'):
        buffer.lookup_transform("a", "b", Time(), Duration(seconds=0.1))

    assert time.monotonic() - start >= 0.1
    found, why = buffer.can_transform("a", "b", Time(), return_debug_tuple=True)
    assert not found
    assert "frame does not exist" in why


def test_a_coroutine_resumes_with_the_transform():
    buffer = Buffer()
    waiting = buffer.lookup_transform_async("a", "b", Time(seconds=1))
    waiting.send(None)

    buffer.set_transform(link("a", "b", x=4.0), "test")

    with pytest.raises(StopIteration) as done:
        waiting.send(None)
    assert done.value.value.transform.translation.x == 4.0


def test_the_buffer_answers_with_all_its_frames(node):
    from tf2_msgs.srv import FrameGraph

    buffer = Buffer(node=node)
    buffer.set_transform(link("a", "b"), "someone")
    client = node.create_client(FrameGraph, "tf2_frames")
    assert client.wait_for_service(timeout_sec=10)

    future = client.call_async(FrameGraph.Request())
    rclpy.spin_until_future_complete(node, future, timeout_sec=10)

    assert "parent: 'a'" in future.result().frame_yaml


def test_what_is_outside_of_the_subset_says_so():
    with pytest.raises(NotImplementedError, match=r"tf2_ros\.BufferClient"):
        _ = tf2_ros.BufferClient
    with pytest.raises(AttributeError, match="Nonsense"):
        _ = tf2_ros.Nonsense


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--x 1 --yaw 3.141592653589793 --frame-id a --child-frame-id b", (1, 0, 0, 1, 0)),
        ("--qw 0 --qx 1 --frame-id a --child-frame-id b", (0, 1, 0, 0, 0)),
        ("1 2 3 3.141592653589793 0 0 a b", (1, 0, 0, 1, 0)),
        ("1 2 3 0 0 0 1 a b", (1, 0, 0, 0, 1)),
        ("--frame-id a --child-frame-id b", (0, 0, 0, 0, 1)),
    ],
)
def test_static_transform_publisher_understands_both_forms(words, expected):
    message = static_transform_publisher.parse(words.split())

    turn = message.transform.rotation
    seen = (message.transform.translation.x, turn.x, turn.y, turn.z, turn.w)
    assert seen == pytest.approx(expected, abs=1e-12)
    assert (message.header.frame_id, message.child_frame_id) == ("a", "b")


@pytest.mark.parametrize(
    "words",
    [
        "--frame-id a",
        "--frame-id a --child-frame-id a",
        "--yaw 1 --qx 1 --frame-id a --child-frame-id b",
        "--x far --frame-id a --child-frame-id b",
    ],
)
def test_static_transform_publisher_refuses_nonsense(words, capsys):
    with pytest.raises(SystemExit) as stop:
        static_transform_publisher.parse(words.split())
    assert stop.value.code == 2
