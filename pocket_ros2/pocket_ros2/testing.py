# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A ROS network of its own for tests, and a pytest plugin that runs launch tests on it."""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock

from pocket_ros2.finder import activate, real_ros_found


def free_port() -> int:
    """Return a TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def isolated_ros() -> Iterator[dict[str, str]]:
    """Give this process and its children a private router and a random domain for a while.

    Yields:
        The environment variables that do it; they are restored afterwards.
    """
    port = free_port()
    values = {
        "ROS_DOMAIN_ID": str(random.randrange(1, 200)),
        "ZENOH_CONFIG_OVERRIDE": f'connect/endpoints=["tcp/localhost:{port}"]',
    }
    command = [sys.executable, "-m", "pocket_ros2.wire.router"]
    with (
        mock.patch.dict(os.environ, values),
        subprocess.Popen(
            [*command, "--listen", f"tcp/127.0.0.1:{port}"], stdout=subprocess.PIPE, text=True
        ) as router,
    ):
        try:
            assert router.stdout is not None
            assert "listening" in router.stdout.readline()
            yield values
        finally:
            router.send_signal(signal.SIGTERM)
            code = router.wait(10)
    if code != 0:
        raise RuntimeError(f"the router of the test ended with exit code {code}")


def pytest_addoption(pluginmanager: Any) -> None:
    """Load the pytest support of launch_testing, which a real ROS 2 would register itself."""
    if not real_ros_found():
        activate()
        hooks = importlib.import_module("launch_testing.pytest.hooks")
        pluginmanager.register(hooks, "launch_testing")


def launch_test() -> int:
    """Run the `launch_test` command of whichever launch_testing there is."""
    activate()
    return int(importlib.import_module("launch_testing.launch_test").main())
