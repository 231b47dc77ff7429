# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""`topic list | info | type | echo | hz | bw | pub`."""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pocket_ros2.cli.common import (
    CliError,
    absolute,
    add_type_listing,
    filled,
    group,
    interface,
    positive,
    print_listing,
    ros_node,
    verb,
    wait,
    wait_until,
)

if TYPE_CHECKING:
    from rclpy.node import Node
    from rclpy.qos import QoSProfile


def register(commands: Any) -> None:
    """Add the commands of this module."""
    verbs = group(commands, "topic", "look at, measure and publish topics")

    listing = verb(verbs, "list", _list, "print the topics in the graph")
    add_type_listing(listing, "topics")

    info = verb(verbs, "info", _info, "print type and endpoints of a topic", "topic")
    info.add_argument("-v", "--verbose", action="store_true", help="nodes, QoS, type hashes")

    verb(verbs, "type", _type, "print the type of a topic", "topic")

    echo = verb(verbs, "echo", _echo, "print the messages of a topic", "topic")
    echo.add_argument("type", nargs="?", help="found by itself while somebody publishes")
    echo.add_argument("--once", action="store_true", help="stop after the first message")
    echo.add_argument("--field", help="print one field only, for example header.stamp")
    echo.add_argument("--csv", action="store_true", help="one line per message")
    echo.add_argument("--no-arr", action="store_true", help="do not print arrays")
    echo.add_argument("--no-str", action="store_true", help="do not print strings")
    echo.add_argument("-f", "--full-length", action="store_true", help="do not shorten values")
    echo.add_argument("-l", "--truncate-length", type=int, default=128, help="default: 128")
    echo.add_argument("--timeout", type=float, help="give up after this many seconds")
    _add_qos(echo)

    for name, run, what in (("hz", _hz, "rate"), ("bw", _bw, "bandwidth")):
        meter = verb(verbs, name, run, f"measure the {what} of a topic", "topic")
        meter.add_argument(
            "-w", "--window", type=positive, default=100, help="messages, default 100"
        )
        meter.add_argument("--duration", type=float, help="stop after this many seconds")

    pub = verb(verbs, "pub", _pub, "publish a message, once or at a rate", "topic", "type")
    pub.add_argument("values", nargs="?", default="", help="YAML, for example '{data: hello}'")
    pub.add_argument("-r", "--rate", type=positive, default=1.0, help="Hz, default 1")
    pub.add_argument("-1", "--once", action="store_true", help="publish one message and leave")
    pub.add_argument("-t", "--times", type=int, default=0, help="publish that many and leave")
    pub.add_argument(
        *("-w", "--wait-matching-subscriptions"),
        type=int,
        help="wait for so many subscriptions first; default 1 with --once or --times, else 0",
    )
    pub.add_argument(
        "--keep-alive", type=float, default=0.1, help="seconds to stay after the last message"
    )
    pub.add_argument("--wait-timeout", type=float, default=10.0, help="seconds, default 10")
    _add_qos(pub)


def _add_qos(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--qos-reliability", choices=["reliable", "best_effort"])
    parser.add_argument("--qos-durability", choices=["transient_local", "volatile"])
    parser.add_argument("--qos-depth", type=int, default=10)


def _qos(args: argparse.Namespace, offered: list[Any]) -> QoSProfile:
    """Return what the user asked for, else what all publishers in the graph can offer."""
    from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

    profile = QoSProfile(depth=args.qos_depth)
    if any(e.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT for e in offered):
        profile.reliability = ReliabilityPolicy.BEST_EFFORT
    if offered and all(
        e.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for e in offered
    ):
        profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
    if args.qos_reliability:
        profile.reliability = ReliabilityPolicy[args.qos_reliability.upper()]
    if args.qos_durability:
        profile.durability = DurabilityPolicy[args.qos_durability.upper()]
    return profile


def _types(node: Node, topic: str) -> list[str]:
    found: dict[str, list[str]] = dict(node.get_topic_names_and_types())
    return found.get(topic, [])


def _resolve(node: Node, topic: str, given: str | None, timeout_s: float = 10.0) -> Any:
    """Return the message class of a topic, waiting a while for its first endpoint."""
    if given:
        return interface(given, "msg")
    if not _types(node, topic):
        print(f"WARNING: topic [{topic}] does not appear to be published yet", flush=True)
    if not wait_until(node, lambda: bool(_types(node, topic)), timeout_s):
        raise CliError(
            f"could not determine the type of topic {topic}; is it published? Otherwise give "
            f"the type: pocket-ros2 topic echo {topic} package/msg/Name"
        )
    types = _types(node, topic)
    if len(types) > 1:
        raise CliError(f"topic {topic} carries several types: {', '.join(types)}; name one")
    return interface(types[0], "msg")


def _list(args: argparse.Namespace) -> None:
    with ros_node() as node:
        print_listing(node.get_topic_names_and_types(), args)


def _type(args: argparse.Namespace) -> None:
    with ros_node() as node:
        print("\n".join(_known(node, absolute(args.topic))))


def _known(node: Node, topic: str) -> list[str]:
    types = _types(node, topic)
    if not types:
        raise CliError(f"Unknown topic '{topic}'; 'pocket-ros2 topic list' shows all")
    return types


def _info(args: argparse.Namespace) -> None:
    topic = absolute(args.topic)
    with ros_node() as node:
        types = _known(node, topic)
        print(f"Type: {types[0] if len(types) == 1 else types}\n")
        for label, endpoints in (
            ("Publisher", node.get_publishers_info_by_topic(topic)),
            ("Subscription", node.get_subscriptions_info_by_topic(topic)),
        ):
            print(f"{label} count: {len(endpoints)}\n")
            for endpoint in endpoints if args.verbose else []:
                print(f"{endpoint}\n")


def _echo(args: argparse.Namespace) -> None:
    from rosidl_runtime_py import message_to_csv, message_to_yaml

    topic = absolute(args.topic)
    shape = {
        "truncate_length": None if args.full_length else args.truncate_length,
        "no_arr": args.no_arr,
        "no_str": args.no_str,
    }
    received: deque[Any] = deque()

    def show(message: Any) -> None:
        value = _field(message, args.field)
        if not hasattr(value, "get_fields_and_field_types"):
            print(value)
        elif args.csv:
            print(message_to_csv(value, **shape))
        else:
            print(message_to_yaml(value, **shape), end="")
        if not args.csv:
            print("---", flush=True)
        received.append(True)

    with ros_node() as node:
        cls = _resolve(node, topic, args.type)
        qos = _qos(args, node.get_publishers_info_by_topic(topic))
        node.create_subscription(cls, topic, show, qos)
        forever = args.timeout if args.timeout is not None else float("inf")
        if args.once:
            if not wait_until(node, lambda: bool(received), forever):
                raise CliError(f"no message on {topic} within {args.timeout:g} s")
        else:
            wait(node, min(forever, 1e9))


def _field(message: Any, path: str | None) -> Any:
    value = message
    for name in path.split(".") if path else []:
        if not hasattr(value, name):
            fields = ", ".join(getattr(value, "get_fields_and_field_types", dict)())
            raise CliError(f"no field {name!r} in {type(value).__name__}; it has: {fields}")
        value = getattr(value, name)
    return value


def _measure(args: argparse.Namespace, report: Callable[[list[tuple[float, int]]], str]) -> None:
    """Collect (arrival time, size) of raw messages and print a report every second."""
    topic = absolute(args.topic)
    window: deque[tuple[float, int]] = deque(maxlen=int(args.window))
    newest = None
    with ros_node() as node:
        cls = _resolve(node, topic, None)
        options = argparse.Namespace(qos_reliability=None, qos_durability=None, qos_depth=1000)
        qos = _qos(options, node.get_publishers_info_by_topic(topic))
        node.create_subscription(
            cls, topic, lambda raw: window.append((time.monotonic(), len(raw))), qos, raw=True
        )
        deadline = time.monotonic() + (args.duration or float("inf"))
        while (left := deadline - time.monotonic()) > 0:
            wait(node, min(1.0, left))
            fresh = len(window) > 1 and window[-1] is not newest
            newest = window[-1] if window else None
            print(report(list(window)) if fresh else "no new messages", flush=True)


def _hz(args: argparse.Namespace) -> None:
    def report(window: list[tuple[float, int]]) -> str:
        gaps = [after[0] - before[0] for before, after in itertools.pairwise(window)]
        mean = statistics.fmean(gaps)
        spread = statistics.pstdev(gaps)
        return (
            f"average rate: {1 / mean if mean else float('inf'):.3f}\n\tmin: {min(gaps):.3f}s "
            f"max: {max(gaps):.3f}s std dev: {spread:.5f}s window: {len(window)}"
        )

    _measure(args, report)


def _bw(args: argparse.Namespace) -> None:
    def human(size: float) -> str:
        for unit in ("B", "KB", "MB"):
            if size < 1000:
                return f"{size:.2f} {unit}"
            size /= 1000
        return f"{size:.2f} GB"

    def report(window: list[tuple[float, int]]) -> str:
        sizes = [size for _, size in window]
        rate = sum(sizes[1:]) / (window[-1][0] - window[0][0])
        return (
            f"{human(rate)}/s from {len(sizes)} messages\n\tMessage size mean: "
            f"{human(statistics.fmean(sizes))} min: {human(min(sizes))} max: {human(max(sizes))}"
        )

    _measure(args, report)


def _pub(args: argparse.Namespace) -> None:
    message = filled(interface(args.type, "msg")(), args.values)
    times = 1 if args.once else args.times
    wanted = args.wait_matching_subscriptions
    if wanted is None:
        wanted = 1 if times else 0
    with ros_node() as node:
        publisher = node.create_publisher(type(message), absolute(args.topic), _qos(args, []))
        if publisher.get_subscription_count() < wanted:
            print(f"Waiting for at least {wanted} matching subscription(s)...", flush=True)
        if not wait_until(
            node, lambda: publisher.get_subscription_count() >= wanted, args.wait_timeout
        ):
            raise CliError(
                f"only {publisher.get_subscription_count()} of {wanted} subscriptions on "
                f"{publisher.topic_name} within {args.wait_timeout:g} s; -w 0 does not wait"
            )
        print("publisher: beginning loop", flush=True)
        start = time.monotonic()
        count = 0
        while not times or count < times:
            count += 1
            print(f"publishing #{count}: {message!r}\n", flush=True)
            publisher.publish(message)
            if count != times:
                wait(node, start + count / args.rate - time.monotonic())
        wait(node, args.keep_alive)
