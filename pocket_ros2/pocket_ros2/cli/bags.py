# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""`bag record | play | info`: MCAP bags that real ROS 2 tools read and write (rosbags)."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocket_ros2.cli.common import (
    CliError,
    absolute,
    group,
    interface,
    positive,
    ros_node,
    verb,
    wait,
)
from pocket_ros2.cli.interfaces import definition, nested_type

if TYPE_CHECKING:
    from rclpy.node import Node
    from rclpy.qos import QoSProfile
    from rosbags.interfaces import Connection
    from rosbags.rosbag2 import Reader, Writer

_SEPARATOR = "\n" + "=" * 80 + "\n"


def register(commands: Any) -> None:
    """Add the commands of this module."""
    verbs = group(commands, "bag", "record and play topics")
    record = verb(verbs, "record", _record, "record topics until Ctrl-C")
    record.add_argument("topics", nargs="*")
    record.add_argument("-a", "--all", action="store_true", help="every topic, also later ones")
    record.add_argument("-o", "--output", type=Path, help="folder, default rosbag2_DATE_TIME")
    record.add_argument("-d", "--duration", type=float, help="stop after this many seconds")
    play = verb(verbs, "play", _play, "publish what a bag holds, at its own pace")
    play.add_argument("bag", type=Path)
    play.add_argument("-r", "--rate", type=positive, default=1.0, help="speed factor, default 1")
    play.add_argument("-l", "--loop", action="store_true", help="start again at the end")
    play.add_argument("--topics", nargs="+", help="only these")
    play.add_argument("--clock", type=positive, nargs="?", const=40.0, help="publish /clock at Hz")
    play.add_argument("--delay", type=float, default=0.5, help="seconds for discovery first")
    info = verb(verbs, "info", _info, "print what a bag holds")
    info.add_argument("bag", type=Path)


def _rosbags() -> Any:
    try:
        import rosbags.rosbag2
    except ImportError as error:
        raise CliError("bags need rosbags: pip install 'pocket-ros2[bag]'") from error
    return rosbags.rosbag2


def full_definition(name: str) -> str:
    """Return a definition followed by those of all nested types, as MCAP schemas want it."""
    texts: dict[str, str] = {}
    pending = [name]
    while pending:
        current = pending.pop(0)
        if current not in texts:
            texts[current] = definition(current)
            package = current.partition("/")[0]
            found = (nested_type(line, package) for line in texts[current].splitlines())
            pending += [nested for nested in found if nested]
    first = texts.pop(name)
    rest = (f"MSG: {key.replace('/msg/', '/')}\n{text}" for key, text in texts.items())
    return _SEPARATOR.join([first, *rest])


class _Recorder:
    """Subscribes to topics as they appear and writes their raw messages."""

    def __init__(self, node: Node, writer: Writer, topics: list[str]) -> None:
        self._node, self._writer, self._topics = node, writer, topics
        self._known: set[str] = set()
        self.count = 0
        self.look()

    def look(self) -> None:
        """Subscribe to every wanted topic that has appeared since."""
        for topic, types in self._node.get_topic_names_and_types():
            if topic not in self._known and (not self._topics or topic in self._topics):
                self._subscribe(topic, types[0])

    def _subscribe(self, topic: str, type_name: str) -> None:
        from rclpy.qos import QoSProfile

        offers = [e.qos_profile for e in self._node.get_publishers_info_by_topic(topic)]
        if not offers:
            return
        self._known.add(topic)
        try:
            cls, text = interface(type_name, "msg"), full_definition(type_name)
        except CliError as error:
            print(f"Not recording '{topic}': {error}", flush=True)
            return
        profile = QoSProfile(depth=1000)
        profile.reliability = max(offer.reliability for offer in offers)
        profile.durability = max(offer.durability for offer in offers)
        connection = self._writer.add_connection(
            topic,
            type_name,
            msgdef=text,
            rihs01=cls._TYPE_SUPPORT.rihs,
            offered_qos_profiles=[_to_bag_qos(profile)],
        )

        def write(raw: bytes, info: dict[str, Any]) -> None:
            self._writer.write(connection, info["received_timestamp"], raw)
            self.count += 1

        self._node.create_subscription(cls, topic, write, profile, raw=True)
        print(f"Subscribed to topic '{topic}'", flush=True)


def _to_bag_qos(profile: QoSProfile) -> Any:
    from rosbags.interfaces import (
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )

    unset = QosTime(0, 0)
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=profile.depth,
        reliability=QosReliability(int(profile.reliability)),
        durability=QosDurability(int(profile.durability)),
        deadline=unset,
        lifespan=unset,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=unset,
        avoid_ros_namespace_conventions=False,
    )


def _record(args: argparse.Namespace) -> None:
    bag = _rosbags()
    if not args.topics and not args.all:
        raise CliError("name the topics to record, or give --all")
    output = args.output or Path(time.strftime("rosbag2_%Y_%m_%d-%H_%M_%S"))
    if output.exists():
        raise CliError(f"{output} exists; choose another folder with -o")
    topics = [] if args.all else [absolute(topic) for topic in args.topics]
    with (
        bag.Writer(output, version=9, storage_plugin=bag.StoragePlugin.MCAP) as writer,
        ros_node() as node,
    ):
        recorder = _Recorder(node, writer, topics)
        print(f"Recording to {output}; stop with Ctrl-C", flush=True)
        deadline = time.monotonic() + (args.duration or float("inf"))
        try:
            while (left := deadline - time.monotonic()) > 0:
                wait(node, min(0.5, left))
                recorder.look()
        except KeyboardInterrupt:
            # Ctrl-C is the normal end of a recording.
            pass
        print(f"Recorded {recorder.count} messages")


def _open(path: Path) -> Any:
    bag = _rosbags()
    if not path.exists():
        raise CliError(f"no bag at {path}")
    try:
        return bag.Reader(path)
    except bag.ReaderError as error:
        raise CliError(f"{path} is no bag that can be read: {error}") from error


def _info(args: argparse.Namespace) -> None:
    with _open(args.bag) as reader:
        print(f"Bag:      {args.bag}\nDuration: {reader.duration / 1e9:.3f}s")
        print(f"Start:    {reader.start_time / 1e9:.9f}\nMessages: {reader.message_count}")
        for connection in sorted(reader.connections, key=lambda c: str(c.topic)):
            print(f"  {connection.topic} | {connection.msgtype} | {connection.msgcount}")


def _play(args: argparse.Namespace) -> None:
    from rosgraph_msgs.msg import Clock

    wanted = {absolute(topic) for topic in args.topics or []}
    with _open(args.bag) as reader, ros_node() as node:
        chosen = [c for c in reader.connections if not wanted or c.topic in wanted]
        if not chosen:
            there = ", ".join(sorted(c.topic for c in reader.connections))
            raise CliError(f"none of these topics is in the bag; it has: {there}")
        publishers = {c.id: _publisher(node, c) for c in chosen}
        clock = node.create_publisher(Clock, "/clock", 1) if args.clock else None
        wait(node, args.delay)
        count = None
        while count is None or (args.loop and count):
            count = _play_once(node, reader, chosen, publishers, clock, args)
            print(f"Played {count} messages", flush=True)
        wait(node, 0.2)


def _publisher(node: Node, connection: Connection) -> Any:
    from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

    profile = QoSProfile(depth=100)
    for offer in getattr(connection.ext, "offered_qos_profiles", []):
        profile.depth = max(offer.depth, 1)
        profile.reliability = ReliabilityPolicy(offer.reliability.value)
        profile.durability = DurabilityPolicy(offer.durability.value)
    return node.create_publisher(interface(connection.msgtype, "msg"), connection.topic, profile)


def _play_once(
    node: Node,
    reader: Reader,
    chosen: list[Connection],
    publishers: dict[int, Any],
    clock: Any,
    args: argparse.Namespace,
) -> int:
    """Publish everything once at the recorded pace and return how much that was."""
    from rclpy.time import Time
    from rosgraph_msgs.msg import Clock

    start, count = time.monotonic(), 0
    next_tick = reader.start_time
    for connection, stamp, raw in reader.messages(connections=chosen):
        while clock is not None and next_tick <= stamp:
            wait(
                node, start + (next_tick - reader.start_time) / 1e9 / args.rate - time.monotonic()
            )
            clock.publish(Clock(clock=Time(nanoseconds=next_tick).to_msg()))
            next_tick += max(1, int(1e9 / args.clock * args.rate))
        wait(node, start + (stamp - reader.start_time) / 1e9 / args.rate - time.monotonic())
        publishers[connection.id].publish(bytes(raw))
        count += 1
    return count
