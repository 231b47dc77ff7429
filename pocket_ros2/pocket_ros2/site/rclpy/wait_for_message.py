# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Takes one message without an executor."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

if TYPE_CHECKING:
    from rclpy.node import Node


def wait_for_message(
    msg_type: Any,
    node: Node,
    topic: str,
    *,
    qos_profile: QoSProfile | int = 1,
    time_to_wait: float = -1,
) -> tuple[bool, Any]:
    """Block until a message comes; (False, None) after the time, if not negative, or shutdown."""
    deadline = None if time_to_wait < 0 else time.monotonic() + time_to_wait
    qos = QoSProfile(depth=qos_profile) if isinstance(qos_profile, int) else qos_profile
    arrived = threading.Event()
    node.context.on_shutdown(arrived.set)
    name = node.resolve_topic_name(topic)
    with Subscription(node, msg_type, name, lambda message: None, None, qos) as subscription:
        subscription._wake = arrived.set
        while node.context.ok():
            taken = subscription.take()
            if taken is not None:
                return True, taken[0]
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                break
            arrived.wait(left)
            arrived.clear()
    return False, None
