# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a node can ask about all nodes, topics and services."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy._rclpy_pybind11 import NodeNameNonExistentError
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rclpy.validate_namespace import validate_namespace
from rclpy.validate_node_name import validate_node_name

NamesAndTypes = list[tuple[str, list[str]]]


class GraphMixin:
    """Reads the graph for a node."""

    _rclpy_session: Any
    context: Any
    resolve_topic_name: Callable[..., str]
    resolve_service_name: Callable[..., str]

    def get_node_names(self) -> list[str]:
        return [name for name, _, _ in self._rclpy_session.graph.nodes()]

    def get_fully_qualified_node_names(self) -> list[str]:
        return [f"{ns.rstrip('/')}/{name}" for name, ns, _ in self._rclpy_session.graph.nodes()]

    def get_node_names_and_namespaces(self) -> list[tuple[str, str]]:
        return [(name, namespace) for name, namespace, _ in self._rclpy_session.graph.nodes()]

    def get_node_names_and_namespaces_with_enclaves(self) -> list[tuple[str, str, str]]:
        return self._rclpy_session.graph.nodes()

    def __names_and_types(self, *kinds: str, node: tuple[str, str] | None = None) -> NamesAndTypes:
        if node is not None:
            name, namespace = node
            validate_node_name(name)
            validate_namespace(namespace)
            if node not in self.get_node_names_and_namespaces():
                raise NodeNameNonExistentError(
                    f"Cannot get names and types: there is no node '{name}' in '{namespace}'"
                )
        found: dict[str, set[str]] = {}
        for kind in kinds:
            place = None if node is None else (node[1], node[0])
            for endpoint in self._rclpy_session.graph.endpoints(kind, None, place):
                found.setdefault(endpoint.topic, set()).add(endpoint.type_name)
        return [(name, sorted(types)) for name, types in sorted(found.items())]

    def get_topic_names_and_types(self, no_demangle: bool = False) -> NamesAndTypes:
        return self.__names_and_types("MP", "MS")

    def get_service_names_and_types(self) -> NamesAndTypes:
        return self.__names_and_types("SS", "SC")

    def get_publisher_names_and_types_by_node(
        self, node_name: str, node_namespace: str, no_demangle: bool = False
    ) -> NamesAndTypes:
        return self.__names_and_types("MP", node=(node_name, node_namespace))

    def get_subscriber_names_and_types_by_node(
        self, node_name: str, node_namespace: str, no_demangle: bool = False
    ) -> NamesAndTypes:
        return self.__names_and_types("MS", node=(node_name, node_namespace))

    def get_service_names_and_types_by_node(
        self, node_name: str, node_namespace: str
    ) -> NamesAndTypes:
        return self.__names_and_types("SS", node=(node_name, node_namespace))

    def get_client_names_and_types_by_node(
        self, node_name: str, node_namespace: str
    ) -> NamesAndTypes:
        return self.__names_and_types("SC", node=(node_name, node_namespace))

    def count_publishers(self, topic_name: str) -> int:
        return len(self._rclpy_session.graph.endpoints("MP", self.resolve_topic_name(topic_name)))

    def count_subscribers(self, topic_name: str) -> int:
        return len(self._rclpy_session.graph.endpoints("MS", self.resolve_topic_name(topic_name)))

    def count_clients(self, service_name: str) -> int:
        return len(
            self._rclpy_session.graph.endpoints("SC", self.resolve_service_name(service_name))
        )

    def count_services(self, service_name: str) -> int:
        return len(
            self._rclpy_session.graph.endpoints("SS", self.resolve_service_name(service_name))
        )

    def __info_by_topic(self, kind: str, topic: str, no_mangle: bool) -> list[TopicEndpointInfo]:
        name = topic if no_mangle else self.resolve_topic_name(topic)
        return [
            TopicEndpointInfo._from_wire(endpoint)
            for endpoint in self._rclpy_session.graph.endpoints(kind, name)
        ]

    def get_publishers_info_by_topic(
        self, topic_name: str, no_mangle: bool = False
    ) -> list[TopicEndpointInfo]:
        return self.__info_by_topic("MP", topic_name, no_mangle)

    def get_subscriptions_info_by_topic(
        self, topic_name: str, no_mangle: bool = False
    ) -> list[TopicEndpointInfo]:
        return self.__info_by_topic("MS", topic_name, no_mangle)

    def wait_for_node(self, fully_qualified_node_name: str, timeout: float) -> bool:
        """Block until a node is there; False after the timeout or on shutdown."""
        wanted = "/" + fully_qualified_node_name.lstrip("/")
        return self._rclpy_wait_for_graph(
            lambda: wanted in self.get_fully_qualified_node_names(), timeout
        )

    def _rclpy_wait_for_graph(self, condition: Callable[[], bool], timeout: float | None) -> bool:
        deadline = None if timeout is None or timeout < 0 else time.monotonic() + timeout
        changed = threading.Event()
        self.context.on_shutdown(changed.set)
        stop = self._rclpy_session.graph.on_change(changed.set)
        try:
            while self.context.ok():
                changed.clear()
                if condition():
                    return True
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                if self.context.ok():
                    changed.wait(left)
        finally:
            stop()
        return False
