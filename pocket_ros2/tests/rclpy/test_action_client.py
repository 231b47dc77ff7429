# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import threading
import time

import pytest
import rclpy
from action_msgs.msg import GoalStatus
from rclpy.action import (
    ActionClient,
    ActionServer,
    CancelResponse,
    GoalResponse,
    get_action_client_names_and_types_by_node,
    get_action_names_and_types,
    get_action_server_names_and_types_by_node,
)
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from test_msgs.action import Fibonacci
from unique_identifier_msgs.msg import UUID

DEADLINE_S = 10.0


@pytest.fixture
def executor():
    context = rclpy.Context()
    rclpy.init(context=context)
    executor = SingleThreadedExecutor(context=context)
    yield executor
    executor.shutdown()
    rclpy.try_shutdown(context=context)


@pytest.fixture
def node(executor):
    node = rclpy.create_node("walker", context=executor.context)
    executor.add_node(node)
    return node


@pytest.fixture
def client(node):
    return ActionClient(node, Fibonacci, "fibonacci")


class FakeServer:
    """An action server made of plain services and a publisher."""

    def __init__(self, node):
        impl = Fibonacci.Impl
        stem = "fibonacci/_action/"
        node.create_service(impl.SendGoalService, f"{stem}send_goal", self.on_goal)
        node.create_service(impl.CancelGoalService, f"{stem}cancel_goal", lambda req, resp: resp)
        node.create_service(impl.GetResultService, f"{stem}get_result", lambda req, resp: resp)
        self.feedback = node.create_publisher(impl.FeedbackMessage, f"{stem}feedback", 10)
        self.status = node.create_publisher(impl.GoalStatusMessage, f"{stem}status", 10)
        self.requests = []

    def on_goal(self, request, response):
        self.requests.append(request)
        response.accepted = True
        return response

    def publish_feedback(self, goal_id):
        self.feedback.publish(Fibonacci.Impl.FeedbackMessage(goal_id=goal_id))


def until(executor, predicate):
    deadline = time.monotonic() + DEADLINE_S
    while not predicate():
        assert time.monotonic() < deadline, "the deadline passed"
        executor.spin_once(timeout_sec=0.1)


def wait(executor, future):
    until(executor, future.done)
    return future.result()


@pytest.fixture
def spinning(executor, node):
    """Spin in another thread, as programs that block on actions do."""

    def spin():
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin)
    thread.start()
    yield
    rclpy.shutdown(context=executor.context)
    thread.join(DEADLINE_S)
    assert not thread.is_alive()


def succeed(goal_handle):
    goal_handle.succeed()
    return Fibonacci.Result(sequence=[goal_handle.request.order])


def test_goal_of_another_type_raises_type_error(client):
    with pytest.raises(TypeError, match=r"Fibonacci\.Goal"):
        client.send_goal_async("12")
    with pytest.raises(TypeError, match=r"Fibonacci\.Goal"):
        client.send_goal(Fibonacci.Result())


def test_without_server_waiting_ends_at_the_timeout(client):
    assert not client.server_is_ready()
    assert not client.wait_for_server(timeout_sec=0.0)
    assert not client.wait_for_server(timeout_sec=0.05)


def test_goal_sent_to_nobody_stays_open(executor, client):
    future = client.send_goal_async(Fibonacci.Goal())
    executor.spin_until_future_complete(future, timeout_sec=0.2)

    assert not future.done()


def test_server_is_ready_only_when_complete(executor, node, client):
    impl = Fibonacci.Impl
    node.create_service(impl.SendGoalService, "fibonacci/_action/send_goal", lambda q, r: r)
    assert not client.wait_for_server(timeout_sec=0.05)

    FakeServer(node)

    assert client.wait_for_server(DEADLINE_S)


def test_waiting_for_a_server_ends_at_shutdown(executor, client):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(client.wait_for_server()))
    thread.start()
    rclpy.shutdown(context=executor.context)
    thread.join(DEADLINE_S)

    assert answers == [False]


def test_request_carries_the_given_id_and_goals_get_different_ids(executor, node, client):
    server = FakeServer(node)
    assert client.wait_for_server(DEADLINE_S)
    uuid = UUID(uuid=list(range(16)))

    handle = wait(executor, client.send_goal_async(Fibonacci.Goal(order=2), goal_uuid=uuid))
    futures = [client.send_goal_async(Fibonacci.Goal()) for _ in range(3)]
    for future in futures:
        wait(executor, future)

    assert handle.goal_id == server.requests[0].goal_id == uuid
    assert server.requests[0].goal.order == 2
    assert len({bytes(request.goal_id.uuid) for request in server.requests}) == 4


def test_feedback_is_delivered_for_own_goals_only(executor, node, client):
    server = FakeServer(node)
    assert client.wait_for_server(DEADLINE_S)
    mine, other, got = UUID(uuid=[1] * 16), UUID(uuid=[2] * 16), []
    server.publish_feedback(mine)
    until(executor, lambda: node.count_subscribers("fibonacci/_action/feedback"))

    future = client.send_goal_async(Fibonacci.Goal(), feedback_callback=got.append, goal_uuid=mine)
    wait(executor, future)
    got.clear()
    for goal_id in (other, mine, other, mine):
        server.publish_feedback(goal_id)
    until(executor, lambda: len(got) == 2)

    assert [message.goal_id for message in got] == [mine, mine]


def test_feedback_ends_with_the_result(executor, node, client):
    server, got = FakeServer(node), []
    goal_id, other_id = UUID(uuid=[1] * 16), UUID(uuid=[2] * 16)
    for uuid in (goal_id, other_id):
        future = client.send_goal_async(Fibonacci.Goal(), got.append, goal_uuid=uuid)
        until(executor, future.done)
        if uuid is goal_id:
            result = future.result().get_result_async()
            until(executor, result.done)

    server.publish_feedback(goal_id)
    server.publish_feedback(other_id)
    until(executor, lambda: got)

    assert [message.goal_id for message in got] == [other_id]


def test_status_of_a_goal_handle_follows_the_server(executor, node, client):
    ActionServer(node, Fibonacci, "fibonacci", succeed)
    assert client.wait_for_server(DEADLINE_S)

    handle = wait(executor, client.send_goal_async(Fibonacci.Goal()))
    until(executor, lambda: handle.status == GoalStatus.STATUS_SUCCEEDED)

    assert "accepted=True, status=4" in repr(handle)


def test_blocking_calls_return_results_while_another_thread_spins(node, client, spinning):
    ActionServer(
        node,
        Fibonacci,
        "fibonacci",
        succeed,
        goal_callback=lambda goal: GoalResponse.ACCEPT if goal.order else GoalResponse.REJECT,
        cancel_callback=lambda handle: CancelResponse.ACCEPT,
        handle_accepted_callback=lambda handle: (
            None if handle.request.order == 99 else (handle.execute())
        ),
    )
    assert client.wait_for_server(DEADLINE_S)

    done = client.send_goal(Fibonacci.Goal(order=8))
    rejected = client.send_goal(Fibonacci.Goal(order=0))
    accepted = threading.Event()
    future = client.send_goal_async(Fibonacci.Goal(order=99))
    future.add_done_callback(lambda _: accepted.set())
    assert accepted.wait(DEADLINE_S)
    canceled = future.result().cancel_goal()

    assert list(done.result.sequence) == [8]
    assert rejected.status == GoalStatus.STATUS_UNKNOWN
    assert len(canceled.goals_canceling) == 1


def test_many_goals_of_one_client_get_their_own_results(executor, node, client):
    ActionServer(node, Fibonacci, "fibonacci", succeed)
    assert client.wait_for_server(DEADLINE_S)
    sent = [client.send_goal_async(Fibonacci.Goal(order=order)) for order in range(10)]
    results = [wait(executor, future).get_result_async() for future in sent]

    assert [list(wait(executor, r).result.sequence) for r in results] == [[i] for i in range(10)]


def test_actions_are_named_by_the_graph(executor, node, client):
    ActionServer(node, Fibonacci, "/ns/count", succeed)
    kind = ["test_msgs/action/Fibonacci"]
    expected = [("/fibonacci", kind), ("/ns/count", kind)]

    assert sorted(get_action_names_and_types(node)) == expected
    assert get_action_client_names_and_types_by_node(node, "walker", "/") == expected[:1]
    assert get_action_server_names_and_types_by_node(node, "walker", "/") == expected[1:]


def test_destroyed_client_leaves_the_graph(node, client):
    client.destroy()

    assert get_action_names_and_types(node) == []
    assert node.count_clients("fibonacci/_action/send_goal") == 0


def test_relative_names_follow_the_namespace_of_the_node(executor):
    node = rclpy.create_node("n", namespace="/arm", context=executor.context)
    ActionClient(node, Fibonacci, "pick")
    ActionClient(node, Fibonacci, "~/place")

    names = [name for name, _ in get_action_names_and_types(node)]

    assert sorted(names) == ["/arm/n/place", "/arm/pick"]
