# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""ROS 2 over Zenoh, compatible with rmw_zenoh."""

from __future__ import annotations

from pocket_ros2.wire.endpoints import (
    Request,
    Sample,
    WireClient,
    WirePublisher,
    WireService,
    WireSubscriber,
)
from pocket_ros2.wire.graph import Graph
from pocket_ros2.wire.names import Endpoint
from pocket_ros2.wire.qos import Qos
from pocket_ros2.wire.session import NodeToken, Session

__all__ = [
    "Endpoint",
    "Graph",
    "NodeToken",
    "Qos",
    "Request",
    "Sample",
    "Session",
    "WireClient",
    "WirePublisher",
    "WireService",
    "WireSubscriber",
]
