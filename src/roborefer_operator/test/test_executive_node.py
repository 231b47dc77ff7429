# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The executive as a node: services, action, topics, lifecycle."""

import threading

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from roborefer_common.qos import LATCHED
from std_msgs.msg import Bool

from roborefer_msgs.action import ExecuteInstruction
from roborefer_msgs.msg import ErrorCode, Question, TaskStatus, TaskStep
from roborefer_msgs.srv import AnswerQuestion, CancelTask, GetTasks, Instruct

ENDED = TaskStatus.SUCCEEDED


def ended(status):
    return status.state >= ENDED


def send(bench, **fields):
    client = ActionClient(bench.client, ExecuteInstruction, "execute_instruction")
    assert client.wait_for_server(10.0)
    told = []
    future = client.send_goal_async(
        ExecuteInstruction.Goal(**fields), lambda message: told.append(message.feedback)
    )
    return bench.wait(future), told


def test_a_typed_sentence_is_carried_out_and_told_on_the_way(start):
    with start() as bench:
        answer = bench.call(Instruct, "instruct", text="put the red mug left of the plate")
        status = bench.until(ended)

    assert answer.accepted
    assert answer.task_id == status.task_id
    assert status.state == TaskStatus.SUCCEEDED
    assert [step.verb for step in status.steps] == [TaskStep.PICK, TaskStep.PLACE]
    assert all(step.has_reference for step in status.steps)
    assert status.steps[0].reference.label == "red mug"
    assert "red mug" in bench.world.things


def test_an_ambiguous_sentence_asks_and_takes_the_answer(start):
    with start() as bench:
        bench.call(Instruct, "instruct", text="pick the mug")
        asking = bench.until(lambda s: s.question.kind == Question.WHICH)
        late = bench.call(
            AnswerQuestion, "answer_question", task_id=asking.task_id, question_id="old", answer=1
        )
        answer = bench.call(
            AnswerQuestion,
            "answer_question",
            task_id=asking.task_id,
            question_id=asking.question.question_id,
            answer=AnswerQuestion.Request.CANDIDATE,
            candidate=1,
        )
        bench.until(ended)

    assert [c.candidate for c in asking.question.candidates] == [1, 2]
    assert (late.accepted, late.error_code) == (False, ErrorCode.TASK_NOT_ASKED)
    assert answer.accepted
    assert bench.world.held == "blue mug"


def test_what_is_no_command_is_refused_with_code_and_sentence(start):
    with start() as bench:
        strange = bench.call(Instruct, "instruct", text="dance")
        empty = bench.call(Instruct, "instruct", text="")
        source = bench.call(Instruct, "instruct", text="pick the plate", source=9)
        unknown = bench.call(CancelTask, "cancel_task", task_id="nobody")
        after = bench.call(Instruct, "instruct", text="find the plate")
        bench.until(ended)

    assert strange.error_code == ErrorCode.TASK_NOT_UNDERSTOOD
    assert "dance" in strange.error_msg
    assert empty.error_code == ErrorCode.TASK_NOT_UNDERSTOOD
    assert source.error_code == ErrorCode.INVALID_GOAL
    assert unknown.error_code == ErrorCode.TASK_UNKNOWN_ID
    assert after.accepted


def test_the_action_tells_its_steps_and_its_end(start):
    with start() as bench:
        handle, told = send(bench, instruction="put the red mug left of the plate")
        answer = bench.wait(handle.get_result_async())

    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert (answer.result.error_code, answer.result.steps_done) == (0, 2)
    assert {feedback.task.current_step for feedback in told} >= {0, 1}


def test_a_canceled_action_stops_the_motion_and_says_so(start):
    with start(motion_s=30.0) as bench:
        handle, _ = send(bench, instruction="pick the red mug")
        bench.until(lambda s: s.steps and s.steps[0].attempts == 1)
        bench.wait(handle.cancel_goal_async())
        answer = bench.wait(handle.get_result_async())

    assert answer.status == GoalStatus.STATUS_CANCELED
    assert answer.result.error_code == ErrorCode.CANCELED
    assert bench.world.held == ""


def test_stop_is_published_latched_and_blocks_until_released(start):
    with start(motion_s=30.0) as bench:
        heard = []
        bench.call(Instruct, "instruct", text="pick the red mug")
        bench.until(lambda s: s.steps and s.steps[0].attempts == 1)
        bench.call(Instruct, "instruct", text="stop!")
        status = bench.until(lambda s: s.state == TaskStatus.CANCELED)
        bench.client.create_subscription(Bool, "stop", lambda m: heard.append(m.data), LATCHED)
        refused = bench.call(Instruct, "instruct", text="pick the plate")
        released = bench.call(Instruct, "instruct", text="continue")
        after = bench.call(Instruct, "instruct", text="find the plate")

    assert status.error_code == ErrorCode.STOPPED
    assert refused.error_code == ErrorCode.STOPPED
    assert released.accepted
    assert after.accepted
    assert heard[0] is True


def test_a_stop_that_somebody_else_released_does_not_reach_who_comes_later(start):
    with start() as bench:
        other = bench.client.create_publisher(Bool, "stop", LATCHED)
        bench.call(Instruct, "instruct", text="stop!")
        released = threading.Event()
        # The executive takes a release that comes at once for an echo of its own.
        timer = bench.client.create_timer(0.7, released.set)
        assert released.wait(10.0)
        bench.client.destroy_timer(timer)
        other.publish(Bool(data=False))
        refused = True
        while refused:
            refused = not bench.call(Instruct, "instruct", text="find the plate").accepted
        bench.until(lambda s: s.instruction == "find the plate" and ended(s))
        heard, told = [], threading.Event()
        bench.client.create_subscription(
            Bool, "stop", lambda m: (heard.append(m.data), told.set()), LATCHED
        )
        assert told.wait(10.0)
        bench.call(GetTasks, "get_tasks")

    assert heard == [False]


def test_the_history_is_told_newest_first(start):
    with start() as bench:
        for name in ("plate", "red mug"):
            bench.call(Instruct, "instruct", text=f"find the {name}", wait_for_others=True)
        bench.until(lambda s: "red" in s.instruction and ended(s))
        tasks = bench.call(GetTasks, "get_tasks").tasks
        one = bench.call(GetTasks, "get_tasks", limit=1).tasks

    assert [task.instruction for task in tasks] == ["find the red mug", "find the plate"]
    assert len(one) == 1


def test_an_inactive_node_says_how_to_activate_it(start):
    with start(active=False) as bench:
        answer = bench.call(Instruct, "instruct", text="pick the plate")
        handle, _ = send(bench, instruction="pick the plate")
        result = bench.wait(handle.get_result_async()).result

    assert (answer.accepted, answer.error_code) == (False, ErrorCode.NOT_ACTIVE)
    assert "lifecycle set" in answer.error_msg
    assert result.error_code == ErrorCode.NOT_ACTIVE


def test_deactivation_ends_tasks_and_both_directions_can_be_repeated(start):
    with start(motion_s=30.0) as bench:
        bench.call(Instruct, "instruct", text="pick the red mug")
        bench.until(lambda s: s.steps and s.steps[0].attempts == 1)
        for _ in range(2):
            bench.executive.trigger_deactivate()
            bench.executive.trigger_cleanup()
            bench.executive.trigger_configure()
            bench.executive.trigger_activate()
        canceled = bench.until(ended)
        after = bench.call(Instruct, "instruct", text="find the plate")

    assert canceled.error_code == ErrorCode.CANCELED
    assert after.accepted


def test_wrong_parameters_are_named(start):
    with start(active=False, **{"splitter.url": "nowhere"}) as bench:
        bench.executive.trigger_configure()
        answer = bench.call(Instruct, "instruct", text="pick the plate")

    assert answer.error_code == ErrorCode.NOT_ACTIVE
