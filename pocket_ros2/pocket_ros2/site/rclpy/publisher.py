# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pocket_ros2 import idl
from rclpy._entity import Destroyable
from rclpy._rclpy_pybind11 import RCLError
from rclpy.duration import Duration
from rclpy.qos import QoSProfile

if TYPE_CHECKING:
    from pocket_ros2.wire import Endpoint

    from rclpy.node import Node


class Publisher(Destroyable):
    def __init__(self, node: Node, msg_type: Any, topic: str, qos_profile: QoSProfile) -> None:
        self._type_support = idl.type_support(msg_type)
        self._context = node.context
        self._logger = node.get_logger()
        self.logger_name = self._logger.name
        self.msg_type = msg_type
        self.topic = self.topic_name = topic
        self.qos_profile = qos_profile
        self._wire = node._rclpy_session.publisher(
            node._rclpy_token,
            topic,
            self._type_support,
            qos_profile._to_wire(),
            self._on_incompatible,
        )

    def _on_incompatible(self, policy: str, remote: Endpoint) -> None:
        self._logger.warning(
            f"New subscription discovered on topic '{self.topic_name}', requesting incompatible "
            f"QoS. No messages will be sent to it. Last incompatible policy: {policy}"
        )

    def publish(self, msg: Any) -> None:
        """Send a message, or one that was serialized before."""
        self._check_usable()
        if isinstance(msg, self.msg_type):
            data = self._type_support.serialize(msg)
        elif isinstance(msg, bytes):
            data = msg
        else:
            raise TypeError(
                f"Expected {self.msg_type.__name__} or bytes for topic '{self.topic_name}', "
                f"got {type(msg).__name__}"
            )
        try:
            self._wire.put(data, time.time_ns())
        except RuntimeError:
            self._check_usable()  # Says who has closed it since the check above.
            raise

    def _check_usable(self) -> None:
        self._check()
        if not self._context.ok():
            raise RCLError("Failed to publish: publisher's context is invalid")

    def get_subscription_count(self) -> int:
        self._check_usable()
        return self._wire.matched_count()

    def assert_liveliness(self) -> None:
        """Do nothing: a publisher is alive while its process is."""
        self._check_usable()

    def wait_for_all_acked(self, timeout: Duration | None = None) -> bool:
        """Return True at once: the transport hands over what it has accepted."""
        self._check_usable()
        return True

    def destroy(self) -> None:
        super().destroy()
        self._wire.close()
