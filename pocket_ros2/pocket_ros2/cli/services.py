# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""`service list | type | call`."""

from __future__ import annotations

import argparse
import time
from typing import Any

from pocket_ros2.cli.common import (
    CliError,
    absolute,
    add_type_listing,
    call,
    filled,
    group,
    interface,
    positive,
    print_listing,
    ros_node,
    verb,
    wait,
)


def register(commands: Any) -> None:
    """Add the commands of this module."""
    verbs = group(commands, "service", "look at and call services")
    listing = verb(verbs, "list", _list, "print the services in the graph")
    add_type_listing(listing, "services")
    verb(verbs, "type", _type, "print the type of a service", "service")
    caller = verb(verbs, "call", _call, "call a service and print the response", "service", "type")
    caller.add_argument("values", nargs="?", default="", help="YAML, for example '{a: 1, b: 2}'")
    caller.add_argument("-r", "--rate", type=positive, help="repeat at this rate in Hz")
    caller.add_argument("--timeout", type=float, help="seconds for the answer, default: no limit")


def _list(args: argparse.Namespace) -> None:
    with ros_node() as node:
        print_listing(node.get_service_names_and_types(), args)


def _type(args: argparse.Namespace) -> None:
    with ros_node() as node:
        types = dict(node.get_service_names_and_types()).get(absolute(args.service))
    if not types:
        raise CliError(f"unknown service {args.service!r}; 'pocket-ros2 service list' shows all")
    print("\n".join(types))


def _call(args: argparse.Namespace) -> None:
    service = interface(args.type, "srv")
    request = filled(service.Request(), args.values)
    with ros_node() as node:
        client = node.create_client(service, absolute(args.service))
        while True:
            start = time.monotonic()
            print(f"requester: making request: {request!r}\n", flush=True)
            print(f"response:\n{call(node, client, request, args.timeout)!r}\n", flush=True)
            if not args.rate:
                return
            wait(node, start + 1 / args.rate - time.monotonic())
