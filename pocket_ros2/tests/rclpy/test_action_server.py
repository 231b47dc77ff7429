# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import time

import pytest
import rclpy
from action_msgs.msg import GoalStatus, GoalStatusArray
from action_msgs.srv import CancelGoal
from builtin_interfaces.msg import Time
from rclpy.action import ActionClient, ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.qos import qos_profile_action_status_default
from rclpy.task import Future
from test_msgs.action import Fibonacci
from unique_identifier_msgs.msg import UUID

DEADLINE_S = 10.0


class World:
    """A server node, a client node and the executor that spins both."""

    def __init__(self, context, executor):
        self.executor = executor
        self.server_node = rclpy.create_node("server", context=context)
        self.client_node = rclpy.create_node("client", context=context)
        self.client = ActionClient(self.client_node, Fibonacci, "fibonacci")
        executor.add_node(self.server_node)
        executor.add_node(self.client_node)

    def serve(self, execute=None, **options):
        server = ActionServer(
            self.server_node, Fibonacci, "fibonacci", execute or succeed, **options
        )
        assert self.client.wait_for_server(DEADLINE_S)
        return server

    def until(self, predicate):
        deadline = time.monotonic() + DEADLINE_S
        while not predicate():
            assert time.monotonic() < deadline, "the deadline passed"
            self.executor.spin_once(timeout_sec=0.1)

    def wait(self, future):
        self.until(future.done)
        return future.result()

    def send(self, order=1, **options):
        return self.wait(self.client.send_goal_async(Fibonacci.Goal(order=order), **options))

    def result(self, handle):
        return self.wait(handle.get_result_async())

    def cancel(self, uuid=None, stamp=None):
        request = CancelGoal.Request()
        if uuid is not None:
            request.goal_info.goal_id = uuid
        if stamp is not None:
            request.goal_info.stamp = stamp
        return self.wait(self.client._cancel_client.call_async(request))


@pytest.fixture
def context():
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.try_shutdown(context=context)


@pytest.fixture
def world(context):
    executor = SingleThreadedExecutor(context=context)
    yield World(context, executor)
    executor.shutdown()


@pytest.fixture
def threaded_world(context):
    executor = MultiThreadedExecutor(num_threads=4, context=context)
    yield World(context, executor)
    executor.shutdown()


def succeed(goal_handle):
    goal_handle.succeed()
    return Fibonacci.Result(sequence=[goal_handle.request.order])


def keep(kept):
    """Return a handle_accepted callback that leaves goals to the test."""
    return kept.append


def test_accepted_goal_is_executed_and_its_result_delivered(world):
    world.serve()

    handle = world.send(order=7)
    response = world.result(handle)

    assert handle.accepted
    assert response.status == GoalStatus.STATUS_SUCCEEDED
    assert list(response.result.sequence) == [7]


def test_status_topic_shows_every_state_in_order_and_is_latched(world):
    seen, late = [], []
    reached = {status: Future() for status in (1, 2, 4)}

    def watch(into):
        def note(message):
            into.append(message.status_list[-1].status)
            reached[into[-1]].set_result(None)

        return world.client_node.create_subscription(
            GoalStatusArray, "fibonacci/_action/status", note, qos_profile_action_status_default
        )

    async def accepted(goal_handle):
        await reached[1]
        goal_handle.execute()

    async def execute(goal_handle):
        await reached[2]
        return succeed(goal_handle)

    watch(seen)
    world.serve(execute=execute, handle_accepted_callback=accepted)
    world.result(world.send())
    world.until(lambda: seen[-1:] == [4])
    watch(late)
    world.until(lambda: late)

    assert seen == [1, 2, 4]
    assert late == [4]


@pytest.mark.parametrize("answer", [GoalResponse.REJECT, True, None])
def test_goal_is_rejected_unless_the_callback_accepts_it(world, answer):
    world.serve(goal_callback=lambda goal: answer)

    handle = world.send()

    assert not handle.accepted
    assert world.result(handle).status == GoalStatus.STATUS_UNKNOWN


def test_goal_callback_gets_the_goal_and_may_be_a_coroutine(world):
    goals = []

    async def decide(goal):
        goals.append(goal)
        return GoalResponse.ACCEPT

    world.serve(goal_callback=decide)

    assert world.send(order=3).accepted
    assert goals == [Fibonacci.Goal(order=3)]


def test_second_goal_with_the_same_id_is_rejected(world):
    kept = []
    world.serve(handle_accepted_callback=keep(kept))
    uuid = UUID(uuid=list(range(16)))

    first, second = world.send(goal_uuid=uuid), world.send(goal_uuid=uuid)

    assert (first.accepted, second.accepted) == (True, False)
    assert len(kept) == 1


def test_execute_that_sets_no_state_is_aborted_but_its_result_kept(world):
    world.serve(execute=lambda handle: Fibonacci.Result(sequence=[5]))

    response = world.result(world.send())

    assert response.status == GoalStatus.STATUS_ABORTED
    assert list(response.result.sequence) == [5]


def test_execute_that_raises_is_aborted_with_an_empty_result_and_logged(world, capfd):
    def fail(handle):
        raise ValueError("the arm is stuck")

    world.serve(execute=fail)

    response = world.result(world.send())

    assert response.status == GoalStatus.STATUS_ABORTED
    assert list(response.result.sequence) == []
    assert "Error raised in execute callback: the arm is stuck" in capfd.readouterr().err


def test_goal_states_follow_the_state_machine_and_illegal_steps_raise(world):
    kept = []
    world.serve(handle_accepted_callback=keep(kept), cancel_callback=accept_cancel)
    ends = ("succeed", "abort", "canceled")

    world.send()
    (accepted,) = kept
    for end in ends:
        with pytest.raises(RuntimeError, match="ACCEPTED"):
            getattr(accepted, end)()
    accepted._update_status(GoalStatus.STATUS_EXECUTING)
    with pytest.raises(RuntimeError, match="CANCELED"):
        accepted.canceled()
    world.cancel()
    assert accepted.is_cancel_requested
    assert accepted.is_active
    accepted.succeed()

    assert accepted.status == GoalStatus.STATUS_SUCCEEDED
    assert not accepted.is_active
    for end in (*ends, "execute"):
        with pytest.raises(RuntimeError, match="SUCCEEDED"):
            getattr(accepted, end)()


def accept_cancel(handle):
    return CancelResponse.ACCEPT


def test_cancellation_is_rejected_by_default(world):
    kept = []
    world.serve(handle_accepted_callback=keep(kept))
    handle = world.send()

    response = world.wait(handle.cancel_goal_async())

    assert response.return_code == CancelGoal.Response.ERROR_REJECTED
    assert not response.goals_canceling
    assert kept[0].status == GoalStatus.STATUS_ACCEPTED


def test_cancellation_is_a_request_that_the_server_completes(threaded_world):
    world = threaded_world
    canceling = threading.Event()

    def execute(handle):
        assert canceling.wait(DEADLINE_S)
        assert handle.is_cancel_requested
        handle.canceled()
        return Fibonacci.Result(sequence=[9])

    world.serve(execute, cancel_callback=accept_cancel, callback_group=ReentrantCallbackGroup())
    handle = world.send()
    response = world.wait(handle.cancel_goal_async())
    canceling.set()
    result = world.result(handle)

    assert response.return_code == CancelGoal.Response.ERROR_NONE
    assert [info.goal_id for info in response.goals_canceling] == [handle.goal_id]
    assert result.status == GoalStatus.STATUS_CANCELED
    assert list(result.result.sequence) == [9]


def test_goal_canceled_before_execution_still_runs_its_callback(world):
    kept, seen = [], []

    def execute(handle):
        seen.append(handle.is_cancel_requested)
        handle.canceled()
        return Fibonacci.Result()

    world.serve(execute, handle_accepted_callback=keep(kept), cancel_callback=accept_cancel)
    handle = world.send()
    world.wait(handle.cancel_goal_async())
    kept[0].execute()

    assert world.result(handle).status == GoalStatus.STATUS_CANCELED
    assert seen == [True]


def test_cancel_selects_by_id_by_time_or_all(world):
    kept = []
    world.serve(handle_accepted_callback=keep(kept), cancel_callback=accept_cancel)
    handles = [world.send() for _ in range(4)]

    def canceling(**wanted):
        response = world.cancel(**wanted)
        return [
            next(i for i, h in enumerate(handles) if h.goal_id == info.goal_id)
            for info in response.goals_canceling
        ]

    assert canceling(uuid=handles[1].goal_id) == [1]
    assert canceling(stamp=handles[0].stamp) == [0]
    assert canceling(uuid=handles[3].goal_id, stamp=Time(nanosec=1)) == [3]
    assert canceling() == [2]
    assert canceling() == []


def test_cancel_names_unknown_and_terminated_goals(world):
    world.serve(cancel_callback=accept_cancel)
    handle = world.send()
    world.result(handle)

    unknown = world.cancel(uuid=UUID(uuid=[1] * 16))
    terminated = world.cancel(uuid=handle.goal_id)

    assert unknown.return_code == CancelGoal.Response.ERROR_UNKNOWN_GOAL_ID
    assert terminated.return_code == CancelGoal.Response.ERROR_GOAL_TERMINATED


def test_result_requested_while_running_is_answered_later_and_again_after(world):
    kept = []
    world.serve(handle_accepted_callback=keep(kept))
    handle = world.send(order=4)
    early = handle.get_result_async()
    world.send()
    assert not early.done()

    kept[0].execute()

    assert world.wait(early).status == GoalStatus.STATUS_SUCCEEDED
    assert list(world.result(handle).result.sequence) == [4]


def test_result_may_be_set_outside_the_execute_callback(world):
    kept = []
    world.serve(handle_accepted_callback=keep(kept))
    handle = world.send()
    kept[0]._update_status(GoalStatus.STATUS_EXECUTING)
    kept[0].succeed(Fibonacci.Result(sequence=[1, 2]))

    assert list(world.result(handle).result.sequence) == [1, 2]


def test_result_expires_and_its_goal_is_unknown_afterwards(world):
    world.serve(result_timeout=0.05)
    first, second = world.send(), world.send()
    world.until(lambda: world.result(second).status == GoalStatus.STATUS_UNKNOWN)

    assert world.result(first).status == GoalStatus.STATUS_UNKNOWN


def test_unfinished_goal_does_not_expire(world):
    kept = []
    world.serve(result_timeout=0.01, handle_accepted_callback=keep(kept))
    waiting, done = world.send(), world.send()
    kept[1].execute()
    world.until(lambda: world.result(done).status == GoalStatus.STATUS_UNKNOWN)
    kept[0].execute()

    assert world.result(waiting).status in (
        GoalStatus.STATUS_SUCCEEDED,
        GoalStatus.STATUS_UNKNOWN,
    )
    assert kept[0].status == GoalStatus.STATUS_SUCCEEDED


def test_feedback_reaches_only_the_goal_it_belongs_to(world):
    got = {1: [], 2: []}

    def execute(handle):
        handle.publish_feedback(Fibonacci.Feedback(sequence=[handle.request.order]))
        return succeed(handle)

    world.serve(execute)
    for order in got:
        world.send(order, feedback_callback=got[order].append)
    world.until(lambda: got[1] and got[2])

    for order, messages in got.items():
        assert [list(message.feedback.sequence) for message in messages] == [[order]]


def test_feedback_of_another_type_raises_type_error(world):
    kept = []
    world.serve(handle_accepted_callback=keep(kept))
    world.send()

    with pytest.raises(TypeError, match=r"Fibonacci\.Feedback"):
        kept[0].publish_feedback("50 %")


def test_goals_are_executed_at_the_same_time_by_a_multi_threaded_executor(threaded_world):
    world = threaded_world
    both = threading.Barrier(2)

    def execute(handle):
        both.wait(DEADLINE_S)
        return succeed(handle)

    world.serve(execute, callback_group=ReentrantCallbackGroup())
    handles = [world.send(order) for order in (1, 2)]

    assert [list(world.result(h).result.sequence) for h in handles] == [[1], [2]]


def test_coroutine_execute_leaves_the_executor_free_while_it_waits(world):
    gate = Future()

    async def execute(handle):
        await gate
        return succeed(handle)

    world.serve(execute)
    first, second = world.send(1), world.send(2)
    gate.set_result(None)

    assert list(world.result(second).result.sequence) == [2]
    assert list(world.result(first).result.sequence) == [1]


def test_preempting_a_goal_is_up_to_the_accepted_callback(world):
    kept = []

    def preempt(handle):
        if kept:
            kept[-1]._update_status(GoalStatus.STATUS_EXECUTING)
            kept[-1].abort(Fibonacci.Result(sequence=[-1]))
        kept.append(handle)

    world.serve(handle_accepted_callback=preempt)
    first = world.send()
    world.send()

    assert world.result(first).status == GoalStatus.STATUS_ABORTED


@pytest.mark.parametrize("what", ["server", "node"])
def test_destroyed_server_lets_its_goal_run_out_and_fails_the_waiting_result(threaded_world, what):
    world = threaded_world
    running, destroyed, ended = threading.Event(), threading.Event(), threading.Event()

    def execute(handle):
        running.set()
        assert destroyed.wait(DEADLINE_S)
        handle.publish_feedback(Fibonacci.Feedback())
        handle.succeed()
        ended.set()
        return Fibonacci.Result()

    server = world.serve(execute)
    handle = world.send()
    result = handle.get_result_async()
    (goal,) = server._goal_handles.values()
    world.until(lambda: running.is_set() and goal._result_future._callbacks)
    if what == "server":
        server.destroy()
    else:
        world.server_node.destroy_node()
    destroyed.set()
    world.until(ended.is_set)

    world.until(lambda: result.done() and not world.client.server_is_ready())
    assert isinstance(result.exception(), ConnectionError)


def test_callbacks_can_be_replaced_and_must_be_callable(world):
    server = world.serve()
    server.register_goal_callback(lambda goal: GoalResponse.REJECT)

    assert not world.send().accepted
    with pytest.raises(TypeError, match="callable"):
        server.register_cancel_callback("yes")
    with pytest.raises(TypeError, match="callable"):
        ActionServer(world.server_node, Fibonacci, "other", "run")


def test_action_type_must_be_an_action(world):
    with pytest.raises(TypeError, match="action class"):
        ActionServer(world.server_node, UUID, "other", succeed)
