# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Action server."""

from __future__ import annotations

import functools
import threading
import traceback
from enum import Enum
from typing import Any

from action_msgs.msg import GoalInfo, GoalStatus, GoalStatusArray
from action_msgs.srv import CancelGoal
from unique_identifier_msgs.msg import UUID

from rclpy._rclpy_pybind11 import RCLError
from rclpy.duration import Duration
from rclpy.executors import await_or_execute
from rclpy.publisher import Publisher
from rclpy.qos import (
    QoSProfile,
    qos_profile_action_status_default,
    qos_profile_services_default,
)
from rclpy.service import Service
from rclpy.task import Future
from rclpy.time import Time

from ._bundle import Bundle, resolved_names


class GoalResponse(Enum):
    """What a goal callback may answer."""

    REJECT = 1
    ACCEPT = 2


class CancelResponse(Enum):
    """What a cancel callback may answer."""

    REJECT = 1
    ACCEPT = 2


_ACCEPTED = GoalStatus.STATUS_ACCEPTED
_EXECUTING = GoalStatus.STATUS_EXECUTING
_CANCELING = GoalStatus.STATUS_CANCELING
_NAMES = {
    getattr(GoalStatus, name): name.removeprefix("STATUS_")
    for name in dir(GoalStatus)
    if name.startswith("STATUS_")
}
# New status -> the statuses it may follow.
_PREDECESSORS = {
    _EXECUTING: (_ACCEPTED,),
    _CANCELING: (_ACCEPTED, _EXECUTING),
    GoalStatus.STATUS_SUCCEEDED: (_EXECUTING, _CANCELING),
    GoalStatus.STATUS_ABORTED: (_EXECUTING, _CANCELING),
    GoalStatus.STATUS_CANCELED: (_CANCELING,),
}


class ServerGoalHandle:
    """An accepted goal in the hands of its server."""

    def __init__(self, action_server: ActionServer, goal_info: GoalInfo, request: Any):
        self._action_server = action_server
        self._goal_info = goal_info
        self._request = request
        self._status = _ACCEPTED
        self._terminated_ns: int | None = None
        self._result_future = Future()
        self._result_follows = False

    @property
    def request(self) -> Any:
        return self._request

    @property
    def goal_id(self) -> UUID:
        return self._goal_info.goal_id

    @property
    def is_active(self) -> bool:
        return self._status in (_ACCEPTED, _EXECUTING, _CANCELING)

    @property
    def is_cancel_requested(self) -> bool:
        return self._status == _CANCELING

    @property
    def status(self) -> int:
        return self._status

    def _update_status(self, status: int) -> None:
        server = self._action_server
        with server._lock:
            if self._status == GoalStatus.STATUS_UNKNOWN:
                return
            if self._status not in _PREDECESSORS[status]:
                raise RCLError(
                    f"goal {_text(self.goal_id)} is {_NAMES[self._status]} and cannot become "
                    f"{_NAMES[status]}; that follows "
                    f"{' or '.join(_NAMES[before] for before in _PREDECESSORS[status])}"
                )
            self._status = status
            if not self.is_active:
                self._terminated_ns = server._node.get_clock().now().nanoseconds
                server._arm_expiry()
            server._publish_status()

    def _finish(self, status: int, result: Any) -> None:
        """Set a final status; the result is given here or returned by the execute callback."""
        self._update_status(status)
        if result is not None or not self._result_follows:
            self._set_result(result or self._action_server._action_type.Result())

    def _set_result(self, result: Any) -> None:
        if not self._result_future.done():
            self._result_future.set_result(
                self._action_server._action_type.Impl.GetResultService.Response(
                    status=self._status, result=result
                )
            )

    def execute(self, execute_callback=None) -> None:
        """Schedule the execution of the goal.

        A goal that is already CANCELING stays so: its callback runs and calls `canceled`.
        """
        if not self.is_cancel_requested:
            self.executing()
        self._action_server.notify_execute(self, execute_callback)

    def executing(self) -> None:
        """Mark a goal that no execute callback works on as being executed."""
        self._update_status(_EXECUTING)

    def publish_feedback(self, feedback: Any) -> None:
        action_type = self._action_server._action_type
        if not isinstance(feedback, action_type.Feedback):
            raise TypeError(
                f"feedback must be a {action_type.__name__}.Feedback, "
                f"not {type(feedback).__name__}"
            )
        with self._action_server._lock:
            if self._status != GoalStatus.STATUS_UNKNOWN:
                self._action_server._feedback_publisher.publish(
                    action_type.Impl.FeedbackMessage(goal_id=self.goal_id, feedback=feedback)
                )

    def succeed(self, response: Any = None) -> None:
        self._finish(GoalStatus.STATUS_SUCCEEDED, response)

    def abort(self, response: Any = None) -> None:
        self._finish(GoalStatus.STATUS_ABORTED, response)

    def canceled(self, response: Any = None) -> None:
        self._finish(GoalStatus.STATUS_CANCELED, response)

    def destroy(self) -> None:
        """Forget the goal; later calls on this handle have no effect."""
        with self._action_server._lock:
            self._status = GoalStatus.STATUS_UNKNOWN
            self._action_server._goal_handles.pop(bytes(self.goal_id.uuid), None)


def default_handle_accepted_callback(goal_handle: ServerGoalHandle) -> None:
    """Execute the goal at once."""
    goal_handle.execute()


def default_goal_callback(goal_request: Any) -> GoalResponse:
    """Accept every goal."""
    return GoalResponse.ACCEPT


def default_cancel_callback(cancel_request: Any) -> CancelResponse:
    """Reject every cancellation."""
    return CancelResponse.REJECT


class _ActionService(Service):
    """A service whose coroutine callback sends the response itself, now or later."""

    async def execute(self, taken: Any) -> None:
        request, request_id = taken
        await self.callback(request, functools.partial(self._reply, request_id))

    def _reply(self, request_id: Any, response: Any) -> None:
        if self._destroyed:
            request_id.drop()
        else:
            self.send_response(response, request_id)


class ActionServer(Bundle):
    """Serves an action; goals are executed as tasks of the node's executor."""

    def __init__(
        self,
        node,
        action_type,
        action_name: str,
        execute_callback=None,
        *,
        callback_group=None,
        goal_callback=default_goal_callback,
        handle_accepted_callback=default_handle_accepted_callback,
        cancel_callback=default_cancel_callback,
        goal_service_qos_profile: QoSProfile = qos_profile_services_default,
        result_service_qos_profile: QoSProfile = qos_profile_services_default,
        cancel_service_qos_profile: QoSProfile = qos_profile_services_default,
        feedback_pub_qos_profile: QoSProfile = QoSProfile(depth=10),
        status_pub_qos_profile: QoSProfile = qos_profile_action_status_default,
        result_timeout: float = 900,
    ):
        super().__init__(node, callback_group)
        names = resolved_names(node, action_type, action_name)
        self._action_type = action_type
        self._lock = threading.RLock()
        self._logger = node.get_logger()
        self._goal_handles: dict[bytes, ServerGoalHandle] = {}
        self.register_execute_callback(execute_callback)
        self.register_goal_callback(goal_callback)
        self.register_handle_accepted_callback(handle_accepted_callback)
        self.register_cancel_callback(cancel_callback)
        self._result_timeout_ns = Duration(seconds=result_timeout).nanoseconds
        self._expiry_timer = node.create_timer(
            1.0, self._expire_goals, self.callback_group, autostart=False
        )
        impl = action_type.Impl

        def publisher(msg_type, key, qos):
            return Publisher(node, msg_type, names[key], qos)

        def service(srv_type, key, callback, qos):
            return _ActionService(node, srv_type, names[key], callback, self.callback_group, qos)

        self._feedback_publisher = publisher(
            impl.FeedbackMessage, "feedback", feedback_pub_qos_profile
        )
        self._status_publisher = publisher(
            impl.GoalStatusMessage, "status", status_pub_qos_profile
        )
        self._assemble(
            service(impl.SendGoalService, "send_goal", self._on_goal, goal_service_qos_profile),
            service(
                impl.CancelGoalService, "cancel_goal", self._on_cancel, cancel_service_qos_profile
            ),
            service(
                impl.GetResultService, "get_result", self._on_result, result_service_qos_profile
            ),
        )

    def register_goal_callback(self, goal_callback) -> None:
        """Set the callback that accepts or rejects goals; None accepts all."""
        self._goal_callback = _callable(goal_callback or default_goal_callback)

    def register_handle_accepted_callback(self, handle_accepted_callback) -> None:
        """Set the callback that gets accepted goals; None executes them at once."""
        self._handle_accepted_callback = _callable(
            handle_accepted_callback or default_handle_accepted_callback
        )

    def register_cancel_callback(self, cancel_callback) -> None:
        """Set the callback that accepts or rejects cancellations; None rejects all."""
        self._cancel_callback = _callable(cancel_callback or default_cancel_callback)

    def register_execute_callback(self, execute_callback) -> None:
        """Set the callback that does the work; None leaves goals to calls on their handles."""
        self._execute_callback = None if execute_callback is None else _callable(execute_callback)

    def notify_execute(self, goal_handle: ServerGoalHandle, execute_callback) -> None:
        """Hand a goal to the executor; None stands for the registered callback."""
        execute_callback = execute_callback or self._execute_callback
        if execute_callback is not None:
            goal_handle._result_follows = True
            self._node.executor.create_task(self._execute_goal, execute_callback, goal_handle)

    async def _on_goal(self, request: Any, reply) -> None:
        response = self._action_type.Impl.SendGoalService.Response()
        key = bytes(request.goal_id.uuid)
        if key not in self._goal_handles:
            answer = await await_or_execute(self._goal_callback, request.goal)
            if not isinstance(answer, GoalResponse):
                self._logger.warning(
                    f"goal callback returned {answer!r} instead of a GoalResponse; goal rejected"
                )
            response.accepted = answer == GoalResponse.ACCEPT
        if response.accepted:
            response.stamp = self._node.get_clock().now().to_msg()
            goal_info = GoalInfo(goal_id=request.goal_id, stamp=response.stamp)
            goal_handle = ServerGoalHandle(self, goal_info, request.goal)
            with self._lock:
                response.accepted = self._goal_handles.setdefault(key, goal_handle) is goal_handle
                if response.accepted:
                    self._publish_status()
        reply(response)
        if response.accepted:
            await await_or_execute(self._handle_accepted_callback, goal_handle)

    async def _execute_goal(self, execute_callback, goal_handle: ServerGoalHandle) -> None:
        try:
            result = await await_or_execute(execute_callback, goal_handle)
        except Exception as error:
            result = self._action_type.Result()
            self._logger.error(f"Error raised in execute callback: {error}")
            traceback.print_exc()
        if goal_handle.is_active:
            self._logger.warning(
                f"Goal state not set, assuming aborted. Goal ID: {_text(goal_handle.goal_id)}"
            )
            goal_handle.abort()
        goal_handle._set_result(result)

    async def _on_cancel(self, request: Any, reply) -> None:
        response = CancelGoal.Response()
        candidates, response.return_code = self._cancel_candidates(request.goal_info)
        for goal_handle in candidates:
            if await await_or_execute(self._cancel_callback, goal_handle) != CancelResponse.ACCEPT:
                continue
            with self._lock:
                if goal_handle.status in _PREDECESSORS[_CANCELING]:
                    goal_handle._update_status(_CANCELING)
                    response.goals_canceling.append(goal_handle._goal_info)
        if candidates and not response.goals_canceling:
            response.return_code = CancelGoal.Response.ERROR_REJECTED
        reply(response)

    def _cancel_candidates(self, wanted: GoalInfo) -> tuple[list[ServerGoalHandle], int]:
        """Select goals by id, by time of acceptance (that time or before), or all."""
        key = bytes(wanted.goal_id.uuid)
        stamp = Time.from_msg(wanted.stamp).nanoseconds
        by_id = any(key)
        with self._lock:
            if by_id and not stamp and key not in self._goal_handles:
                return [], CancelGoal.Response.ERROR_UNKNOWN_GOAL_ID
            candidates = [
                goal_handle
                for candidate, goal_handle in self._goal_handles.items()
                if goal_handle.status in _PREDECESSORS[_CANCELING]
                and (
                    (by_id and candidate == key)
                    or (stamp and Time.from_msg(goal_handle._goal_info.stamp).nanoseconds <= stamp)
                    or not (by_id or stamp)
                )
            ]
        if by_id and not stamp and not candidates:
            return [], CancelGoal.Response.ERROR_GOAL_TERMINATED
        return candidates, CancelGoal.Response.ERROR_NONE

    async def _on_result(self, request: Any, reply) -> None:
        goal_handle = self._goal_handles.get(bytes(request.goal_id.uuid))
        if goal_handle is None:
            reply(
                self._action_type.Impl.GetResultService.Response(status=GoalStatus.STATUS_UNKNOWN)
            )
        else:
            goal_handle._result_future.add_done_callback(lambda future: reply(future.result()))

    def _publish_status(self) -> None:
        self._status_publisher.publish(
            GoalStatusArray(
                status_list=[
                    GoalStatus(goal_info=goal_handle._goal_info, status=goal_handle.status)
                    for goal_handle in self._goal_handles.values()
                ]
            )
        )

    def _arm_expiry(self) -> None:
        timer = self._expiry_timer
        if self._result_timeout_ns >= 0 and not timer._destroyed and timer.is_canceled():
            timer.timer_period_ns = max(self._result_timeout_ns, 1)
            timer.reset()

    def _expire_goals(self) -> None:
        self._expiry_timer.cancel()
        now = self._node.get_clock().now().nanoseconds
        with self._lock:
            left = []
            for key, goal_handle in list(self._goal_handles.items()):
                if goal_handle._terminated_ns is not None:
                    left_ns = goal_handle._terminated_ns + self._result_timeout_ns - now
                    if left_ns <= 0:
                        del self._goal_handles[key]
                    else:
                        left.append(left_ns)
        if left:
            self._expiry_timer.timer_period_ns = min(left)
            self._expiry_timer.reset()

    def destroy(self) -> None:
        """Stop serving; goals still being executed are forgotten."""
        goal_handles = list(self._goal_handles.values())
        for goal_handle in goal_handles:
            goal_handle.destroy()
        self._node.destroy_timer(self._expiry_timer)
        super().destroy()
        for goal_handle in goal_handles:
            goal_handle._result_future.cancel()
        self._feedback_publisher.destroy()
        self._status_publisher.destroy()


def _callable(callback):
    if not callable(callback):
        raise TypeError(f"an action server's callback must be callable, not {callback!r}")
    return callback


def _text(goal_id: UUID) -> str:
    return bytes(goal_id.uuid).hex()
