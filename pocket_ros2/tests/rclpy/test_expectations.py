# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Names, texts and defaults that tests and programs written for rclpy rely on."""

from __future__ import annotations

import warnings
from unittest.mock import Mock

import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile
from rclpy.subscription import Subscription
from rclpy.task import Future
from rclpy.topic_endpoint_info import TopicEndpointInfo, TopicEndpointTypeEnum
from rclpy.topic_or_service_is_hidden import topic_or_service_is_hidden
from std_msgs.msg import String
from std_srvs.srv import Trigger


@pytest.fixture
def node():
    with Context() as context, Node("node", context=context) as node:
        yield node


def test_a_handle_can_be_entered_until_its_entity_is_destroyed(node):
    entities = {
        node.create_publisher(String, "t", 1): node.destroy_publisher,
        node.create_subscription(String, "t", lambda message: None, 1): node.destroy_subscription,
        node.create_client(Trigger, "s"): node.destroy_client,
        node.create_service(Trigger, "s", lambda request, response: response): (
            node.destroy_service
        ),
        node.create_timer(1.0, None): node.destroy_timer,
        node.create_guard_condition(lambda: None): node.destroy_guard_condition,
    }
    for entity, destroy in entities.items():
        with entity.handle:
            pass
        assert destroy(entity)
        with pytest.raises(_rclpy.InvalidHandle):
            _ = entity.handle
    with node.handle:
        node.destroy_node()
    with pytest.raises(_rclpy.InvalidHandle):
        _ = node.handle


def test_destroying_a_node_leaves_its_executor_to_forget_it(node):
    executor = Mock()
    node.executor = executor
    node.destroy_node()
    executor.remove_node.assert_not_called()

    with SingleThreadedExecutor(context=node.context) as real:
        for name in ("first", "second"):
            latest = Node(name, context=node.context)
            real.add_node(latest)
            assert real.get_nodes() == [latest]
            latest.destroy_node()
            real.spin_once(timeout_sec=0)


def test_graph_queries_say_that_a_name_is_invalid(node):
    for query in (
        node.count_publishers,
        node.count_subscribers,
        node.count_clients,
        node.count_services,
        node.get_publishers_info_by_topic,
        node.get_subscriptions_info_by_topic,
    ):
        with pytest.raises(ValueError, match="is invalid"):
            query("42")
        with pytest.raises(TypeError):
            query(1)


def test_depth_zero_is_warned_of_and_other_depths_are_checked(node):
    with pytest.warns(UserWarning, match="A zero depth with KEEP_LAST doesn't make sense"):
        profile = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=0)
    profile.depth = 1
    with pytest.warns(UserWarning, match="KEEP_LAST"):
        profile.depth = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        QoSProfile(history=HistoryPolicy.KEEP_ALL)
    with pytest.raises(ValueError, match="must be greater than or equal to zero"):
        node.create_publisher(String, "t", -1)
    with pytest.raises(TypeError, match="Expected QoSProfile or int"):
        node.create_subscription(String, "t", lambda message: None, "ten")


def test_a_subscription_tells_what_its_callback_takes(node):
    one = node.create_subscription(String, "t", lambda message: None, 1)
    two = node.create_subscription(String, "t", lambda message, info: None, 1)
    assert one._callback_type is Subscription.CallbackType.MessageOnly
    assert two._callback_type is Subscription.CallbackType.WithMessageInfo


def test_arguments_are_refused_with_the_errors_of_rclpy():
    with pytest.raises(_rclpy.UnknownROSArgsError, match=r"\['--odd'\]"):
        rclpy.init(context=Context(), args=["program", "--ros-args", "--odd"])
    with pytest.raises(
        _rclpy.RCLInvalidROSArgsError, match=r"Failed to parse ROS arguments:.*no-rule"
    ):
        rclpy.init(context=Context(), args=["program", "--ros-args", "-r", "no-rule"])
    with pytest.raises(UnicodeEncodeError):
        rclpy.init(context=Context(), args=["program", "caf\udce9"])


def test_endpoint_info_has_defaults_and_prints_them():
    info = TopicEndpointInfo(node_name="camera")
    assert info.endpoint_type is TopicEndpointTypeEnum.INVALID
    assert info != TopicEndpointInfo()
    info.node_name = ""
    assert info == TopicEndpointInfo()
    text = str(info).splitlines()
    assert {"Topic type hash: INVALID", "GID: ", "  History (Depth): UNKNOWN"} <= set(text)


@pytest.mark.parametrize(
    ("name", "hidden"),
    [("", False), ("/a/b_", False), ("_a", True), ("/a/_b/c", True), ("/_", True)],
)
def test_names_with_a_leading_underscore_anywhere_are_hidden(name, hidden):
    assert topic_or_service_is_hidden(name) is hidden


def test_spinning_again_and_again_for_one_future_adds_nothing_to_it(node):
    future = rclpy.Future()
    assert type(future) is Future
    with SingleThreadedExecutor(context=node.context) as executor:
        for _ in range(3):
            executor.spin_until_future_complete(future, timeout_sec=0)
    assert len(future._direct) + len(future._callbacks) == 1


def test_of_the_tasks_that_wait_the_newest_comes_first(node):
    order = []
    with SingleThreadedExecutor(context=node.context) as executor:
        inner = executor.create_task(lambda: order.append("inner"))

        async def wait_for_inner():
            order.append("outer")
            await inner
            order.append("resumed")

        outer = executor.create_task(wait_for_inner)
        for _ in range(3):
            executor.spin_once(timeout_sec=0)
    assert order == ["outer", "inner", "resumed"]
    assert outer.done()
