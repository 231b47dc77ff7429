# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor

DEADLINE_S = 40.0
RUN = (
    "import pocket_ros2, runpy, sys; pocket_ros2.activate(); del sys.argv[0]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


@pytest.fixture
def start():
    """Run a program beside the test; wait for the first line it is to say."""
    started = []

    def start(program, *arguments, says="ready", **variables):
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, Path(__file__).with_name(program), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **variables},
        )
        started.append(process)
        if process.stdout.readline() != f"{says}\n":
            pytest.fail(process.stderr.read())
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def make_context():
    contexts = []

    def make():
        contexts.append(rclpy.Context())
        rclpy.init(context=contexts[-1], args=[])
        return contexts[-1]

    yield make
    for context in contexts:
        context.try_shutdown()


@pytest.fixture
def executor(make_context):
    executor = SingleThreadedExecutor(context=make_context())
    yield executor
    executor.shutdown()


@pytest.fixture
def node(executor):
    node = rclpy.create_node("tester", context=executor.context)
    executor.add_node(node)
    return node


@pytest.fixture
def until(executor):
    """Spin until something is the case."""

    def until(predicate):
        deadline = time.monotonic() + DEADLINE_S
        while not predicate():
            assert time.monotonic() < deadline, "the deadline passed"
            executor.spin_once(timeout_sec=0.05)

    return until
