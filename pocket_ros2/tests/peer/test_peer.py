# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Another implementation of the same wire, zenoh-ros2-sdk, meets our nodes, offline."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rclpy
from example_interfaces.srv import AddTwoInts
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
from std_msgs.msg import String

from pocket_ros2 import idl

DEADLINE_S = 30.0


class Peer:
    def __init__(self, process):
        self._process = process

    def send(self, *command):
        print(json.dumps(command), file=self._process.stdin, flush=True)

    def answer(self):
        line = self._process.stdout.readline()
        assert line, "the peer ended"
        return json.loads(line)

    def do(self, *command):
        self.send(*command)
        return self.answer()

    def entries(self, *command):
        return {
            tuple(tuple(item) if isinstance(item, list) else item for item in entry)
            for entry in self.do(*command)
        }


@pytest.fixture(scope="module")
def peer(ros_env, tmp_path_factory):
    definitions = idl.interface_packages()["std_msgs"].parent
    environment = {
        **os.environ,
        "HOME": str(tmp_path_factory.mktemp("home")),
        "GIT_PYTHON_REFRESH": "quiet",
    }
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("sdk_peer.py"), definitions],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        peer = Peer(process)
        assert peer.answer() == "ready"
        yield peer
        process.stdin.close()
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def executor():
    context = rclpy.Context()
    rclpy.init(context=context, args=[])
    executor = SingleThreadedExecutor(context=context)
    yield executor
    executor.shutdown()
    context.try_shutdown()


@pytest.fixture
def node(executor):
    node = rclpy.create_node("tester", namespace="/robot", context=executor.context)
    executor.add_node(node)
    return node


def until(executor, predicate):
    deadline = time.monotonic() + DEADLINE_S
    while not predicate():
        assert time.monotonic() < deadline, "the deadline passed"
        executor.spin_once(timeout_sec=0.05)


def test_peer_sees_our_topics_services_and_nodes(executor, node, peer):
    node.create_publisher(Image, "/camera/image", 10)
    node.create_subscription(String, "chatter", print, 10)
    node.create_service(AddTwoInts, "add", lambda request, response: response)

    image, text = "sensor_msgs/msg/Image", "std_msgs/msg/String"
    expected = {
        ("topics",): {("/camera/image", (image,)), ("/robot/chatter", (text,))},
        ("services",): {("/robot/add", ("example_interfaces/srv/AddTwoInts",))},
        ("publishers", "/camera/image"): {("/robot", "tester", idl.type_support(Image).rihs)},
    }

    # While two zenoh peers still connect, a query about the graph may come back incomplete.
    for command, entries in expected.items():
        until(executor, lambda c=command, e=entries: e <= peer.entries(*c))


def test_peer_receives_our_image(executor, node, peer):
    assert peer.do("watch", "/robot/image") == idl.type_support(Image).rihs
    publisher = node.create_publisher(Image, "image", 10)
    until(executor, publisher.get_subscription_count)
    pixels = np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8).tobytes()
    message = Image(width=640, height=480, encoding="rgb8", step=1920, data=pixels)
    message.header.frame_id = "camera"
    message.header.stamp.nanosec = 7

    publisher.publish(message)

    assert peer.do("image") == [640, 480, "camera", 7, hashlib.sha256(pixels).hexdigest()]


def test_peer_calls_our_service(executor, node, peer):
    def add(request, response):
        done.append(request)
        response.sum = request.a + request.b
        return response

    done = []
    node.create_service(AddTwoInts, "add", add)

    peer.send("call", "/robot/add", 2**40, -3)
    until(executor, lambda: done)

    assert peer.answer() == 2**40 - 3


def test_we_receive_what_the_peer_publishes(executor, node, peer):
    received = []
    node.create_subscription(String, "/peer_talk", lambda message, _: received.append(message), 10)

    peer.do("publish", "/peer_talk", ["one", "zwölf", ""])
    until(executor, lambda: len(received) == 3)

    assert [message.data for message in received] == ["one", "zwölf", ""]
    (endpoint,) = node.get_publishers_info_by_topic("/peer_talk")
    assert endpoint.node_name == "peer_talker"


def test_we_call_the_service_of_the_peer(executor, node, peer):
    peer.do("serve", "/peer_add")
    client = node.create_client(AddTwoInts, "/peer_add")
    assert client.wait_for_service(DEADLINE_S)

    # The peer announces a service before it listens, so the first call may come too early.
    outcome = None
    while outcome is None:
        future = client.call_async(AddTwoInts.Request(a=20, b=22))
        until(executor, future.done)
        outcome = None if isinstance(future.exception(), ConnectionError) else future.result()

    assert outcome.sum == 42
