# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Clients of services."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

from pocket_ros2 import idl
from rclpy._entity import Entity
from rclpy._rclpy_pybind11 import RCLError
from rclpy.qos import QoSProfile
from rclpy.task import Future
from rclpy.utilities import check_is_valid_srv_type

if TYPE_CHECKING:
    from rclpy.callback_groups import CallbackGroup
    from rclpy.node import Node


class Client(Entity):
    kind: ClassVar[int] = Entity.CLIENT

    def __init__(
        self,
        node: Node,
        srv_type: Any,
        srv_name: str,
        qos_profile: QoSProfile,
        callback_group: CallbackGroup | None,
    ) -> None:
        super().__init__(callback_group)
        check_is_valid_srv_type(srv_type)
        self._node = node
        self.context = node.context
        self.logger_name = node.get_logger().name
        self.srv_type = srv_type
        self.srv_name = self.service_name = srv_name
        self.qos_profile = qos_profile
        self._sequence = itertools.count(1)
        self._pending: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        self._replies: deque[tuple[int, Any]] = deque()
        self._graph = node._rclpy_session.graph
        self._wire = node._rclpy_session.client(
            node._rclpy_token, srv_name, srv_type._TYPE_SUPPORT, qos_profile._to_wire()
        )

    def call(self, request: Any, timeout_sec: float | None = None) -> Any:
        """Call and block until the response; an executor must spin in another thread.

        Raises:
            TimeoutError: No response came in time.
        """
        future = self.call_async(request)
        if not future._wait(timeout_sec):
            self.remove_pending_request(future)
            raise TimeoutError(f"service '{self.srv_name}' did not respond within {timeout_sec} s")
        return future.result()

    def call_async(self, request: Any) -> Future[Any]:
        """Call; the future ends with ConnectionError when the server goes away."""
        self._check()
        if not isinstance(request, self.srv_type.Request):
            raise TypeError(
                f"service '{self.srv_name}' takes a {self.srv_type.__name__}.Request, "
                f"not {request!r}"
            )
        if not self.context.ok():
            raise RCLError("Failed to send request: client's context is invalid")
        payload = self.srv_type.Request._TYPE_SUPPORT.serialize(request)
        sequence = next(self._sequence)
        future: Future[Any] = Future()
        with self._lock:
            self._pending[sequence] = future
        future._on_done(lambda: self._pending.pop(sequence, None))
        served = self._wire.ready()
        self._wire.call(payload, sequence, lambda reply: self._on_reply(sequence, reply, served))
        return future

    def _on_reply(self, sequence: int, reply: Any, served: bool) -> None:
        if reply is None and not served:
            return  # Nobody was asked, so nobody went away: the future stays open.
        self._replies.append((sequence, reply))
        self.notify()

    def remove_pending_request(self, future: Future[Any]) -> None:
        """Forget a request; its response is ignored."""
        with self._lock:
            for sequence, pending in list(self._pending.items()):
                if pending is future:
                    del self._pending[sequence]

    def ready(self) -> bool:
        return bool(self._replies)

    def take(self) -> tuple[Future[Any], Any] | None:
        while self._replies and not self._destroyed:
            sequence, reply = self._replies.popleft()
            future = self._pending.get(sequence)
            if future is None:
                continue
            if reply is None:
                return future, ConnectionError(
                    f"the server of service '{self.srv_name}' went away without a response"
                )
            try:
                response = self.srv_type.Response._TYPE_SUPPORT.deserialize(reply.to_bytes())
            except idl.CdrError as error:
                response = ConnectionError(
                    f"the response of service '{self.srv_name}' cannot be read: {error}"
                )
            return future, response
        return None

    async def execute(self, taken: Any) -> None:
        future, outcome = taken
        future._set_executor(self._node.executor)
        if isinstance(outcome, ConnectionError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    def service_is_ready(self) -> bool:
        self._check()
        return self._wire.ready()

    def wait_for_service(self, timeout_sec: float | None = None) -> bool:
        """Block until a server is there; False after the timeout or on shutdown."""
        return self._node._rclpy_wait_for_graph(self.service_is_ready, timeout_sec)

    def destroy(self) -> None:
        super().destroy()
        self._wire.close()
        self._replies.clear()
