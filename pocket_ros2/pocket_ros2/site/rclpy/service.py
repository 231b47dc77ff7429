# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Services."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from pocket_ros2 import idl
from rclpy._entity import Entity, await_or_execute
from rclpy.qos import QoSProfile
from rclpy.utilities import check_is_valid_srv_type

if TYPE_CHECKING:
    from pocket_ros2.wire import Request

    from rclpy.callback_groups import CallbackGroup
    from rclpy.node import Node


class Service(Entity):
    kind: ClassVar[int] = Entity.SERVICE

    def __init__(
        self,
        node: Node,
        srv_type: Any,
        srv_name: str,
        callback: Callable[[Any, Any], Any],
        callback_group: CallbackGroup | None,
        qos_profile: QoSProfile,
    ) -> None:
        super().__init__(callback_group)
        check_is_valid_srv_type(srv_type)
        self._logger = node.get_logger()
        self.logger_name = self._logger.name
        self.srv_type = srv_type
        self.srv_name = self.service_name = srv_name
        self.callback = callback
        self.qos_profile = qos_profile
        self._requests: deque[Request] = deque()
        self._wire = node._rclpy_session.service(
            node._rclpy_token,
            srv_name,
            srv_type._TYPE_SUPPORT,
            qos_profile._to_wire(),
            self._on_request,
        )

    def _on_request(self, request: Request) -> None:
        self._requests.append(request)
        self.notify()

    def ready(self) -> bool:
        return bool(self._requests)

    def take(self) -> tuple[Any, Request] | None:
        """Return the oldest request that can be read, and what its response must carry."""
        while self._requests and not self._destroyed:
            request = self._requests.popleft()
            try:
                message = self.srv_type.Request._TYPE_SUPPORT.deserialize(
                    request.payload.to_bytes()
                )
            except idl.CdrError as error:
                request.drop()
                self._logger.error(
                    f"Dropping a request to service '{self.srv_name}' that cannot be read: "
                    f"{error}",
                    throttle_duration_sec=5.0,
                )
                continue
            return message, request
        return None

    async def execute(self, taken: Any) -> None:
        request, request_id = taken
        response = await await_or_execute(self.callback, request, self.srv_type.Response())
        self.send_response(response, request_id)

    def send_response(self, response: Any, header: Request) -> None:
        """Answer a request, now or later, from any thread."""
        self._check()
        if not isinstance(response, self.srv_type.Response):
            raise TypeError(
                f"the callback of service '{self.srv_name}' must return a "
                f"{self.srv_type.__name__}.Response, not {response!r}"
            )
        header.reply(self.srv_type.Response._TYPE_SUPPORT.serialize(response))

    def destroy(self) -> None:
        super().destroy()
        self._wire.close()
        while self._requests:
            self._requests.popleft().drop()
