# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Every test module gets a network of its own: a private router port and a random domain."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys

import pytest

import pocket_ros2

pocket_ros2.activate()


def free_port() -> int:
    """Return a TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module", autouse=True)
def ros_env():
    """Isolate the module's ROS graph; child processes inherit it through the environment."""
    port = free_port()
    values = {
        "ROS_DOMAIN_ID": str(random.randrange(1, 200)),
        "ZENOH_CONFIG_OVERRIDE": f'connect/endpoints=["tcp/localhost:{port}"]',
    }
    saved = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    router = subprocess.Popen(
        [sys.executable, "-m", "pocket_ros2.wire.router", "--listen", f"tcp/127.0.0.1:{port}"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert router.stdout is not None
    assert "listening" in router.stdout.readline()
    yield values
    router.send_signal(signal.SIGTERM)
    assert router.wait(10) == 0
    router.stdout.close()
    for name, value in saved.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
