# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures pocket_ros2 beside bare Zenoh in one run.

    python benchmarks/middleware.py [--quick] [--json FILE]

Image and message latencies: from before the publisher serialises to the start of the consumer's
callback with the finished message, between two processes; ours and bare Zenoh take turns message
by message over the same kind of session, so that both meet the same machine load. Bare Zenoh does
the least that moves the same data: a time stamp and the pixels are joined into one payload, which
the consumer's thread copies out as bytes; there is no message, no queue and no executor.
"""

from __future__ import annotations

import argparse
import array
import contextlib
import json
import multiprocessing
import os
import platform
import resource
import signal
import statistics
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from importlib import metadata
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
import zenoh
from pocket_ros2.testing import isolated_ros
from tqdm import tqdm

import pocket_ros2

pocket_ros2.activate()

Latencies = list[float]


def percentile(values: Latencies, percent: float) -> float:
    """Return a percentile by the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def bare_session() -> zenoh.Session:
    """Open a Zenoh session with the very configuration that our nodes use."""
    from pocket_ros2.wire.config import session_config

    return zenoh.open(session_config())


def pair(consumer: Callable[..., None], producer: Callable[..., None], *args: Any) -> Any:
    """Run consumer and producer in two fresh processes and return the consumer's findings."""
    spawn = multiprocessing.get_context("spawn")
    (near, far), (near2, far2) = spawn.Pipe(), spawn.Pipe()
    sink = spawn.Process(target=consumer, args=(far, *args))
    source = spawn.Process(target=producer, args=(far2, *args))
    sink.start()
    assert near.recv() == "ready"
    source.start()
    near2.recv()
    near.send("stop")
    found = near.recv()
    near2.send("stop")
    for process in (source, sink):
        process.join(20)
        if process.exitcode != 0:
            raise RuntimeError(f"{process.name} ended with exit code {process.exitcode}")
    return found


# ---- topics ------------------------------------------------------------------------------


def make_message(kind: str) -> Any:
    """Return a message that carries its time of birth in header.stamp."""
    from geometry_msgs.msg import PoseStamped
    from sensor_msgs.msg import Image

    if kind == "small":
        return PoseStamped()
    width, height = (int(part) for part in kind.split("x"))
    pixels = array.array("B", os.urandom(width * height * 3))
    return Image(height=height, width=width, encoding="rgb8", step=width * 3, data=pixels)


def stamp(message: Any) -> None:
    """Write the monotonic time into a message."""
    now = time.monotonic_ns()
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(now, 1_000_000_000)


def topic_sink(pipe: Connection, kind: str, rate: float, count: int) -> None:
    """Receive both kinds of traffic and report latencies in ms."""
    import rclpy

    found: dict[str, Latencies] = {"ours": [], "bare": []}
    waiting: deque[zenoh.Sample] = deque()
    arrived = threading.Condition()

    def take(message: Any) -> None:
        born = message.header.stamp
        now = time.monotonic_ns()
        found["ours"].append((now - born.sec * 1_000_000_000 - born.nanosec) / 1e6)

    def enqueue(sample: zenoh.Sample) -> None:
        with arrived:
            waiting.append(sample)
            arrived.notify()

    def drain() -> None:
        while True:
            with arrived:
                arrived.wait_for(lambda: waiting)
                sample = waiting.popleft()
            data = sample.payload.to_bytes()
            found["bare"].append((time.monotonic_ns() - struct.unpack_from("<q", data)[0]) / 1e6)

    with rclpy.init():
        node = rclpy.create_node("sink")
        node.create_subscription(type(make_message(kind)), "bench", take, 10)
        with bare_session() as session:
            callback = zenoh.handlers.Callback(enqueue, indirect=False)
            session.declare_subscriber("bare/bench", callback)
            threading.Thread(target=drain, daemon=True).start()
            pipe.send("ready")
            while not pipe.poll():
                rclpy.spin_once(node, timeout_sec=0.5)
    pipe.send(found)


def topic_source(pipe: Connection, kind: str, rate: float, count: int) -> None:
    """Publish by turns, ours and bare; without a rate, ours flat out and then bare flat out."""
    import rclpy
    from rclpy.serialization import serialize_message

    message = make_message(kind)
    rest = getattr(message, "data", b"") or serialize_message(message)
    with rclpy.init():
        node = rclpy.create_node("source")
        publisher = node.create_publisher(type(message), "bench", 10)
        while publisher.get_subscription_count() < 1:
            time.sleep(0.01)
        with bare_session() as session:
            bare = session.declare_publisher("bare/bench")
            while not bare.matching_status.matching:
                time.sleep(0.01)

            def ours_once() -> None:
                stamp(message)
                publisher.publish(message)

            def bare_once() -> None:
                bare.put(b"".join((struct.pack("<q", time.monotonic_ns()), rest)))

            if rate:
                start = time.monotonic()
                for turn in range(2 * count):
                    (ours_once, bare_once)[turn % 2]()
                    time.sleep(max(0.0, start + (turn + 1) / rate / 2 - time.monotonic()))
            else:
                for publish in (ours_once, bare_once):
                    deadline = time.monotonic() + count
                    while time.monotonic() < deadline:
                        publish()
                    time.sleep(1.0)
            time.sleep(0.5)
            pipe.send("done")
            pipe.recv()


def topics(quick: bool) -> dict[str, float]:
    """Measure image and small-message latency and the flat-out rate."""
    results: dict[str, float] = {}
    seconds = 3 if quick else 15
    for name, kind, rate in (
        ("image640", "640x480", 30.0),
        ("image720", "1280x720", 30.0),
        ("small", "small", 200.0),
    ):
        found = pair(topic_sink, topic_source, kind, rate, int(seconds * rate))
        ours, bare = (found[key][5:] for key in ("ours", "bare"))
        results[f"{name}_p50_ms"] = percentile(ours, 50)
        results[f"{name}_p99_ms"] = percentile(ours, 99)
        results[f"{name}_bare_p50_ms"] = percentile(bare, 50)
        results[f"{name}_p50_ratio"] = percentile(ours, 50) / percentile(bare, 50)
        results[f"{name}_lost_percent"] = 100 * (1 - len(found["ours"]) / int(seconds * rate))
    flat = 1 if quick else 5
    found = pair(topic_sink, topic_source, "640x480", 0.0, flat)
    results["image640_flat_out_hz"] = len(found["ours"]) / flat
    results["image640_flat_out_ratio"] = len(found["ours"]) / max(1, len(found["bare"]))
    return results


# ---- services and actions ----------------------------------------------------------------


def server(pipe: Connection, count: int) -> None:
    """Offer a service, an action and a bare queryable."""
    import rclpy
    from example_interfaces.action import Fibonacci
    from example_interfaces.srv import AddTwoInts
    from rclpy.action import ActionServer

    def add(request: Any, response: Any) -> Any:
        response.sum = request.a + request.b
        return response

    def execute(goal: Any) -> Any:
        goal.succeed()
        return Fibonacci.Result(sequence=[0, 1])

    def answer(query: zenoh.Query) -> None:
        query.reply("bare/add", bytes(16))

    with rclpy.init():
        node = rclpy.create_node("server")
        node.create_service(AddTwoInts, "add", add)
        ActionServer(node, Fibonacci, "fibonacci", execute)
        with bare_session() as session:
            session.declare_queryable("bare/add", zenoh.handlers.Callback(answer, indirect=False))
            pipe.send("ready")
            while not pipe.poll():
                rclpy.spin_once(node, timeout_sec=0.5)
    pipe.recv()


def client(pipe: Connection, count: int) -> None:
    """Call by turns and send the round-trip times in ms."""
    import rclpy
    from example_interfaces.action import Fibonacci
    from example_interfaces.srv import AddTwoInts
    from rclpy.action import ActionClient

    found: dict[str, Latencies] = {"service": [], "bare": [], "action": []}

    @contextlib.contextmanager
    def timed(name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        found[name].append((time.perf_counter() - start) * 1e3)

    with rclpy.init():
        node = rclpy.create_node("client")
        caller = node.create_client(AddTwoInts, "add")
        actions = ActionClient(node, Fibonacci, "fibonacci")
        assert caller.wait_for_service(10.0)
        assert actions.wait_for_server(10.0)
        with bare_session() as session:
            while not list(session.get("bare/add", payload=bytes(20))):
                time.sleep(0.01)
            for _ in range(count):
                with timed("service"):
                    future = caller.call_async(AddTwoInts.Request(a=1, b=2))
                    rclpy.spin_until_future_complete(node, future)
                assert future.result().sum == 3
                with timed("bare"):
                    replies = list(session.get("bare/add", payload=bytes(20)))
                assert len(replies) == 1
                time.sleep(0.002)
            # A server lists every goal of the last 15 minutes in its status, so that goals get
            # slower by the hundred; few are sent.
            for _ in range(count // 10):
                with timed("action"):
                    sent = actions.send_goal_async(Fibonacci.Goal(order=1))
                    rclpy.spin_until_future_complete(node, sent)
                    done = sent.result().get_result_async()
                    rclpy.spin_until_future_complete(node, done)
                time.sleep(0.002)
    pipe.send(found)
    pipe.recv()


def round_trips(quick: bool) -> dict[str, float]:
    """Measure service and action round trips, request to response or goal to result."""
    spawn = multiprocessing.get_context("spawn")
    (near, far), (near2, far2) = spawn.Pipe(), spawn.Pipe()
    count = 100 if quick else 1000
    serving = spawn.Process(target=server, args=(far, count))
    calling = spawn.Process(target=client, args=(far2, count))
    serving.start()
    assert near.recv() == "ready"
    calling.start()
    found = near2.recv()
    near2.send("stop")
    near.send("stop")
    for process in (calling, serving):
        process.join(20)
    service, bare, action = (found[key][5:] for key in ("service", "bare", "action"))
    return {
        "service_p50_ms": percentile(service, 50),
        "service_p99_ms": percentile(service, 99),
        "service_bare_p50_ms": percentile(bare, 50),
        "service_p50_ratio": percentile(service, 50) / percentile(bare, 50),
        "action_p50_ms": percentile(action, 50),
        "action_p99_ms": percentile(action, 99),
    }


# ---- whole processes ---------------------------------------------------------------------

SHORT_NODE = """
import pocket_ros2; pocket_ros2.activate()
import rclpy
from sensor_msgs.msg import Image
with rclpy.init():
    node = rclpy.create_node("short")
    node.declare_parameter("rate", 1.0)
    node.create_publisher(Image, "image", 1)
    node.create_subscription(Image, "image", print, 1)
    rclpy.spin_once(node, timeout_sec=0.0)
"""

LONG_NODE = """
import sys, time
import pocket_ros2; pocket_ros2.activate()
import rclpy
from sensor_msgs.msg import Image
with rclpy.init():
    node = rclpy.create_node(f"idle_{sys.argv[1]}")
    node.create_publisher(Image, "image", 1)
    node.create_subscription(Image, "image", print, 1)
    wanted = int(sys.argv[2])
    while len([n for n in node.get_node_names() if n.startswith("idle_")]) < wanted:
        rclpy.spin_once(node, timeout_sec=0.02)
    print("complete", flush=True)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        pass
"""


def starting(quick: bool) -> dict[str, float]:
    """Measure the CPU time of a short-lived node process, and of Python importing numpy."""

    def cpu(code: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    cpu(SHORT_NODE)
    runs = [(cpu(SHORT_NODE), cpu("import numpy")) for _ in range(2 if quick else 9)]
    return {
        "node_start_cpu_s": statistics.median(ours for ours, _ in runs),
        "numpy_import_cpu_s": statistics.median(numpy for _, numpy in runs),
    }


def idling(quick: bool) -> dict[str, float]:
    """Start twelve nodes in twelve processes, let them rest, and look at what they cost."""
    count, rest_s = 12, 2.0 if quick else 15.0
    start = time.monotonic()
    nodes = [
        subprocess.Popen(
            [sys.executable, "-c", LONG_NODE, str(i), str(count)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(count)
    ]
    try:
        for node in nodes:
            assert node.stdout is not None
            assert node.stdout.readline() == "complete\n"
        complete_s = time.monotonic() - start
        processes = [psutil.Process(node.pid) for node in nodes]
        time.sleep(1.0)
        before = [sum(process.cpu_times()[:2]) for process in processes]
        time.sleep(rest_s)
        used = [sum(p.cpu_times()[:2]) - b for p, b in zip(processes, before, strict=True)]
        memory = [process.memory_info().rss / 1e6 for process in processes]
    finally:
        for node in nodes:
            node.send_signal(signal.SIGINT)
        codes = [node.wait(15) for node in nodes]
    assert codes == [0] * count, codes
    return {
        "twelve_nodes_s": complete_s,
        "idle_cpu_percent": 100 * statistics.mean(used) / rest_s,
        "node_rss_mb": statistics.median(memory),
    }


def main() -> None:
    """Run all measurements, print them, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    load_before = os.getloadavg()[0]
    results: dict[str, Any] = {}
    with isolated_ros():
        for part in tqdm((starting, idling, round_trips, topics), unit="part"):
            results.update(part(args.quick))
    results = {name: round(value, 4) for name, value in results.items()}
    results["conditions"] = {
        "quick": args.quick,
        "cores": os.cpu_count(),
        "load_before": round(load_before, 2),
        "python": platform.python_version(),
        "zenoh": metadata.version("eclipse-zenoh"),
        "machine": platform.machine(),
        "system": platform.system(),
    }
    for name, value in results.items():
        print(f"{name:28} {value}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
