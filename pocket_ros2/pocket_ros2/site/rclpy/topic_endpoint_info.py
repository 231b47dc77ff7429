# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the graph knows about one publisher or subscription."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from enum import IntEnum

from pocket_ros2.wire import Endpoint

from rclpy.qos import HistoryPolicy, QoSProfile, qos_profile_unknown
from rclpy.type_hash import TypeHash


class TopicEndpointTypeEnum(IntEnum):
    INVALID = 0
    PUBLISHER = 1
    SUBSCRIPTION = 2


@dataclass
class TopicEndpointInfo:
    node_name: str = ""
    node_namespace: str = ""
    topic_type: str = ""
    topic_type_hash: TypeHash = field(default_factory=TypeHash)
    endpoint_type: TopicEndpointTypeEnum = TopicEndpointTypeEnum.INVALID
    endpoint_gid: list[int] = field(default_factory=list)
    qos_profile: QoSProfile = field(default_factory=lambda: copy.copy(qos_profile_unknown))

    @classmethod
    def _from_wire(cls, endpoint: Endpoint) -> TopicEndpointInfo:
        publishes = endpoint.kind == "MP"
        return cls(
            node_name=endpoint.node,
            node_namespace=endpoint.namespace,
            topic_type=endpoint.type_name,
            topic_type_hash=TypeHash._from_text(endpoint.type_hash),
            endpoint_type=TopicEndpointTypeEnum.PUBLISHER
            if publishes
            else TopicEndpointTypeEnum.SUBSCRIPTION,
            endpoint_gid=list(endpoint.gid),
            qos_profile=QoSProfile._from_wire(endpoint.qos),
        )

    def __str__(self) -> str:
        gid = ".".join(f"{byte:02x}" for byte in self.endpoint_gid)
        qos = self.qos_profile
        depth = f" ({qos.depth})" if qos.history == HistoryPolicy.KEEP_LAST else ""
        return (
            f"Node name: {self.node_name}\n"
            f"Node namespace: {self.node_namespace}\n"
            f"Topic type: {self.topic_type}\n"
            f"Topic type hash: {self.topic_type_hash}\n"
            f"Endpoint type: {self.endpoint_type.name}\n"
            f"GID: {gid}\n"
            "QoS profile:\n"
            f"  Reliability: {qos.reliability.name}\n"
            f"  History (Depth): {qos.history.name}{depth}\n"
            f"  Durability: {qos.durability.name}\n"
            f"  Lifespan: {qos.lifespan}\n"
            f"  Deadline: {qos.deadline}\n"
            f"  Liveliness: {qos.liveliness.name}\n"
            f"  Liveliness lease duration: {qos.liveliness_lease_duration}"
        )
