# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Results of actions: how long they are kept, and who gives them."""

from __future__ import annotations

import inspect
import time

import pytest
import rclpy
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient, ActionServer
from rclpy.action.client import ClientGoalHandle
from rclpy.action.server import CancelResponse, ServerGoalHandle
from rclpy.executors import SingleThreadedExecutor
from test_msgs.action import Fibonacci

DEADLINE_S = 10.0


@pytest.fixture
def node():
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("walker", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    yield node
    executor.shutdown()
    rclpy.try_shutdown(context=context)


def until(node, predicate):
    deadline = time.monotonic() + DEADLINE_S
    while not predicate():
        assert time.monotonic() < deadline, "the deadline passed"
        node.executor.spin_once(timeout_sec=0.1)


def wait(node, future):
    until(node, future.done)
    return future.result()


def send(node, client):
    return wait(node, client.send_goal_async(Fibonacci.Goal(order=3)))


def test_results_are_kept_for_fifteen_minutes_unless_told_otherwise():
    parameters = inspect.signature(ActionServer).parameters

    assert parameters["result_timeout"].default == 900


@pytest.mark.parametrize(
    ("outcome", "status"),
    [("succeed", GoalStatus.STATUS_SUCCEEDED), ("abort", GoalStatus.STATUS_ABORTED)],
)
@pytest.mark.parametrize(("start", "sequence"), [("execute", []), ("executing", [4, 5])])
def test_server_without_execute_callback_gives_results_through_the_handle(
    node, outcome, status, start, sequence
):
    kept = []

    def accepted(goal_handle):
        getattr(goal_handle, start)()
        kept.append(goal_handle)

    ActionServer(node, Fibonacci, "fibonacci", handle_accepted_callback=accepted)
    handle = send(node, ActionClient(node, Fibonacci, "fibonacci"))
    result = handle.get_result_async()
    until(node, lambda: kept)
    assert kept[0].status == GoalStatus.STATUS_EXECUTING
    assert not result.done()
    finish = getattr(kept[0], outcome)
    finish(*([Fibonacci.Result(sequence=sequence)] if sequence else []))

    answer = wait(node, result)

    assert answer.status == status
    assert list(answer.result.sequence) == sequence


def test_cancel_answers_name_the_goal_and_the_handles_follow(node):
    def execute(goal_handle):
        assert isinstance(goal_handle, ServerGoalHandle)
        until_canceled.append(goal_handle.is_cancel_requested)
        goal_handle.canceled()
        return Fibonacci.Result(sequence=[1])

    until_canceled, kept = [], []
    ActionServer(
        node,
        Fibonacci,
        "fibonacci",
        execute,
        handle_accepted_callback=kept.append,
        cancel_callback=lambda goal_handle: CancelResponse.ACCEPT,
    )
    handle = send(node, ActionClient(node, Fibonacci, "fibonacci"))
    until(node, lambda: kept)
    answer = wait(node, handle.cancel_goal_async())
    kept[0].execute()
    result = wait(node, handle.get_result_async())
    until(node, lambda: handle.status == GoalStatus.STATUS_CANCELED)

    assert isinstance(handle, ClientGoalHandle)
    assert [goal.goal_id for goal in answer.goals_canceling] == [handle.goal_id]
    assert until_canceled == [True]
    assert (result.status, list(result.result.sequence)) == (GoalStatus.STATUS_CANCELED, [1])
