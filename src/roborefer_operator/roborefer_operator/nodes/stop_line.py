# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The latched topic `stop` as console and executive use it."""

from __future__ import annotations

import threading

from rclpy.node import Node
from roborefer_common.qos import LATCHED
from std_msgs.msg import Bool

# What was said is heard again within this time, seconds.
_ECHO_S = 0.5


class StopLine:
    """Says stop and release, and leaves no word behind that somebody took back later.

    Every publisher of a latched topic keeps its own last message for nodes that start later. A
    stop of ours that somebody else released, or the other way round, must not reach them.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._said: bool | None = None
        self._said_ns = 0
        self._publisher = node.create_publisher(Bool, "stop", LATCHED)

    def say(self, stop: bool) -> None:
        """Set or release the stop; from any thread."""
        with self._lock:
            self._said, self._said_ns = stop, self._now_ns()
            self._publisher.publish(Bool(data=stop))

    def heard(self, stop: bool) -> None:
        """Take note of what anybody said, we included."""
        with self._lock:
            if self._said is None or self._said == stop:
                return
            if stop:
                # To agree with a stop can only be too careful.
                self._said, self._said_ns = True, self._now_ns()
                self._publisher.publish(Bool(data=True))
            elif self._now_ns() - self._said_ns > _ECHO_S * 1e9:
                self._node.destroy_publisher(self._publisher)
                self._publisher = self._node.create_publisher(Bool, "stop", LATCHED)
                self._said = None

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)
