# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Every test module gets a network of its own: a private router port and a random domain."""

from __future__ import annotations

import pytest
from pocket_ros2.testing import isolated_ros

import pocket_ros2

pocket_ros2.activate()


@pytest.fixture(scope="module", autouse=True)
def ros_env():
    """Isolate the module's ROS graph; child processes inherit it through the environment."""
    with isolated_ros() as values:
        yield values


@pytest.fixture
def context():
    """A context of the test's own, without signal handlers."""
    from rclpy.context import Context

    context = Context()
    context.init([])
    yield context
    context.try_shutdown()
