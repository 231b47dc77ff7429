# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""`param list | get | set | describe | dump | load`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pocket_ros2.cli.common import (
    DISCOVERY_TIMEOUT_S,
    CliError,
    absolute,
    finish,
    group,
    ros_node,
    verb,
    wait_until,
)
from pocket_ros2.cli.nodes import node_names, require_node

if TYPE_CHECKING:
    from rclpy.node import Node
    from rclpy.parameter_client import AsyncParameterClient


def register(commands: Any) -> None:
    """Add the commands of this module."""
    verbs = group(commands, "param", "read and write parameters of nodes")
    listing = verb(verbs, "list", _list, "print parameter names, of one node or of all")
    listing.add_argument("node", nargs="?")
    verb(verbs, "get", _get, "print the value of a parameter", "node", "name")
    verb(verbs, "describe", _describe, "print its type, description, range", "node", "name")
    setter = verb(verbs, "set", _set, "set a parameter", "node", "name")
    setter.add_argument("value", help="YAML: 1 is an integer, 1.0 a double, [1, 2] an array")
    verb(verbs, "dump", _dump, "print all parameters of a node as a params file", "node")
    load = verb(verbs, "load", _load, "set the parameters of a node from a params file", "node")
    load.add_argument("file", type=Path)


def _client(node: Node, name: str) -> AsyncParameterClient:
    from rclpy.parameter_client import AsyncParameterClient

    require_node(node, name)
    client = AsyncParameterClient(node, absolute(name))
    if not wait_until(node, client.services_are_ready, DISCOVERY_TIMEOUT_S):
        raise CliError(f"node {absolute(name)} offers no parameter services")
    return client


def _names(node: Node, client: AsyncParameterClient, name: str) -> list[str]:
    response = finish(node, client.list_parameters(), 10.0, name)
    return sorted(response.result.names)


def _values(node: Node, client: AsyncParameterClient, name: str, keys: list[str]) -> list[Any]:
    from rclpy.parameter import parameter_value_to_python

    response = finish(node, client.get_parameters(keys), 10.0, name)
    if len(response.values) != len(keys):
        raise CliError(f"Parameter not set: {', '.join(keys)} on {absolute(name)}")
    return [parameter_value_to_python(value) for value in response.values]


def _list(args: argparse.Namespace) -> None:
    with ros_node() as node:
        services = dict(node.get_service_names_and_types())
        for name in [args.node] if args.node else node_names(node):
            if not args.node and f"{name}/list_parameters" not in services:
                continue
            found = _names(node, _client(node, name), name)
            if not args.node:
                print(f"{name}:")
            for entry in found:
                print(f"  {entry}")


def _get(args: argparse.Namespace) -> None:
    with ros_node() as node:
        client = _client(node, args.node)
        if args.name not in _names(node, client, args.node):
            raise CliError(f"Parameter not set: {args.name!r} is no parameter of {args.node}")
        print(_values(node, client, args.node, [args.name])[0])


def _describe(args: argparse.Namespace) -> None:
    with ros_node() as node:
        client = _client(node, args.node)
        response = finish(node, client.describe_parameters([args.name]), 10.0, args.node)
    if not response.descriptors:
        raise CliError(f"{args.name!r} is no parameter of {args.node}")
    from rclpy.parameter import Parameter

    for descriptor in response.descriptors:
        print(f"Parameter name: {descriptor.name}")
        print(f"  Type: {Parameter.Type(descriptor.type).name.lower().replace('_', ' ')}")
        if descriptor.description:
            print(f"  Description: {descriptor.description}")
        print("  Constraints:")
        if descriptor.read_only:
            print("    Read only: true")
        for bounds in (*descriptor.integer_range, *descriptor.floating_point_range):
            print(f"    Min value: {bounds.from_value}\n    Max value: {bounds.to_value}")
            print(f"    Step: {bounds.step}")
        if descriptor.additional_constraints:
            print(f"    Additional constraints: {descriptor.additional_constraints}")


def _set(args: argparse.Namespace) -> None:
    from rcl_interfaces.msg import Parameter
    from rclpy.parameter import get_parameter_value

    with ros_node() as node:
        client = _client(node, args.node)
        parameter = Parameter(name=args.name, value=get_parameter_value(args.value))
        response = finish(node, client.set_parameters([parameter]), 10.0, args.node)
    result = response.results[0]
    if not result.successful:
        raise CliError(f"Setting parameter failed: {result.reason}")
    print("Set parameter successful" + (f": {result.reason}" if result.reason else ""))


def _dump(args: argparse.Namespace) -> None:
    with ros_node() as node:
        client = _client(node, args.node)
        names = _names(node, client, args.node)
        values = _values(node, client, args.node, names)
    tree: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        *groups, leaf = name.split(".")
        branch = tree
        for level in groups:
            branch = branch.setdefault(level, {})
        branch[leaf] = value if isinstance(value, bool | int | float | str) else list(value or [])
    print(yaml.safe_dump({absolute(args.node): {"ros__parameters": tree}}), end="")


def _load(args: argparse.Namespace) -> None:
    if not args.file.is_file():
        raise CliError(f"no such file: {args.file}")
    with ros_node() as node:
        client = _client(node, args.node)
        response = finish(node, client.load_parameter_file(str(args.file)), 10.0, args.node)
    failed = [result.reason for result in response.results if not result.successful]
    print(f"Set {len(response.results) - len(failed)} of {len(response.results)} parameters")
    if failed:
        raise CliError("Setting parameters failed: " + "; ".join(failed))
