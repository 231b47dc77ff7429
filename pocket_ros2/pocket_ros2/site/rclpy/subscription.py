# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

from pocket_ros2 import idl
from rclpy._entity import Entity, await_or_execute
from rclpy.qos import HistoryPolicy, QoSProfile

if TYPE_CHECKING:
    from pocket_ros2.wire import Endpoint
    from pocket_ros2.wire.endpoints import Sample

    from rclpy.callback_groups import CallbackGroup
    from rclpy.node import Node


class MessageInfo(TypedDict):
    source_timestamp: int
    received_timestamp: int
    publication_sequence_number: int
    reception_sequence_number: int | None


class Subscription(Entity):
    """Keeps the newest messages, as many as its depth, until the executor takes them."""

    class CallbackType(Enum):
        MessageOnly = 0
        WithMessageInfo = 1

    kind: ClassVar[int] = Entity.SUBSCRIPTION

    def __init__(
        self,
        node: Node,
        msg_type: Any,
        topic: str,
        callback: Callable[..., Any],
        callback_group: CallbackGroup | None,
        qos_profile: QoSProfile,
        raw: bool = False,
    ) -> None:
        super().__init__(callback_group)
        self._type_support = idl.type_support(msg_type)
        self._logger = node.get_logger()
        self.logger_name = self._logger.name
        self._graph = node._rclpy_session.graph
        self.msg_type = msg_type
        self.topic = self.topic_name = topic
        self.qos_profile = qos_profile
        self.raw = raw
        self.callback = callback
        qos = qos_profile._to_wire(offered=False)
        keep_all = qos_profile.history == HistoryPolicy.KEEP_ALL
        self._received: deque[Sample] = deque(maxlen=None if keep_all else qos.effective_depth)
        self._wire = node._rclpy_session.subscriber(
            node._rclpy_token,
            topic,
            self._type_support,
            qos,
            self._on_sample,
            self._on_incompatible,
        )

    @property
    def callback(self) -> Callable[..., Any]:
        return self._callback

    @callback.setter
    def callback(self, callback: Callable[..., Any]) -> None:
        if _accepts(callback, 1):
            self._callback_type = self.CallbackType.MessageOnly
        elif _accepts(callback, 2):
            self._callback_type = self.CallbackType.WithMessageInfo
        else:
            raise RuntimeError(
                "a subscription's callback takes one argument, the message, or two: the message "
                f"and its MessageInfo; {callback!r} takes neither"
            )
        self._callback = callback

    def _on_sample(self, sample: Sample) -> None:
        self._received.append(sample)
        self.notify()

    def _on_incompatible(self, policy: str, remote: Endpoint) -> None:
        self._logger.warning(
            f"New publisher discovered on topic '{self.topic_name}', offering incompatible QoS. "
            f"No messages will be received from it. Last incompatible policy: {policy}"
        )

    def ready(self) -> bool:
        return bool(self._received)

    def take(self) -> tuple[Any, MessageInfo] | None:
        """Return the oldest message that can be read."""
        while self._received and not self._destroyed:
            sample = self._received.popleft()
            data: Any = sample.payload.to_bytes()
            if not self.raw:
                try:
                    data = self._type_support.deserialize(data)
                except idl.CdrError as error:
                    self._logger.error(
                        f"Dropping a message on topic '{self.topic_name}' that is no "
                        f"{self._type_support.ros_name}: {error}",
                        throttle_duration_sec=5.0,
                    )
                    continue
            return data, MessageInfo(
                source_timestamp=sample.source_ns,
                received_timestamp=sample.received_ns,
                publication_sequence_number=sample.sequence,
                reception_sequence_number=None,
            )
        return None

    async def execute(self, taken: Any) -> None:
        message, info = taken
        if self._callback_type is self.CallbackType.MessageOnly:
            await await_or_execute(self._callback, message)
        else:
            await await_or_execute(self._callback, message, info)

    def get_publisher_count(self) -> int:
        self._check()
        return len(self._graph.endpoints("MP", self.topic_name))

    def destroy(self) -> None:
        super().destroy()
        self._wire.close()
        self._received.clear()


def _accepts(callback: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(callback).bind(*range(count))
    except TypeError:
        return False
    except ValueError:
        return count == 1  # A built-in without signature, such as list.append.
    return True
