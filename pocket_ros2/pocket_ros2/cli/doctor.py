# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""`doctor`: checks this machine for the things that keep nodes from talking."""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Any

from pocket_ros2 import workspace
from pocket_ros2.cli.common import ros_node, verb
from pocket_ros2.cli.nodes import node_names


def register(commands: Any) -> None:
    """Add the commands of this module."""
    verb(commands, "doctor", _doctor, "check this machine and print what it found")


def _doctor(args: argparse.Namespace) -> int:
    """Print one line a check; exit code 1 if one of them failed."""
    failed = 0
    for verdict, text in _checks():
        print(f"[{verdict}] {text}", flush=True)
        failed += verdict == "FAIL"
    print("\nAll checks passed" if not failed else f"\n{failed} checks failed")
    return 1 if failed else 0


def _checks() -> Iterator[tuple[str, str]]:
    version = platform.python_version()
    yield ("ok" if sys.version_info >= (3, 11) else "FAIL", f"Python {version}, 3.11 is needed")
    for package in ("eclipse-zenoh", "numpy", "PyYAML", "xxhash"):
        yield "ok", f"{package} {metadata.version(package)}"
    for module, extra in (("rosbags", "bag"), ("cv2", "cv")):
        found = importlib.util.find_spec(module) is not None
        hint = "" if found else f" (optional: pip install 'pocket-ros2[{extra}]')"
        yield ("ok" if found else "note", f"{module} {'found' if found else 'missing'}{hint}")
    roots = ", ".join(map(str, workspace.roots())) or "none (set POCKET_ROS2_WORKSPACE)"
    yield "ok", f"workspace: {roots}; {len(workspace.source_packages())} source packages"
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    valid = domain.isdigit() and int(domain) <= 232
    yield ("ok" if valid else "FAIL", f"ROS_DOMAIN_ID {domain!r}, must be 0 to 232")
    for name in ("ZENOH_SESSION_CONFIG_URI", "ZENOH_CONFIG_OVERRIDE"):
        if name in os.environ:
            yield "note", f"{name}={os.environ[name]}"
    yield from _talk()


def _talk() -> Iterator[tuple[str, str]]:
    """Send one message to ourselves through the middleware, and look at the graph."""
    from std_msgs.msg import String

    from pocket_ros2.cli.common import wait_until

    received: list[Any] = []
    with ros_node("doctor") as node:
        topic = f"/_pocket_ros2_doctor_{os.getpid()}"
        node.create_subscription(String, topic, received.append, 1)
        publisher = node.create_publisher(String, topic, 1)
        matched = wait_until(node, lambda: publisher.get_subscription_count() > 0, 3.0)
        publisher.publish(String(data="hello"))
        heard = matched and wait_until(node, lambda: bool(received), 3.0)
        verdict = "ok" if heard else "FAIL"
        yield verdict, "a message to ourselves " + ("arrived" if heard else "did not arrive")
        names = node_names(node)
        yield "ok", f"{len(names)} nodes in the graph: {', '.join(names) or 'none'}"
