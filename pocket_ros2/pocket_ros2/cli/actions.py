# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""`action list | info | send_goal`."""

from __future__ import annotations

import argparse
import signal
import textwrap
from typing import Any

from pocket_ros2.cli.common import (
    CliError,
    absolute,
    add_type_listing,
    filled,
    finish,
    group,
    interface,
    print_listing,
    ros_node,
    verb,
    wait_until,
)


def register(commands: Any) -> None:
    """Add the commands of this module."""
    verbs = group(commands, "action", "look at actions and send goals")
    listing = verb(verbs, "list", _list, "print the actions in the graph")
    add_type_listing(listing, "actions")
    verb(verbs, "info", _info, "print the servers and clients of an action", "action")
    goal = verb(verbs, "send_goal", _send_goal, "send a goal, print its result", "action", "type")
    goal.add_argument("values", help="YAML, for example '{order: 5}'")
    goal.add_argument("-f", "--feedback", action="store_true", help="print the feedback")
    goal.add_argument(
        "-t", "--timeout", type=float, help="seconds to wait for the server, default: no limit"
    )


def _list(args: argparse.Namespace) -> None:
    from rclpy.action import get_action_names_and_types

    with ros_node() as node:
        print_listing(get_action_names_and_types(node), args)


def _info(args: argparse.Namespace) -> None:
    from rclpy.action import (
        get_action_client_names_and_types_by_node,
        get_action_names_and_types,
        get_action_server_names_and_types_by_node,
    )

    action = absolute(args.action)
    with ros_node() as node:
        if action not in dict(get_action_names_and_types(node)):
            raise CliError(f"unknown action {action!r}; 'pocket-ros2 action list' shows all")
        print(f"Action: {action}")
        for title, lookup in (
            ("clients", get_action_client_names_and_types_by_node),
            ("servers", get_action_server_names_and_types_by_node),
        ):
            owners = [
                f"{namespace.rstrip('/')}/{name}"
                for name, namespace in node.get_node_names_and_namespaces()
                if action in dict(lookup(node, name, namespace))
            ]
            print(f"Action {title}: {len(owners)}")
            for owner in sorted(owners):
                print(f"    {owner}")


def _indented(message: Any) -> str:
    from rosidl_runtime_py import message_to_yaml

    return textwrap.indent(message_to_yaml(message), "    ")


def _send_goal(args: argparse.Namespace) -> None:
    from action_msgs.msg import GoalStatus
    from rclpy.action import ActionClient

    action = interface(args.type, "action")
    goal = filled(action.Goal(), args.values)
    names = {
        getattr(GoalStatus, name): name.removeprefix("STATUS_")
        for name in dir(GoalStatus)
        if name.startswith("STATUS_")
    }

    def show(message: Any) -> None:
        print(f"Feedback:\n{_indented(message.feedback)}", flush=True)

    with ros_node() as node:
        client = ActionClient(node, action, absolute(args.action))
        print("Waiting for an action server to become available...", flush=True)
        limit = args.timeout if args.timeout is not None else float("inf")
        if not wait_until(node, client.server_is_ready, limit):
            raise CliError(f"no server for action {absolute(args.action)} in {limit:g} s")
        print(f"Sending goal:\n{_indented(goal)}", flush=True)
        sent = client.send_goal_async(goal, show if args.feedback else None)
        handle = finish(node, sent, None, f"action {args.action}")
        if not handle.accepted:
            raise CliError("Goal was rejected.")
        # rclpy's own handler would leave the network before the goal is cancelled.
        interrupts: list[int] = []
        signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
        print(f"Goal accepted with ID: {bytes(handle.goal_id.uuid).hex()}\n", flush=True)
        result = handle.get_result_async()
        wait_until(node, lambda: result.done() or bool(interrupts), float("inf"))
        if interrupts:
            print("Canceling goal...", flush=True)
            finish(node, handle.cancel_goal_async(), 5.0, f"action {args.action}")
            raise KeyboardInterrupt
        outcome = finish(node, result, None, f"action {args.action}")
        print(f"Result:\n{_indented(outcome.result)}")
        print(f"Goal finished with status: {names[outcome.status]}")
        if outcome.status != GoalStatus.STATUS_SUCCEEDED:
            raise CliError(f"the goal ended as {names[outcome.status]}")
