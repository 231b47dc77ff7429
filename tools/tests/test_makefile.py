# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The Makefile offers the same targets in both worlds; nothing is run, only planned."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGETS = ["help", "setup", "demo", "test", "test-all", "lint", "docs", "bench", "clean"]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture(params=["without_ros", "with_ros"])
def world(request, tmp_path):
    """An environment with or without something that looks like a sourced ROS 2."""
    environment = {k: v for k, v in os.environ.items() if k not in {"ROS_DISTRO", "MAKEFLAGS"}}
    if request.param == "with_ros":
        (tmp_path / "ros2").write_text("#!/bin/sh\n")
        (tmp_path / "ros2").chmod(0o755)
        environment["ROS_DISTRO"] = "jazzy"
        environment["PATH"] = f"{tmp_path}{os.pathsep}{environment['PATH']}"
    return request.param, environment


def plan(world, *arguments: str) -> str:
    command = ["make", "--always-make", "--dry-run", *arguments]
    run = subprocess.run(command, cwd=ROOT, env=world[1], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_help_lists_every_target_once(world):
    run = subprocess.run(["make"], cwd=ROOT, env=world[1], capture_output=True, text=True)

    assert re.findall(r"^  make ([\w-]+) ", run.stdout, re.M) == TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_target_exists_in_both_worlds(target, world):
    assert plan(world, target)


def test_a_sourced_ros_2_gets_colcon_and_no_virtual_environment(world):
    steps = plan(world, "setup", "test")

    name, _ = world
    assert ("colcon" in steps) == ("rosdep" in steps) == (name == "with_ros")
    assert (".venv" in steps) == (name == "without_ros")


def test_slow_tests_are_run_by_test_all_only(world):
    assert '-m "not slow"' in plan(world, "test")
    assert '-m "slow or not slow"' in plan(world, "test-all")
