# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Type hashes against values that real ROS 2 installations have printed in public."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pocket_ros2.idl import rihs
from rosbags.typesys import Stores, get_typestore

from pocket_ros2 import idl

LINES = Path(__file__).with_name("published_type_hashes.txt").read_text(encoding="utf-8")
PUBLISHED = [line.split() for line in LINES.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize(("name", "value"), PUBLISHED)
def test_hash_equals_the_published_one(name, value):
    assert rihs.type_hash(name) == f"RIHS01_{value}"


def test_hashes_equal_those_of_rosbags():
    store = get_typestore(Stores.ROS2_JAZZY)
    wrong_there = {"std_msgs/msg/Char", "service_msgs/msg/ServiceEventInfo"}  # char is uint8
    mine = {n for p in idl.interface_packages() for n in idl.interfaces_in(p)} - wrong_there
    both = sorted(mine & set(store.fielddefs))
    assert len(both) > 140
    assert [n for n in both if rihs.type_hash(n) != store.hash_rihs01(n)] == []


def test_types_that_lyrical_changed_follow_ros_distro():
    name = "lifecycle_msgs/msg/TransitionEvent"
    code = f"from pocket_ros2.idl import rihs; print(rihs.type_hash({name!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ROS_DISTRO": "lyrical"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == get_typestore(Stores.ROS2_LYRICAL).hash_rihs01(name)
    assert rihs.type_hash(name) == get_typestore(Stores.ROS2_JAZZY).hash_rihs01(name)
