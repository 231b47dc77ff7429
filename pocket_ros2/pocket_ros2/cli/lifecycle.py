# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""`lifecycle nodes | get | list | set`."""

from __future__ import annotations

import argparse
from typing import Any

from pocket_ros2.cli.common import CliError, absolute, call, group, ros_node, verb
from pocket_ros2.cli.nodes import node_names, require_node


def register(commands: Any) -> None:
    """Add the commands of this module."""
    verbs = group(commands, "lifecycle", "look at and steer lifecycle nodes")
    verb(verbs, "nodes", _nodes, "print the lifecycle nodes in the graph")
    verb(verbs, "get", _get, "print the state of a node", "node")
    verb(verbs, "list", _list, "print the transitions that are open to a node now", "node")
    setter = verb(verbs, "set", _set, "trigger a transition", "node")
    setter.add_argument("transition", help="label or id, for example configure or activate")


def _ask(node: Any, name: str, service: str, request: Any = None) -> Any:
    import lifecycle_msgs.srv

    require_node(node, name)
    kind = getattr(lifecycle_msgs.srv, "".join(map(str.capitalize, service.split("_"))))
    client = node.create_client(kind, f"{absolute(name)}/{service}")
    return call(node, client, request or kind.Request())


def _nodes(args: argparse.Namespace) -> None:
    with ros_node() as node:
        services = dict(node.get_service_names_and_types())
        print(
            "\n".join(n for n in node_names(node, True) if f"{n}/change_state" in services)
            or "no lifecycle nodes"
        )


def _get(args: argparse.Namespace) -> None:
    with ros_node() as node:
        state = _ask(node, args.node, "get_state").current_state
        print(f"{state.label} [{state.id}]")


def _list(args: argparse.Namespace) -> None:
    with ros_node() as node:
        found = _ask(node, args.node, "get_available_transitions").available_transitions
    for entry in found:
        print(f"- {entry.transition.label} [{entry.transition.id}]")
        print(f"\tStart: {entry.start_state.label}\n\tGoal: {entry.goal_state.label}")


def _set(args: argparse.Namespace) -> None:
    from lifecycle_msgs.srv import ChangeState

    with ros_node() as node:
        found = _ask(node, args.node, "get_available_transitions").available_transitions
        choices = {entry.transition.label: entry.transition.id for entry in found}
        by_id = {str(number): number for number in choices.values()}
        chosen = choices.get(args.transition, by_id.get(args.transition))
        if chosen is None:
            raise CliError(
                f"unknown transition {args.transition!r}; open now: "
                + ", ".join(f"{label} [{number}]" for label, number in choices.items())
            )
        request = ChangeState.Request()
        request.transition.id = chosen
        if not _ask(node, args.node, "change_state", request).success:
            raise CliError("Transitioning failed; the node's log says why")
    print("Transitioning successful")
