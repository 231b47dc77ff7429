# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What several commands need: a short-lived node, types by name, YAML values, waiting."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from rclpy.client import Client
    from rclpy.node import Node
    from rclpy.task import Future

DISCOVERY_TIMEOUT_S = 5.0
_QUIET_S = 0.15


class CliError(Exception):
    """The command cannot be done; the text tells the user what to do next."""


@contextmanager
def ros_node(name: str = "pocket_ros2_cli") -> Iterator[Node]:
    """Yield a hidden node that lives as long as the command."""
    import rclpy
    import zenoh
    from rclpy.exceptions import NameValidationException
    from rclpy.executors import ExternalShutdownException

    from pocket_ros2.wire.config import ConfigError

    try:
        rclpy.init(args=[])
    except (RuntimeError, ConfigError, zenoh.ZError) as error:
        raise CliError(f"cannot join the network: {error}") from error
    try:
        node = rclpy.create_node(
            f"_{name}_{os.getpid()}", start_parameter_services=False, enable_rosout=False
        )
        try:
            settle(node)
            yield node
        finally:
            node.destroy_node()
    except ExternalShutdownException as error:
        raise KeyboardInterrupt from error
    except NameValidationException as error:
        raise CliError(str(error)) from error
    finally:
        rclpy.try_shutdown()


def settle(node: Node) -> None:
    """Spin until the graph has not changed for a moment, so that listings are complete."""
    deadline = time.monotonic() + 2.0
    seen: object = None
    since = time.monotonic()
    while time.monotonic() < min(deadline, since + _QUIET_S):
        wait(node, 0.03)
        now = (node.get_topic_names_and_types(), node.get_service_names_and_types())
        if now != seen:
            seen, since = now, time.monotonic()


def wait(node: Node, seconds: float) -> None:
    """Let the node work for that long."""
    import rclpy

    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        rclpy.spin_once(node, timeout_sec=left)


def wait_until(node: Node, condition: Callable[[], bool], timeout_s: float) -> bool:
    """Spin the node until the condition holds; tell whether it did in time."""
    import rclpy

    deadline = time.monotonic() + timeout_s
    while not condition():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        rclpy.spin_once(node, timeout_sec=min(left, 0.05))
    return True


def finish(node: Node, future: Future, timeout_s: float | None, what: str) -> Any:
    """Spin until a future is done and return its result.

    Raises:
        CliError: It was not done in time, or its server vanished.
    """
    import rclpy

    rclpy.spin_until_future_complete(node, future, timeout_sec=timeout_s)
    if not future.done():
        raise CliError(f"no answer from {what} within {timeout_s:g} s; is its node spinning?")
    try:
        return future.result()
    except ConnectionError as error:
        raise CliError(str(error)) from error


def call(node: Node, client: Client, request: Any, timeout_s: float | None = 10.0) -> Any:
    """Call a service once and return the response, or fail with the name of the service."""
    if not wait_until(node, client.service_is_ready, DISCOVERY_TIMEOUT_S):
        raise CliError(
            f"service {client.srv_name} is not available; 'pocket-ros2 service list' shows all"
        )
    return finish(node, client.call_async(request), timeout_s, f"service {client.srv_name}")


def interface(name: str, kind: str) -> Any:
    """Return an interface class; `std_msgs/String` stands for `std_msgs/msg/String`."""
    from pocket_ros2 import idl

    parts = name.split("/")
    full = "/".join((parts[0], kind, parts[1])) if len(parts) == 2 else name
    try:
        if len(parts) not in (2, 3) or full.split("/")[1] != kind:
            raise LookupError
        return idl.load(full)
    except (LookupError, ImportError, AttributeError, idl.InterfaceError) as error:
        raise CliError(
            f"the type {name!r} is unknown or no {kind}; a name looks like package/{kind}/Name, "
            "and 'pocket-ros2 interface list' shows all"
        ) from error


def positive(text: str) -> float:
    """Read an option that must be a number above 0."""
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def values(text: str) -> Any:
    """Parse a YAML mapping given on the command line; empty text is an empty mapping."""
    try:
        parsed = yaml.safe_load(text) if text.strip() else {}
    except yaml.YAMLError as error:
        raise CliError(f"not valid YAML: {text!r} ({error})") from error
    if not isinstance(parsed, dict):
        raise CliError(f"expected a YAML mapping such as '{{data: 1}}', not {text!r}")
    return parsed


def filled(message: Any, text: str) -> Any:
    """Set the fields of a message from YAML text and return it."""
    from rosidl_runtime_py import set_message_fields

    try:
        set_message_fields(message, values(text))
    except (AttributeError, AssertionError, TypeError, ValueError) as error:
        raise CliError(f"cannot fill {type(message).__name__} from {text!r}: {error}") from error
    return message


def absolute(name: str) -> str:
    """Return the name with the leading slash that people leave out."""
    return name if name.startswith("/") else f"/{name}"


def group(commands: Any, name: str, help: str) -> Any:
    """Add a command that has verbs; return where these are added."""
    parser = commands.add_parser(name, help=help)
    return parser.add_subparsers(dest="verb", metavar="VERB", required=True)


def verb(
    verbs: Any, name: str, run: Callable[[argparse.Namespace], Any], help: str, *arguments: str
) -> argparse.ArgumentParser:
    """Add a verb with arguments that need no explanation, and the function that does it."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=help)
    for argument in arguments:
        parser.add_argument(argument)
    parser.set_defaults(run=run)
    return parser


def add_type_listing(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the options that every `list` command has."""
    parser.add_argument("-t", "--show-types", action="store_true", help="also print the types")
    parser.add_argument(
        "-c", "--count", action="store_true", help=f"only print the number of {what}"
    )
    parser.add_argument(
        *("-a", "--all", f"--include-hidden-{what}"),
        action="store_true",
        help="include hidden names",
    )


def print_listing(found: list[tuple[str, list[str]]], args: argparse.Namespace) -> None:
    """Print names, with types or as a count, as `ros2 ... list` does."""
    shown = sorted(
        (name, types)
        for name, types in found
        if args.all or not any(part.startswith("_") for part in name.split("/"))
    )
    if args.count:
        print(len(shown))
        return
    for name, types in shown:
        print(f"{name} [{', '.join(types)}]" if args.show_types else name)
