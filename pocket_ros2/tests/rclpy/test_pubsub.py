# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishers, subscriptions and the graph they form."""

from __future__ import annotations

import threading
import time

import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.topic_endpoint_info import TopicEndpointTypeEnum
from rclpy.wait_for_message import wait_for_message
from std_msgs.msg import Int32, String

DEADLINE_S = 5.0


@pytest.fixture
def node(context):
    return Node("walker", namespace="/ns", context=context)


@pytest.fixture
def executor(context, node):
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    yield executor
    executor.shutdown()


def until(executor, predicate):
    deadline = time.monotonic() + DEADLINE_S
    while not predicate():
        assert time.monotonic() < deadline, "the deadline passed"
        executor.spin_once(timeout_sec=0.1)


def texts(messages):
    return [message.data for message in messages]


def test_messages_arrive_in_order(executor, node):
    heard = []
    node.create_subscription(String, "topic", heard.append, 10)
    publisher = node.create_publisher(String, "topic", 10)
    for number in range(10):
        publisher.publish(String(data=str(number)))
    until(executor, lambda: len(heard) == 10)

    assert texts(heard) == [str(number) for number in range(10)]
    assert publisher.topic_name == "/ns/topic"


def test_slow_subscriber_loses_the_oldest(executor, node):
    heard, everything = [], []
    node.create_subscription(Int32, "topic", heard.append, 3)
    node.create_subscription(
        Int32, "topic", everything.append, QoSProfile(history=HistoryPolicy.KEEP_ALL)
    )
    publisher = node.create_publisher(Int32, "topic", 50)
    for number in range(20):
        publisher.publish(Int32(data=number))
    until(executor, lambda: len(everything) == 20)

    assert texts(heard)[-3:] == [17, 18, 19]
    assert len(heard) <= 4


def test_latched_messages_reach_late_subscriptions(executor, node):
    qos = QoSProfile(depth=2, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    publisher = node.create_publisher(Int32, "topic", qos)
    for number in range(4):
        publisher.publish(Int32(data=number))
    heard = []
    node.create_subscription(Int32, "topic", heard.append, qos)
    until(executor, lambda: len(heard) == 2)

    assert texts(heard) == [2, 3]


def test_raw_bytes_go_out_and_come_in(executor, node):
    raw, info = [], []
    node.create_subscription(String, "topic", raw.append, 10, raw=True)
    node.create_subscription(String, "topic", lambda m, i: info.append((m, i)), 10)
    data = serialize_message(String(data="hello"))
    before = time.time_ns()
    node.create_publisher(String, "topic", 10).publish(data)
    until(executor, lambda: raw and info)

    assert raw == [data]
    message, details = info[0]
    assert message == deserialize_message(data, String)
    assert before <= details["source_timestamp"] <= details["received_timestamp"]
    assert details["publication_sequence_number"] == 1


def test_corrupted_message_is_dropped_with_one_line_and_the_next_arrives(executor, node, capfd):
    heard = []
    node.create_subscription(String, "topic", heard.append, 10)
    publisher = node.create_publisher(String, "topic", 10)
    for _ in range(3):
        publisher.publish(b"\x00\x01\x00\x00\xff\xff\xff\x7fx")
    publisher.publish(String(data="good"))
    until(executor, lambda: heard)

    assert texts(heard) == ["good"]
    assert capfd.readouterr().err.count("Dropping a message on topic '/ns/topic'") == 1


def test_wrong_types_are_refused(node):
    publisher = node.create_publisher(String, "topic", 10)
    with pytest.raises(TypeError, match="Expected String or bytes"):
        publisher.publish(Int32())
    with pytest.raises(TypeError):
        node.create_publisher(int, "topic", 10)
    with pytest.raises(TypeError, match="QoSProfile or int"):
        node.create_publisher(String, "topic", "10")
    with pytest.raises(RuntimeError, match="MessageInfo"):
        node.create_subscription(String, "topic", lambda: None, 10)


def test_what_is_outside_the_subset_says_so(node):
    with pytest.raises(NotImplementedError, match="event_callbacks"):
        node.create_publisher(String, "topic", 10, event_callbacks=object())
    with pytest.raises(NotImplementedError, match="content_filter_options"):
        node.create_subscription(String, "topic", print, 10, content_filter_options=object())


def test_incompatible_qos_is_told_on_both_sides_and_nothing_passes(executor, node, capfd):
    heard, control = [], []
    node.create_subscription(String, "topic", heard.append, 10)
    node.create_subscription(String, "topic", control.append, qos_profile_sensor_data)
    publisher = node.create_publisher(String, "topic", qos_profile_sensor_data)
    publisher.publish(String())
    until(executor, lambda: control)

    assert heard == []
    errors = capfd.readouterr().err
    assert (
        "New publisher discovered on topic '/ns/topic', offering incompatible QoS. No messages "
        "will be received from it. Last incompatible policy: RELIABILITY" in errors
    )
    assert (
        "New subscription discovered on topic '/ns/topic', requesting incompatible QoS. No "
        "messages will be sent to it. Last incompatible policy: RELIABILITY" in errors
    )
    assert publisher.get_subscription_count() == 1


def test_destroyed_subscription_is_silent(executor, node):
    heard, control = [], []
    subscription = node.create_subscription(String, "topic", heard.append, 10)
    node.create_subscription(String, "topic", control.append, 10)
    node.create_publisher(String, "topic", 10).publish(String())
    assert node.destroy_subscription(subscription)
    assert not node.destroy_subscription(subscription)
    until(executor, lambda: control)

    assert heard == []


def test_coroutine_callbacks_of_subscriptions_run(executor, node):
    heard = []

    async def callback(message):
        heard.append(message)

    node.create_subscription(String, "topic", callback, 10)
    node.create_publisher(String, "topic", 10).publish(String())

    until(executor, lambda: heard)


def test_threads_create_and_destroy_while_another_spins(executor, node):
    spinning = threading.Thread(target=executor.spin)
    spinning.start()
    heard = []
    publisher = node.create_publisher(String, "topic", 10)

    def churn(number):
        for _ in range(20):
            subscription = node.create_subscription(String, f"topic{number}", heard.append, 10)
            publisher.publish(String())
            node.destroy_subscription(subscription)

    threads = [threading.Thread(target=churn, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    executor.shutdown()
    spinning.join(DEADLINE_S)

    assert not spinning.is_alive()
    assert len(list(node.subscriptions)) == 0


def test_wait_for_message_takes_one_without_an_executor(node):
    publisher = node.create_publisher(String, "topic", 1)
    assert wait_for_message(String, node, "topic", time_to_wait=0.01) == (False, None)

    def publish():
        while not publisher.get_subscription_count():
            done.wait(0.01)
        publisher.publish(String(data="now"))

    done = threading.Event()
    thread = threading.Thread(target=publish)
    thread.start()
    found, message = wait_for_message(String, node, "topic", time_to_wait=DEADLINE_S)
    thread.join()

    assert found
    assert message.data == "now"


def test_graph_knows_nodes_topics_and_endpoints(context, node):
    other = Node("other", context=context, start_parameter_services=False)
    qos = QoSProfile(depth=7, reliability=ReliabilityPolicy.BEST_EFFORT)
    node.create_publisher(String, "topic", qos)
    other.create_subscription(String, "/ns/topic", print, 10)

    assert set(node.get_node_names_and_namespaces()) == {("walker", "/ns"), ("other", "/")}
    assert "/ns/walker" in node.get_fully_qualified_node_names()
    assert ("/ns/topic", ["std_msgs/msg/String"]) in node.get_topic_names_and_types()
    assert (node.count_publishers("topic"), node.count_subscribers("topic")) == (1, 1)
    assert ("/ns/topic", ["std_msgs/msg/String"]) in node.get_publisher_names_and_types_by_node(
        "walker", "/ns"
    )
    assert node.get_subscriber_names_and_types_by_node("other", "/") == [
        ("/ns/topic", ["std_msgs/msg/String"])
    ]
    (info,) = node.get_publishers_info_by_topic("topic")
    assert (info.node_name, info.node_namespace) == ("walker", "/ns")
    assert info.endpoint_type == TopicEndpointTypeEnum.PUBLISHER
    assert (info.qos_profile.depth, info.qos_profile.reliability) == (7, 2)
    assert str(info.topic_type_hash).startswith("RIHS01_")
    with pytest.raises(RuntimeError, match="nobody"):
        node.get_publisher_names_and_types_by_node("nobody", "/")


def test_wait_for_node_ends_when_it_appears(context, node):
    assert not node.wait_for_node("/late", timeout=0.01)
    timer = threading.Timer(0.05, lambda: Node("late", context=context))
    timer.start()
    assert node.wait_for_node("/late", timeout=DEADLINE_S)
    timer.join()
