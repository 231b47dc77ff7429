# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The node `executive`: takes sentences, carries tasks out, asks when it is not sure."""

from __future__ import annotations

import threading
import traceback
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from roborefer_common.core.parameters import Value
from roborefer_common.declaring import declare, read
from roborefer_common.exceptions import ParameterError
from roborefer_common.patience import Patience, wait_until
from roborefer_common.qos import EVENT, LATCHED, TASK_STATUS
from roborefer_common.times import nanoseconds
from std_msgs.msg import Bool

from roborefer_msgs.action import ExecuteInstruction
from roborefer_msgs.msg import ErrorCode, Phase, TaskStatus
from roborefer_msgs.srv import AnswerQuestion, CancelTask, CorrectReference, GetTasks, Instruct
from roborefer_operator.conversions import code_of, samples_of, task_to_msg
from roborefer_operator.core.executive import Executive
from roborefer_operator.core.language.replies import Reply, ReplyKind
from roborefer_operator.core.parameters import TABLE, limits_of, policy_of
from roborefer_operator.core.speech.hearing import make_hearing
from roborefer_operator.core.tasks import Source, TaskRun, TaskState
from roborefer_operator.exceptions import Reason, TaskFailure
from roborefer_operator.nodes.recording import Recording
from roborefer_operator.nodes.ros_ports import Hear, RosPorts
from roborefer_operator.nodes.stop_line import StopLine
from roborefer_operator.nodes.watching import Watch

_THREADS = 6
# When the node is told to end, motion gets so long to come to rest.
_REST_S = 6.0


class ExecutiveNode(LifecycleNode):
    """Serves `instruct`, `answer_question`, `cancel_task`, `get_tasks`, `correct_reference`.

    Also the action `execute_instruction`. Uses the actions `refer`, `pick`, `place` and `go_to`.
    Subscribes to `held_object`, `tracked_reference`, latched `stop`, and for records to what
    `Recording` says. Publishes `task_status` and `stop` (latched) and `diagnostics`. Parameters:
    config/executive.yaml, made from core/parameters.py.
    """

    def __init__(self, hear: Hear | None = None, **kwargs: Any) -> None:
        """Prepare.

        Args:
            hear: Recognises the audio of `instruct`; None where nothing can.
            kwargs: As of the base class.
        """
        super().__init__("executive", **kwargs)
        declare(self, TABLE)
        self._hear = hear
        self._active = False
        self._values: dict[str, Value] = {}
        self._ports: RosPorts | None = None
        self._executive: Executive | None = None
        self._recording: Recording | None = None
        self._timers: list[Any] = []
        self._changed = threading.Condition()
        self._watches: list[Watch] = []
        self._status_publisher = self.create_publisher(TaskStatus, "task_status", TASK_STATUS)
        self._diagnostics = self.create_publisher(DiagnosticArray, "diagnostics", EVENT)
        self._stop_line = StopLine(self)
        self.create_subscription(
            Bool, "stop", self._on_stop, LATCHED, callback_group=MutuallyExclusiveCallbackGroup()
        )
        # Corrections wait for the disk, so they hold up nothing else.
        self.create_service(
            CorrectReference, "correct_reference", self._on_correct,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )  # fmt: skip
        group = MutuallyExclusiveCallbackGroup()
        for kind, name, call in (
            (Instruct, "instruct", self._on_instruct),
            (AnswerQuestion, "answer_question", self._on_answer),
            (CancelTask, "cancel_task", self._on_cancel),
            (GetTasks, "get_tasks", self._on_get),
        ):
            self.create_service(kind, name, call, callback_group=group)
        self._server = ActionServer(
            self, ExecuteInstruction, "execute_instruction", self._execute,
            callback_group=ReentrantCallbackGroup(),
            cancel_callback=lambda goal: CancelResponse.ACCEPT,
        )  # fmt: skip

    # --- lifecycle ----------------------------------------------------------------------------
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read and check parameters, look for the servers of the robot."""
        try:
            self._values = read(self, TABLE)
            self._ports = RosPorts(self, self._values, self._stop_line, self._hear)
            self._recording = Recording(self, self._values, self._ports.looking)
        except (ParameterError, TaskFailure) as error:
            self.get_logger().error(f"cannot be configured: {error}")
            return TransitionCallbackReturn.FAILURE
        self._executive = Executive(
            self._ports, policy_of(self._values), limits_of(self._values), self._on_change,
            self._on_defect,
        )  # fmt: skip
        own = MutuallyExclusiveCallbackGroup()
        self._timers = [
            self.create_timer(
                1.0 / float(self._values["tick_rate"]), self._tick, callback_group=own
            ),
            self.create_timer(
                float(self._values["diagnostics.period_s"]), self._publish_diagnostics
            ),
        ]
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take sentences from now on."""
        self._active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End all tasks and take no more; returns when the robot is at rest."""
        self._rest()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget tasks and servers."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End all tasks and let go of everything."""
        self._rest()
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def destroy_node(self) -> None:
        """Write the last records, and go."""
        if self._recording is not None:
            self._recording.close()
        super().destroy_node()

    def _rest(self) -> None:
        self._active = False
        executive = self._executive
        if executive is None:
            return
        executive.cancel()
        # The timer that ticks may be blocked behind this very callback.
        patience = Patience(self.get_clock(), _REST_S)
        at_rest = lambda: executive.idle  # noqa: E731
        if not wait_until(at_rest, patience, self._changed, executive.tick):
            self.get_logger().error("a motion did not come to rest in time; look at the arm")

    def _release(self) -> None:
        for timer in self._timers:
            self.destroy_timer(timer)
        self._timers = []
        if self._ports is not None:
            self._ports.close()
        if self._recording is not None:
            self._recording.close()
        self._ports = self._executive = self._recording = None

    # --- what people say ----------------------------------------------------------------------
    def _on_instruct(
        self, request: Instruct.Request, response: Instruct.Response
    ) -> Instruct.Response:
        options = {"confirm": request.confirm, "wait_for_others": request.wait_for_others}
        try:
            executive = self._ready()
            if not request.text and len(request.audio):
                task = executive.listen(samples_of(request.audio), **options)
            else:
                spoken = request.source == Source.SPOKEN
                confidence = request.words_confidence if spoken else 1.0
                task = executive.instruct(
                    request.text, Source(request.source), confidence, **options
                )
        except (TaskFailure, ValueError) as error:
            return _refused(response, error)
        response.accepted, response.task_id = True, task.id
        return response

    def _on_answer(
        self, request: AnswerQuestion.Request, response: AnswerQuestion.Response
    ) -> AnswerQuestion.Response:
        try:
            reply = Reply(ReplyKind(request.answer), request.candidate, request.text)
            pixel = (request.pixel.u, request.pixel.v)
            self._ready().answer(request.task_id, request.question_id, reply, pixel)
        except (TaskFailure, ValueError) as error:
            return _refused(response, error)
        response.accepted = True
        return response

    def _on_cancel(
        self, request: CancelTask.Request, response: CancelTask.Response
    ) -> CancelTask.Response:
        try:
            response.task_ids = self._ready().cancel(request.task_id)
        except TaskFailure as error:
            return _refused(response, error)
        response.accepted = bool(response.task_ids)
        if not response.accepted:
            response.error_code = int(ErrorCode.TASK_UNKNOWN_ID)
            response.error_msg = "no task is under way that could be canceled"
        return response

    def _on_get(self, request: GetTasks.Request, response: GetTasks.Response) -> GetTasks.Response:
        executive = self._executive
        if executive is not None:
            tasks = [t for t in executive.history() if request.task_id in ("", t.id)]
            limit = request.limit or _MOST_SHOWN
            response.tasks = [executive.look(task, task_to_msg) for task in tasks[:limit]]
        return response

    def _on_correct(
        self, request: CorrectReference.Request, response: CorrectReference.Response
    ) -> CorrectReference.Response:
        try:
            self._ready()
        except TaskFailure as error:
            return _refused(response, error)
        recording = self._recording
        return recording.correct(request, response) if recording is not None else response

    def _on_stop(self, message: Bool) -> None:
        self._stop_line.heard(message.data)
        executive = self._executive
        if executive is not None:
            executive.set_stopped(message.data)

    def _ready(self) -> Executive:
        """Return the executive.

        Raises:
            TaskFailure: NOT_ACTIVE.
        """
        if self._executive is None or not self._active:
            raise TaskFailure(
                Reason.NOT_ACTIVE,
                "the executive is not active; activate it: ros2 lifecycle set /executive activate",
            )
        return self._executive

    # --- the action ---------------------------------------------------------------------------
    async def _execute(self, handle: Any) -> ExecuteInstruction.Result:
        """Carry out a goal; a coroutine, so that goals that wait hold no thread."""
        goal, result = handle.request, ExecuteInstruction.Result()
        try:
            executive = self._ready()
            task = executive.instruct(
                goal.instruction, Source(goal.source), confirm=goal.confirm,
                wait_for_others=goal.wait_for_others, plan_only=goal.plan_only,
                deadline_s=nanoseconds(goal.deadline) * 1e-9,
            )  # fmt: skip
        except (TaskFailure, ValueError) as error:
            handle.abort()
            return _refused(result, error)
        watch = Watch(task, handle)
        executive.look(task, lambda _: self._begin_to_watch(watch))
        await watch.ended
        executive.look(task, lambda ended: _write_result(result, ended))
        if task.state is TaskState.SUCCEEDED:
            handle.succeed()
        elif handle.is_cancel_requested:
            handle.canceled()
        else:
            handle.abort()
        return result

    def _begin_to_watch(self, watch: Watch) -> None:
        self._watches.append(watch)
        watch.tell(watch.task)

    def _tick(self) -> None:
        executive = self._executive
        if executive is None:
            return
        for watch in self._watches:
            if watch.handle.is_cancel_requested and not watch.task.state.ended:
                executive.cancel(watch.task.id)
        try:
            executive.tick()
        except Exception as error:
            # The node that can stop the robot goes on whatever happens.
            self._on_defect(error)

    # --- telling ------------------------------------------------------------------------------
    def _on_change(self, task: TaskRun) -> None:
        self._status_publisher.publish(task_to_msg(task))
        if self._recording is not None:
            self._recording.told(task)
        for watch in self._watches:
            if watch.task is task:
                watch.tell(task)
        self._watches = [watch for watch in self._watches if not watch.ended.done()]
        if task.state.ended or task.question is not None:
            self.get_logger().info(f"task {task.id} '{task.instruction}': {task.message}")
        with self._changed:
            self._changed.notify_all()

    def _on_defect(self, error: Exception) -> None:
        trace = "".join(traceback.format_exception(error))
        self.get_logger().error(
            f"a defect of the executive; please report it:\n{trace}", throttle_duration_sec=5.0
        )

    def _publish_diagnostics(self) -> None:
        executive, ports = self._executive, self._ports
        if executive is None or ports is None:
            return
        ready = ports.ready()
        missing = [name for name in ("refer", "pick", "place") if not ready[name]]
        tasks = executive.history()
        last = tasks[0] if tasks else None
        status = DiagnosticStatus(
            name=f"{self.get_name()}: readiness",
            hardware_id="executive",
            level=DiagnosticStatus.WARN if missing else DiagnosticStatus.OK,
            message=f"no server of {', '.join(missing)}" if missing else "ready",
            values=[
                KeyValue(key="active", value=str(self._active)),
                KeyValue(key="idle", value=str(executive.idle)),
                KeyValue(key="holding", value=str(ports.holding())),
                KeyValue(key="last_task", value=last.message if last else "none"),
            ],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


# Tasks in one answer of `get_tasks`, unless fewer are asked for.
_MOST_SHOWN = 50


def _refused(response: Any, error: Exception) -> Any:
    """Fill in why something was refused."""
    reason = error.reason if isinstance(error, TaskFailure) else Reason.INVALID_GOAL
    response.error_code, response.error_msg = code_of(reason), str(error)
    return response


def _write_result(result: ExecuteInstruction.Result, task: TaskRun) -> None:
    result.error_code, result.error_msg = task.code, task.error
    result.steps_done, result.task = task.steps_done, task_to_msg(task)
    failed = [step.phase for step in task.steps if step.code]
    result.phase = failed[-1] if failed else int(Phase.DONE)


def main() -> None:
    """Run the node until it is told to end."""
    try:
        with rclpy.init():
            # The engine is loaded with the first sound.
            node = ExecutiveNode(make_hearing())
            executor = MultiThreadedExecutor(num_threads=_THREADS)
            executor.add_node(node)
            try:
                executor.spin()
            finally:
                node.destroy_node()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
