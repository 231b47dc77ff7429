# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Action client."""

from __future__ import annotations

import uuid
import weakref
from typing import Any

from action_msgs.msg import GoalStatus
from action_msgs.srv import CancelGoal
from unique_identifier_msgs.msg import UUID

from rclpy.client import Client
from rclpy.qos import (
    QoSProfile,
    qos_profile_action_status_default,
    qos_profile_services_default,
)
from rclpy.subscription import Subscription
from rclpy.task import Future

from ._bundle import Bundle, resolved_names

_TERMINAL = (
    GoalStatus.STATUS_SUCCEEDED,
    GoalStatus.STATUS_CANCELED,
    GoalStatus.STATUS_ABORTED,
)


class ClientGoalHandle:
    """A goal as its client sees it; the status follows the server's status topic."""

    def __init__(self, action_client: ActionClient, goal_id: UUID, goal_response: Any):
        self._action_client = action_client
        self._goal_id = goal_id
        self._goal_response = goal_response
        self._status = GoalStatus.STATUS_UNKNOWN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClientGoalHandle) and self._goal_id == other._goal_id

    def __hash__(self) -> int:
        return hash(bytes(self._goal_id.uuid))

    def __repr__(self) -> str:
        return (
            f"ClientGoalHandle <id={bytes(self._goal_id.uuid).hex()}, "
            f"accepted={self.accepted}, status={self.status}>"
        )

    @property
    def goal_id(self) -> UUID:
        return self._goal_id

    @property
    def stamp(self) -> Any:
        return self._goal_response.stamp

    @property
    def accepted(self) -> bool:
        return self._goal_response.accepted

    @property
    def status(self) -> int:
        return self._status

    def cancel_goal_async(self) -> Future:
        """Ask the server to cancel; the future holds the CancelGoal response."""
        return self._action_client._cancel_goal_async(self)

    def cancel_goal(self) -> Any:
        """Ask the server to cancel and block until it answers."""
        return _wait(self.cancel_goal_async())

    def get_result_async(self) -> Future:
        """Ask for the result; the future holds the response with `status` and `result`."""
        return self._action_client._get_result_async(self)

    def get_result(self) -> Any:
        """Block until the goal is done and return the response with `status` and `result`."""
        return _wait(self.get_result_async())


class ActionClient(Bundle):
    """Sends goals to an action server."""

    def __init__(
        self,
        node,
        action_type,
        action_name: str,
        *,
        callback_group=None,
        goal_service_qos_profile: QoSProfile = qos_profile_services_default,
        result_service_qos_profile: QoSProfile = qos_profile_services_default,
        cancel_service_qos_profile: QoSProfile = qos_profile_services_default,
        feedback_sub_qos_profile: QoSProfile = QoSProfile(depth=10),
        status_sub_qos_profile: QoSProfile = qos_profile_action_status_default,
    ):
        super().__init__(node, callback_group)
        names = resolved_names(node, action_type, action_name)
        self._action_type = action_type
        self._action_name = action_name
        self._feedback_callbacks: dict[bytes, Any] = {}
        self._goal_handles: dict[bytes, weakref.ref[ClientGoalHandle]] = {}
        self._last_status = action_type.Impl.GoalStatusMessage()
        self._topics = (names["feedback"], names["status"])
        impl = action_type.Impl

        def client(srv_type, key, qos):
            return Client(node, srv_type, names[key], qos, self.callback_group)

        def subscription(msg_type, key, callback, qos):
            return Subscription(node, msg_type, names[key], callback, self.callback_group, qos)

        self._goal_client = client(impl.SendGoalService, "send_goal", goal_service_qos_profile)
        self._cancel_client = client(
            impl.CancelGoalService, "cancel_goal", cancel_service_qos_profile
        )
        self._result_client = client(
            impl.GetResultService, "get_result", result_service_qos_profile
        )
        # Feedback comes before results: what was sent earlier is delivered earlier.
        self._assemble(
            self._goal_client,
            self._cancel_client,
            subscription(
                impl.FeedbackMessage, "feedback", self._on_feedback, feedback_sub_qos_profile
            ),
            subscription(
                impl.GoalStatusMessage, "status", self._on_status, status_sub_qos_profile
            ),
            self._result_client,
        )

    def _on_feedback(self, message: Any) -> None:
        callback = self._feedback_callbacks.get(bytes(message.goal_id.uuid))
        if callback is not None:
            callback(message)

    def _on_status(self, message: Any) -> None:
        self._last_status = message
        for entry in message.status_list:
            key = bytes(entry.goal_info.goal_id.uuid)
            goal_handle = self._goal_handles.get(key, lambda: None)()
            if goal_handle is not None:
                goal_handle._status = entry.status
            if entry.status in _TERMINAL:
                self._goal_handles.pop(key, None)
                self._feedback_callbacks.pop(key, None)

    def send_goal_async(self, goal, feedback_callback=None, goal_uuid=None) -> Future:
        """Send a goal; the future holds a ClientGoalHandle once the server decided.

        Args:
            goal: The goal message.
            feedback_callback: Called with every feedback message of this goal.
            goal_uuid: Identifier of the goal; random when None.
        """
        if not isinstance(goal, self._action_type.Goal):
            raise TypeError(
                f"goal must be a {self._action_type.__name__}.Goal, not {type(goal).__name__}"
            )
        if goal_uuid is None:
            goal_uuid = UUID(uuid=list(uuid.uuid4().bytes))
        request = self._action_type.Impl.SendGoalService.Request(goal_id=goal_uuid, goal=goal)
        key = bytes(goal_uuid.uuid)
        if feedback_callback is not None:
            self._feedback_callbacks[key] = feedback_callback
        future = Future()
        response_future = self._goal_client.call_async(request)

        def decided(_):
            if future.done() or future.cancelled():
                return
            if (error := response_future.exception()) is not None:
                self._feedback_callbacks.pop(key, None)
                future.set_exception(error)
                return
            goal_handle = ClientGoalHandle(self, goal_uuid, response_future.result())
            if goal_handle.accepted:
                self._goal_handles[key] = weakref.ref(goal_handle)
                self._on_status(self._last_status)
            else:
                self._feedback_callbacks.pop(key, None)
            future.set_result(goal_handle)

        response_future.add_done_callback(decided)
        future.add_done_callback(
            lambda _: self._goal_client.remove_pending_request(response_future)
        )
        return future

    def send_goal(self, goal, **kwargs) -> Any:
        """Send a goal and block until its result response; needs another thread that spins.

        Takes the arguments of `send_goal_async`. A rejected goal has the status UNKNOWN.
        """
        return _wait(self.send_goal_async(goal, **kwargs)).get_result()

    def _cancel_goal_async(self, goal_handle: ClientGoalHandle) -> Future:
        request = CancelGoal.Request()
        request.goal_info.goal_id = goal_handle.goal_id
        return self._cancel_client.call_async(request)

    def _get_result_async(self, goal_handle: ClientGoalHandle) -> Future:
        request = self._action_type.Impl.GetResultService.Request(goal_id=goal_handle.goal_id)
        future = self._result_client.call_async(request)
        key = bytes(goal_handle.goal_id.uuid)
        future.add_done_callback(lambda _: self._feedback_callbacks.pop(key, None))
        return future

    def server_is_ready(self) -> bool:
        """Return whether a server offers all services and topics of the action."""
        clients = (self._goal_client, self._cancel_client, self._result_client)
        return all(client.service_is_ready() for client in clients) and all(
            self._node.count_publishers(topic) for topic in self._topics
        )

    def wait_for_server(self, timeout_sec: float | None = None) -> bool:
        """Block until a server is ready; returns False after the timeout or on shutdown."""
        return self._node._rclpy_wait_for_graph(self.server_is_ready, timeout_sec)


def _wait(future: Future) -> Any:
    future._wait()
    return future.result()
