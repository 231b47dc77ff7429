# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from pocket_ros2.wire import Session

PEER = Path(__file__).with_name("wire_peer.py")
TYPES = SimpleNamespace(
    text=SimpleNamespace(
        ros_name="std_msgs/msg/String",
        dds_name="std_msgs::msg::dds_::String_",
        rihs="RIHS01_" + "a" * 64,
    ),
    trigger=SimpleNamespace(
        ros_name="std_srvs/srv/Trigger",
        dds_name="std_srvs::srv::dds_::Trigger_",
        rihs="RIHS01_" + "b" * 64,
    ),
)


class Inbox(list):
    """A list that zenoh threads append to and a test waits on."""

    def __init__(self):
        super().__init__()
        self._changed = threading.Condition()

    def __call__(self, *items):
        with self._changed:
            self.append(items[0] if len(items) == 1 else items)
            self._changed.notify_all()

    def wait(self, count=1, timeout=10):
        with self._changed:
            assert self._changed.wait_for(lambda: len(self) >= count, timeout), list(self)
        return self


def until(graph, condition, timeout=15):
    """Wait until a condition on the graph holds."""
    changed = threading.Event()
    forget = graph.on_change(changed.set)
    try:
        while not condition():
            assert changed.wait(timeout), "the graph did not get there"
            changed.clear()
    finally:
        forget()


@pytest.fixture
def types():
    return TYPES


@pytest.fixture
def inbox():
    return Inbox


@pytest.fixture
def wait_graph():
    return until


@pytest.fixture
def open_session():
    with contextlib.ExitStack() as stack:

        def opener():
            session = Session.open(int(os.environ["ROS_DOMAIN_ID"]))
            stack.callback(session.close)
            return session

        yield opener


@pytest.fixture
def session(open_session):
    return open_session()


@pytest.fixture
def start_peer():
    peers = []

    def start(role, ready=True):
        peer = subprocess.Popen([sys.executable, PEER, role], stdout=subprocess.PIPE, text=True)
        peers.append(peer)
        if ready:
            assert peer.stdout.readline() == "ready\n"
        return peer

    yield start
    for peer in peers:
        peer.kill()
        peer.wait()
        peer.stdout.close()
