# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A robot that acts on sentences, as a Python object.

from roborefer_bringup.client import Robot

with Robot() as robot:
print(robot.refer("the mug left of the plate").position)
task = robot.do("put the red mug on the plate")
print(task.succeeded, task.message)
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Any

from rclpy.action import ActionClient
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from roborefer_common.qos import AUDIO, EVENT, LATCHED
from roborefer_common.times import duration_to_msg
from std_msgs.msg import Bool

from roborefer_msgs.action import ExecuteInstruction, Refer
from roborefer_msgs.msg import (
    AudioChunk,
    ErrorCode,
    Question,
    SpatialReference,
    TaskStatus,
    Transcript,
)  # fmt: skip
from roborefer_msgs.srv import AnswerQuestion, CancelTask, Instruct


class RobotError(Exception):
    """The robot refused or failed.

    Attributes:
        code: Constant of roborefer_msgs/ErrorCode.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Place:
    """Where something is that was referred to.

    Attributes:
        label: Short name for people, or "".
        pixel: u and v in the image.
        position: On its surface, metres; None without a 3D place.
        frame: Of position; "" without one.
        confidence: 0 to 1.
        message: The whole reference.
    """

    label: str
    pixel: tuple[float, float]
    position: tuple[float, float, float] | None
    frame: str
    confidence: float
    message: SpatialReference


@dataclass(frozen=True)
class Done:
    """How a sentence ended.

    Attributes:
        succeeded: Whether every step was done and seen to be done.
        code: Constant of ErrorCode; 0 on success.
        message: For people.
        status: The task, step by step.
    """

    succeeded: bool
    code: int
    message: str
    status: TaskStatus


_PAUSE_S = 0.2
# A server that nobody sees for this long has ended; a network may lose sight of one for less.
_GONE_S = 1.0
# Of sound: samples per second, and in one message.
_RATE, _CHUNK = 16000, 1600

Answerer = Callable[[Question], "int | bool | str | None"]


class Robot:
    """Talks to a running executive and referrer; usable from any thread."""

    def __init__(self, namespace: str = "", timeout_s: float = 10.0) -> None:
        """Join the graph with a node of its own.

        Args:
            namespace: Of the robot.
            timeout_s: Longest wait for a server, and for the answer of a service.
        """
        self._timeout_s = timeout_s
        self._pause = threading.Event()
        self._context = Context()
        self._context.init()
        self._node = Node("roborefer_client", namespace=namespace, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._actions = {
            name: ActionClient(self._node, kind, name)
            for name, kind in (("execute_instruction", ExecuteInstruction), ("refer", Refer))
        }
        self._services = {
            name: self._node.create_client(kind, name)
            for name, kind in (
                ("instruct", Instruct),
                ("answer_question", AnswerQuestion),
                ("cancel_task", CancelTask),
            )
        }
        self._stop_publisher = self._node.create_publisher(Bool, "stop", LATCHED)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def do(
        self,
        sentence: str,
        *,
        answer: Answerer | None = None,
        told: Callable[[TaskStatus], None] = lambda status: None,
        plan_only: bool = False,
        deadline_s: float = 300.0,
    ) -> Done:
        """Have a sentence carried out, and wait for its end.

        Args:
            sentence: Such as "put the red mug between the plate and the bottle".
            answer: Asked whenever the robot asks something: a number chooses a candidate, True
                and False are yes and no, words are words, None leaves the question to others.
            told: Called with the task whenever something is new.
            plan_only: Move nothing.
            deadline_s: Then the task is canceled.

        Raises:
            RobotError: The sentence was refused, or nobody serves it.
        """
        goal = ExecuteInstruction.Goal(
            instruction=sentence, source=TaskStatus.PROGRAM, plan_only=plan_only,
            deadline=duration_to_msg(deadline_s),
        )  # fmt: skip
        asked: set[str] = set()

        def on_feedback(message: Any) -> None:
            task = message.feedback.task
            told(task)
            question = task.question
            if answer is None or question.kind == Question.NONE or question.question_id in asked:
                return
            asked.add(question.question_id)
            reply = answer(question)
            if reply is not None:
                self._answer(task.task_id, question.question_id, reply)

        until = monotonic() + self._timeout_s
        while True:
            timeout_s = deadline_s + self._timeout_s
            result = self._run("execute_instruction", goal, on_feedback, timeout_s)
            # A robot that is just being launched gets the time to come up.
            if result.error_code != ErrorCode.NOT_ACTIVE or monotonic() > until:
                break
            self._pause.wait(_PAUSE_S)
        if not result.task.task_id:
            raise RobotError(result.error_code, result.error_msg)
        message = result.error_msg or result.task.message
        return Done(result.error_code == 0, result.error_code, message, result.task)

    def refer(self, words: str, *, samples: int = 0, deadline_s: float = 60.0) -> Place:
        """Find out what words mean; nothing moves.

        Args:
            words: Such as "the mug left of the plate".
            samples: Answers to sample; 0 is the referrer's parameter.
            deadline_s: Longest query.

        Raises:
            RobotError: Nothing was found, or several things; the message says more.
        """
        goal = Refer.Goal(
            instruction=words, num_samples=samples, deadline=duration_to_msg(deadline_s)
        )
        result = self._run("refer", goal, None, deadline_s + self._timeout_s)
        if result.error_code:
            raise RobotError(result.error_code, result.error_msg)
        found = result.references[0]
        at, frame = found.pose.pose.pose.position, found.pose.header.frame_id
        return Place(
            found.label, (found.pixel.u, found.pixel.v), (at.x, at.y, at.z) if frame else None,
            frame, found.confidence, found,
        )  # fmt: skip

    def instruct(self, sentence: str, *, confirm: bool = False) -> str:
        """Begin with a sentence and return the name of its task at once.

        Raises:
            RobotError: The sentence was refused.
        """
        request = Instruct.Request(text=sentence, source=TaskStatus.PROGRAM, confirm=confirm)
        answer = self._call("instruct", request)
        if not answer.accepted:
            raise RobotError(answer.error_code, answer.error_msg)
        return str(answer.task_id)

    def say(self, samples: Sequence[int], timeout_s: float = 30.0) -> Transcript:
        """Say a sentence to the speech node, and wait until it has been understood.

        Args:
            samples: Signed 16-bit, one channel, 16000 per second.
            timeout_s: Longest wait for that.

        Returns:
            What was heard; it names the task that was begun.

        Raises:
            RobotError: Nobody listens, or what was heard was refused.
        """
        heard: list[Transcript] = []
        came = threading.Event()

        def on_transcript(message: Transcript) -> None:
            heard.append(message)
            came.set()

        subscription = self._node.create_subscription(
            Transcript, "transcript", on_transcript, EVENT
        )
        publisher = self._node.create_publisher(AudioChunk, "audio", AUDIO)
        try:
            until = monotonic() + self._timeout_s
            while not publisher.get_subscription_count():
                if monotonic() > until:
                    raise RobotError(
                        ErrorCode.SPEECH_ENGINE_UNAVAILABLE,
                        "nobody listens on the topic 'audio'; launch with speech:=true",
                    )
                self._pause.wait(_PAUSE_S)
            for begin in range(0, len(samples), _CHUNK):
                piece = list(samples[begin : begin + _CHUNK])
                last = begin + _CHUNK >= len(samples)
                publisher.publish(AudioChunk(sample_rate=_RATE, samples=piece, last=last))
            if not came.wait(timeout_s):
                raise RobotError(
                    ErrorCode.SPEECH_ENGINE_UNAVAILABLE,
                    f"the speech node did not say what it heard within {timeout_s:g} s",
                )
        finally:
            self._node.destroy_subscription(subscription)
            self._node.destroy_publisher(publisher)
        if not heard[0].accepted:
            raise RobotError(heard[0].error_code, heard[0].error_msg)
        return heard[0]

    def answer(self, task_id: str, question_id: str, reply: int | bool | str) -> None:
        """Answer the open question of a task; replies as those of `do`.

        Raises:
            RobotError: The answer was not used.
        """
        request = _answer_request(task_id, question_id, reply)
        answer = self._call("answer_question", request)
        if not answer.accepted:
            raise RobotError(answer.error_code, answer.error_msg)

    def cancel(self, task_id: str = "") -> list[str]:
        """End a task, or all of them; returns the names of those that end."""
        return list(self._call("cancel_task", CancelTask.Request(task_id=task_id)).task_ids)

    def stop(self) -> None:
        """Stop all motion at once; it stays stopped until `release`."""
        self._stop_publisher.publish(Bool(data=True))

    def release(self) -> None:
        """Release the stop; nothing begins to move by that."""
        self._stop_publisher.publish(Bool(data=False))

    def close(self) -> None:
        """Leave the graph; calling it twice is allowed."""
        if self._context.ok():
            self._executor.shutdown()
            self._thread.join()
            self._node.destroy_node()
            self._context.shutdown()

    def __enter__(self) -> Robot:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def _answer(self, task_id: str, question_id: str, reply: int | bool | str) -> None:
        # Called by the thread that spins, so the answer cannot be waited for.
        request = _answer_request(task_id, question_id, reply)
        self._services["answer_question"].call_async(request)

    def _run(self, name: str, goal: Any, on_feedback: Any, timeout_s: float) -> Any:
        client = self._actions[name]
        if not client.wait_for_server(self._timeout_s):
            raise RobotError(
                ErrorCode.SERVER_UNAVAILABLE,
                f"nobody serves the action '{name}'; launch a robot first",
            )
        there = client.server_is_ready
        sent = client.send_goal_async(goal, on_feedback)
        handle = self._wait(sent, self._timeout_s, name, there)
        if not handle.accepted:
            raise RobotError(ErrorCode.BUSY, f"the action '{name}' refused the goal")
        try:
            return self._wait(handle.get_result_async(), timeout_s, name, there).result
        except KeyboardInterrupt:
            handle.cancel_goal_async()
            raise

    def _call(self, name: str, request: Any) -> Any:
        client = self._services[name]
        if not client.wait_for_service(self._timeout_s):
            raise RobotError(
                ErrorCode.SERVER_UNAVAILABLE, f"nobody serves '{name}'; launch a robot first"
            )
        there = client.service_is_ready
        return self._wait(client.call_async(request), self._timeout_s, name, there)

    def _wait(self, future: Any, timeout_s: float, name: str, there: Callable[[], bool]) -> Any:
        """Wait for an answer, as long as somebody is there who can give it.

        A goal ends with the process that serves it: one that comes instead knows nothing of it.
        """
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        now = monotonic()
        until, seen = now + timeout_s, now
        while not done.wait(min(_PAUSE_S, max(until - now, 0.0))):
            now = monotonic()
            if there():
                seen = now
            elif now - seen > _GONE_S:
                raise _gone(name)
            if now >= until:
                raise RobotError(ErrorCode.TIMEOUT, f"no answer of '{name}' in {timeout_s:g} s")
        if future.exception() is not None:
            # Some middlewares notice by themselves that a server has ended.
            raise _gone(name) from future.exception()
        return future.result()


def _gone(name: str) -> RobotError:
    return RobotError(
        ErrorCode.SERVER_UNAVAILABLE,
        f"whoever served '{name}' is gone, so the end of this is not known; look at the robot,"
        " then launch it again",
    )


def _answer_request(task_id: str, question_id: str, reply: int | bool | str) -> Any:
    request = AnswerQuestion.Request(task_id=task_id, question_id=question_id)
    if isinstance(reply, bool):
        request.answer = AnswerQuestion.Request.YES if reply else AnswerQuestion.Request.NO
    elif isinstance(reply, int):
        request.answer, request.candidate = AnswerQuestion.Request.CANDIDATE, reply
    else:
        request.answer, request.text = AnswerQuestion.Request.WORDS, reply
    return request
