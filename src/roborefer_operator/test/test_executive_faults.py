# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How fast a person is obeyed, and what becomes of tasks when servers die, return or refuse."""

import contextlib
import subprocess
import sys
import threading
from time import monotonic

import pytest
from rclpy.action import ActionClient, ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from roborefer_common.qos import LATCHED
from roborefer_operator.core.ports import Reference
from roborefer_operator.mock_scene import Failure
from std_msgs.msg import Bool

from roborefer_msgs.action import ExecuteInstruction, Pick
from roborefer_msgs.msg import ErrorCode, HeldObject, Question, SpatialReference, TaskStatus
from roborefer_msgs.srv import AnswerQuestion, GetTasks, Instruct

# A new sentence must interrupt within this, seconds.
SOON_S = 0.3


def ended(status):
    return status.state >= TaskStatus.SUCCEEDED


def moving(status):
    return status.steps and status.steps[0].attempts == 1


@contextlib.contextmanager
def robot_process(*parameters):
    """A mock robot that can be killed."""
    given = [part for each in parameters for part in ("-p", each)]
    program = "from roborefer_operator.nodes.mock_robot import main; main()"
    command = [sys.executable, "-c", program, "--ros-args", *given]
    with subprocess.Popen(command) as process:
        try:
            yield process
        finally:
            process.kill()


def give_up(bench):
    """Answer no to the question whether to go on."""
    asking = bench.until(lambda s: s.question.kind == Question.GO_ON)
    bench.call(
        AnswerQuestion,
        "answer_question",
        task_id=asking.task_id,
        question_id=asking.question.question_id,
        answer=AnswerQuestion.Request.NO,
    )
    return bench.until(lambda s: s.task_id == asking.task_id and ended(s))


@pytest.mark.parametrize("sentence", ["pick the plate", "stop", "no, the blue mug"])
def test_a_new_sentence_reaches_the_moving_arm_at_once(start, sentence):
    with start(motion_s=30.0) as bench:
        reached = threading.Event()
        server = next(s for s in bench.robot._servers if s._action_type is Pick)

        def reach():
            if not reached.is_set():
                reached.at = monotonic()
                reached.set()

        def on_cancel(goal):
            reach()
            return CancelResponse.ACCEPT

        server.register_cancel_callback(on_cancel)
        # A stop reaches the robot as a topic before the cancel does.
        bench.client.create_subscription(Bool, "stop", lambda message: reach(), LATCHED)
        bench.call(Instruct, "instruct", text="pick the red mug")
        bench.until(moving)
        service = bench.client.create_client(Instruct, "instruct")
        assert service.wait_for_service(10.0)
        begin = monotonic()
        service.call_async(Instruct.Request(text=sentence))
        assert reached.wait(10.0)

    assert 0 < reached.at - begin < SOON_S


def test_a_goal_that_is_accepted_after_it_was_given_up_is_canceled(start):
    """A server that is slow to decide must not move for somebody who has left."""
    asked, decide, canceled = threading.Event(), threading.Event(), threading.Event()

    def accept(goal):
        asked.set()
        assert decide.wait(20.0)
        return GoalResponse.ACCEPT

    def on_cancel(goal):
        canceled.set()
        return CancelResponse.ACCEPT

    def execute(handle):
        assert canceled.wait(20.0)
        handle.abort()
        return Pick.Result(error_code=int(ErrorCode.CANCELED))

    with start(robot=False) as bench:
        server = ActionServer(
            bench.client, Pick, "pick", execute, goal_callback=accept, cancel_callback=on_cancel,
            callback_group=ReentrantCallbackGroup(),
        )  # fmt: skip
        target = Reference("", (0.0, 0.0), 0, 1, raw=SpatialReference())
        pending = bench.executive._ports.pick(target, None, False)
        begin = monotonic()
        while not asked.wait(0.02) and monotonic() - begin < 10.0:
            assert pending.outcome() is None
        pending.cancel()
        decide.set()
        reached = canceled.wait(10.0)
        server.destroy()

    assert reached


def test_a_robot_killed_in_the_middle_of_a_goal_is_told_and_the_next_one_is_used(start):
    with start(robot=False, **{"tries.most": 1, "server.wait_s": 10.0}) as bench:
        with robot_process("motion_s:=60.0") as robot:
            bench.call(Instruct, "instruct", text="pick the red mug")
            bench.until(moving)
            robot.kill()
        failed = give_up(bench)
        with robot_process("motion_s:=0.1"):
            bench.call(Instruct, "instruct", text="pick the plate")
            after = bench.until(lambda s: "plate" in s.instruction and ended(s), 30.0)

    assert failed.error_code == ErrorCode.SERVER_UNAVAILABLE
    assert "went away" in failed.error_msg
    assert after.state == TaskStatus.SUCCEEDED


def test_a_robot_that_returns_without_the_goal_gets_it_again(start):
    with start(robot=False, **{"server.wait_s": 10.0}) as bench:
        with robot_process("motion_s:=60.0") as robot:
            bench.call(Instruct, "instruct", text="pick the red mug")
            bench.until(moving)
            robot.kill()
        begin = monotonic()
        with robot_process("motion_s:=0.1"):
            done = bench.until(ended, 40.0)
            passed = monotonic() - begin

    assert done.state == TaskStatus.SUCCEEDED, done.error_msg
    assert done.steps[0].attempts == 2
    assert passed < 20.0


def test_a_goal_that_is_refused_is_sent_again(start):
    with start() as bench:
        bench.robot.failures.append(Failure("pick", 0, 2))
        bench.call(Instruct, "instruct", text="pick the red mug")
        done = bench.until(ended)

    assert done.state == TaskStatus.SUCCEEDED
    assert done.steps[0].attempts == 3


def test_many_goals_that_wait_hold_up_nobody(start):
    """More goals of the action than the node has threads."""
    with start(motion_s=0.2) as bench:
        client = ActionClient(bench.client, ExecuteInstruction, "execute_instruction")
        assert client.wait_for_server(10.0)
        names = ["plate", "red mug", "blue mug", "green block"] * 2
        goals = [
            ExecuteInstruction.Goal(instruction=f"find the {name}", wait_for_others=True)
            for name in names
        ]
        handles = [bench.wait(client.send_goal_async(goal)) for goal in goals]
        results = [bench.wait(handle.get_result_async()).result for handle in handles]
        tasks = bench.call(GetTasks, "get_tasks").tasks

    assert [result.error_code for result in results] == [0] * 8
    assert len(tasks) == 8


def test_a_topic_that_comes_late_does_not_undo_what_the_result_said(start):
    def message(held, seconds):
        said = HeldObject(held=held)
        said.header.frame_id, said.header.stamp.sec = "tool0", seconds
        return said

    with start() as bench:
        ports = bench.executive._ports
        ports._arm_outcome(Pick.Result(held_object=message(True, 2_000_000_000)))
        ports._on_held(message(False, 1_999_999_999))
        after_late = ports.holding()
        # A clock that was set back is another thing.
        ports._on_held(message(False, 100))
        after_reset = ports.holding()

    assert (after_late, after_reset) == (True, False)
