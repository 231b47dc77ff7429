# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""`node list | info`."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import TYPE_CHECKING, Any

from pocket_ros2.cli.common import CliError, absolute, group, ros_node, verb

if TYPE_CHECKING:
    from rclpy.node import Node


def register(commands: Any) -> None:
    """Add the commands of this module."""
    verbs = group(commands, "node", "look at nodes")
    listing = verb(verbs, "list", _list, "print the nodes in the graph")
    listing.add_argument("-a", "--all", action="store_true", help="include hidden nodes")
    listing.add_argument("-c", "--count", action="store_true", help="only print the number")
    verb(verbs, "info", _info, "print what a node offers and uses", "node")


def node_names(node: Node, hidden: bool = False) -> list[str]:
    """Return the full names of all nodes, sorted, without this command's own node."""
    found = [
        f"{namespace.rstrip('/')}/{name}"
        for name, namespace in node.get_node_names_and_namespaces()
        if (hidden or not name.startswith("_")) and name != node.get_name()
    ]
    return sorted(found)


def require_node(node: Node, name: str) -> tuple[str, str]:
    """Return (name, namespace) of a node in the graph.

    Raises:
        CliError: There is none; the message lists those there are.
    """
    full = absolute(name)
    known = node_names(node, hidden=True)
    if full not in known:
        raise CliError(f"Node not found: {full}; running: {', '.join(known) or 'none'}")
    namespace, _, base = full.rpartition("/")
    return base, namespace or "/"


def _list(args: argparse.Namespace) -> None:
    with ros_node() as node:
        names = node_names(node, args.all)
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        print(f"WARNING: several nodes share a name: {', '.join(repeated)}")
    print(len(names) if args.count else "\n".join(names), end="\n" if names else "")


def _info(args: argparse.Namespace) -> None:
    from rclpy.action import (
        get_action_client_names_and_types_by_node,
        get_action_server_names_and_types_by_node,
    )

    with ros_node() as node:
        name, namespace = require_node(node, args.node)
        print(absolute(args.node))
        for title, found in (
            ("Subscribers", node.get_subscriber_names_and_types_by_node(name, namespace)),
            ("Publishers", node.get_publisher_names_and_types_by_node(name, namespace)),
            ("Service Servers", node.get_service_names_and_types_by_node(name, namespace)),
            ("Service Clients", node.get_client_names_and_types_by_node(name, namespace)),
            ("Action Servers", get_action_server_names_and_types_by_node(node, name, namespace)),
            ("Action Clients", get_action_client_names_and_types_by_node(node, name, namespace)),
        ):
            print(f"  {title}:")
            for entry, types in sorted(found):
                if "/_action/" not in entry:
                    print(f"    {entry}: {', '.join(types)}")
