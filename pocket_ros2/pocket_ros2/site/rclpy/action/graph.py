# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Which actions the graph knows, read off their feedback topics."""

from __future__ import annotations

from rclpy.node import Node

_TOPIC = "/_action/feedback"
_TYPE = "_FeedbackMessage"


def _actions(topics: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    return [
        (name.removesuffix(_TOPIC), [t.removesuffix(_TYPE) for t in types if t.endswith(_TYPE)])
        for name, types in topics
        if name.endswith(_TOPIC)
    ]


def get_action_client_names_and_types_by_node(
    node: Node, remote_node_name: str, remote_node_namespace: str
) -> list[tuple[str, list[str]]]:
    """Return the actions a remote node is a client of."""
    return _actions(
        node.get_subscriber_names_and_types_by_node(remote_node_name, remote_node_namespace)
    )


def get_action_server_names_and_types_by_node(
    node: Node, remote_node_name: str, remote_node_namespace: str
) -> list[tuple[str, list[str]]]:
    """Return the actions a remote node serves."""
    return _actions(
        node.get_publisher_names_and_types_by_node(remote_node_name, remote_node_namespace)
    )


def get_action_names_and_types(node: Node) -> list[tuple[str, list[str]]]:
    """Return all actions that have a server or a client."""
    return _actions(node.get_topic_names_and_types())
