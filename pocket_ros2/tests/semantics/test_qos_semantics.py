# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The rules of DDS hold on a transport that has none, and every standard topic has its profile."""

from __future__ import annotations

import time

import pytest
import rclpy
from rclpy.action import ActionServer
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String
from test_msgs.action import Fibonacci
from tf2_ros import Buffer, StaticTransformBroadcaster, TransformBroadcaster, TransformListener

DEADLINE_S = 10.0
BEST_EFFORT = ReliabilityPolicy.BEST_EFFORT
LATCHED = DurabilityPolicy.TRANSIENT_LOCAL
MANUAL = LivelinessPolicy.MANUAL_BY_TOPIC
SECOND, MINUTE = Duration(seconds=1), Duration(seconds=60)


@pytest.fixture
def context():
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.try_shutdown(context=context)


@pytest.fixture
def executor(context):
    with SingleThreadedExecutor(context=context) as executor:
        yield executor


def until(executor, predicate):
    deadline = time.monotonic() + DEADLINE_S
    while not predicate():
        assert time.monotonic() < deadline, "the deadline passed"
        executor.spin_once(timeout_sec=0.1)


@pytest.mark.parametrize("publisher_first", [True, False])
@pytest.mark.parametrize(
    ("offered", "requested", "policy"),
    [
        ({"reliability": BEST_EFFORT}, {}, "RELIABILITY"),
        ({}, {"durability": LATCHED}, "DURABILITY"),
        ({}, {"deadline": SECOND}, "DEADLINE"),
        ({"deadline": MINUTE}, {"deadline": SECOND}, "DEADLINE"),
        ({}, {"liveliness": MANUAL}, "LIVELINESS"),
        (
            {"liveliness_lease_duration": MINUTE},
            {"liveliness_lease_duration": SECOND},
            "LIVELINESS",
        ),
    ],
)
def test_incompatible_ends_exchange_nothing_and_both_are_warned(
    context, executor, capfd, publisher_first, offered, requested, policy
):
    node = rclpy.create_node("walker", context=context)
    executor.add_node(node)
    heard, control = [], []
    qos = QoSProfile(depth=10, **offered)

    def subscribe():
        wanted = QoSProfile(depth=10, **requested)
        node.create_subscription(String, "topic", heard.append, wanted)
        node.create_subscription(String, "topic", control.append, qos)

    if not publisher_first:
        subscribe()
    publisher = node.create_publisher(String, "topic", qos)
    if publisher_first:
        subscribe()
    until(executor, lambda: publisher.get_subscription_count() == 1)
    publisher.publish(String())
    until(executor, lambda: control)
    executor.spin_once(timeout_sec=0)

    assert heard == []
    warnings = capfd.readouterr().err
    for words in (
        "offering incompatible QoS. No messages will be received from it",
        "requesting incompatible QoS. No messages will be sent to it",
    ):
        assert f"{words}. Last incompatible policy: {policy}" in warnings


@pytest.mark.parametrize(
    ("offered", "requested"),
    [
        ({}, {"reliability": BEST_EFFORT}),
        ({"durability": LATCHED}, {}),
        ({"deadline": SECOND}, {"deadline": MINUTE}),
        ({"liveliness": MANUAL}, {}),
        ({"lifespan": SECOND}, {"lifespan": MINUTE}),
    ],
)
def test_offering_more_than_requested_is_fine_but_a_volatile_end_gets_nothing_old(
    context, executor, offered, requested
):
    node = rclpy.create_node("walker", context=context)
    executor.add_node(node)
    heard = []
    publisher = node.create_publisher(String, "topic", QoSProfile(depth=10, **offered))
    publisher.publish(String(data="old"))
    node.create_subscription(String, "topic", heard.append, QoSProfile(depth=10, **requested))
    publisher.publish(String(data="new"))
    until(executor, lambda: heard)

    assert [message.data for message in heard] == ["new"]


def test_standard_topics_and_services_have_the_profiles_of_ros(context):
    node = rclpy.create_node(
        "walker",
        context=context,
        parameter_overrides=[Parameter("use_sim_time", value=True)],
    )
    buffer = Buffer(node=node)
    held = [TransformListener(buffer, node), TransformBroadcaster(node)]
    held += [StaticTransformBroadcaster(node), ActionServer(node, Fibonacci, "act", print)]

    def profile(qos):
        reliable = qos.reliability == ReliabilityPolicy.RELIABLE
        return qos.depth, reliable, qos.durability == LATCHED

    def published(topic):
        (info,) = node.get_publishers_info_by_topic(topic)
        return profile(info.qos_profile)

    def subscribed(topic):
        (info,) = node.get_subscriptions_info_by_topic(topic)
        return profile(info.qos_profile)

    assert subscribed("/clock") == (1, False, False)
    assert subscribed("/tf") == published("/tf") == (100, True, False)
    assert subscribed("/tf_static") == (100, True, True)
    assert published("/tf_static") == (1, True, True)
    assert published("/rosout") == (1000, True, True)
    assert node.get_publishers_info_by_topic("/rosout")[0].qos_profile.lifespan == Duration(
        seconds=10
    )
    assert published("/parameter_events") == (1000, True, False)
    assert published("act/_action/status") == (1, True, True)
    assert published("act/_action/feedback") == (10, True, False)
    depths = {e.topic: e.qos.depth for e in context._session.graph.endpoints("SS")}
    assert depths["/walker/get_parameters"] == 1000
    assert depths["/act/_action/send_goal"] == 10


def test_a_depth_that_is_a_bool_is_a_number_on_the_wire(context):
    node = rclpy.create_node("walker", context=context)
    node.create_publisher(String, "topic", True)

    (info,) = node.get_publishers_info_by_topic("topic")
    assert info.qos_profile.depth == 1
