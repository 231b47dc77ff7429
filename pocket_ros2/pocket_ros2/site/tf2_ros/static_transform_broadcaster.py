# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishes the transforms of frames that never move."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage


class StaticTransformBroadcaster:
    """Sends transforms to /tf_static, where late listeners find all that were ever sent."""

    def __init__(self, node: Any, qos: QoSProfile | int | None = None) -> None:
        qos = qos or QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.pub_tf = node.create_publisher(TFMessage, "/tf_static", qos)
        self._sent: dict[str, Any] = {}

    def sendTransform(self, transform: Any) -> None:
        """Publish one TransformStamped or several, replacing earlier ones of the same child."""
        several = list(transform) if isinstance(transform, Iterable) else [transform]
        self._sent.update((item.child_frame_id, item) for item in several)
        self.pub_tf.publish(TFMessage(transforms=list(self._sent.values())))
