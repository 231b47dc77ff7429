# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishes what a node's logger and its children say on /rosout."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import Log

from rclpy import _logging_console as console
from rclpy.clock_type import ClockType
from rclpy.time import Time

if TYPE_CHECKING:
    from rclpy.node import Node
    from rclpy.qos import QoSProfile

_publishers: dict[str, list[Any]] = {}
_lock = threading.Lock()
_busy = threading.local()


def attach(node: Node, qos_profile: QoSProfile) -> None:
    """Publish the messages of this node's loggers from now on."""
    publisher = node._rclpy_session.publisher(
        node._rclpy_token, "/rosout", Log._TYPE_SUPPORT, qos_profile._to_wire()
    )
    node._rclpy_rosout_publisher = publisher
    with _lock:
        _publishers.setdefault(node.get_logger().name, []).append(publisher)
        if _publish not in console.sinks:
            console.sinks.append(_publish)


def detach(node: Node) -> None:
    """Stop, when the node is destroyed."""
    name = node.get_logger().name
    publisher = getattr(node, "_rclpy_rosout_publisher", None)
    with _lock:
        remaining = [other for other in _publishers.pop(name, []) if other is not publisher]
        if remaining:
            _publishers[name] = remaining
    if publisher is not None:
        publisher.close()
        node._rclpy_rosout_publisher = None


def _publisher_of(name: str) -> Any:
    with _lock:
        while name:
            if name in _publishers:
                # The latest: nodes of a context that was shut down may never be destroyed.
                return _publishers[name][-1]
            name = name.rpartition(".")[0]
    return None


def _publish(record: console.Record) -> None:
    publisher = _publisher_of(record.name)
    # A message logged by the act of publishing one would publish forever.
    if publisher is None or getattr(_busy, "publishing", False):
        return
    log = Log(
        stamp=Time(nanoseconds=record.stamp_ns, clock_type=ClockType.ROS_TIME).to_msg(),
        level=record.severity.value,
        name=record.name,
        msg=record.message,
        file=record.file,
        function=record.function,
        line=record.line,
    )
    _busy.publishing = True
    try:
        # Closed: of a node that was dropped, not destroyed, and whose context was shut down.
        with contextlib.suppress(RuntimeError):
            publisher.put(Log._TYPE_SUPPORT.serialize(log), record.stamp_ns)
    finally:
        _busy.publishing = False
