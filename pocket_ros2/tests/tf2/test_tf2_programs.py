# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The transform programs as processes of their own, one talking to the other."""

from __future__ import annotations

import signal
import subprocess

from pocket_ros2 import workspace


def start(name, *words):
    command = [*workspace.executable("tf2_ros", name), *words]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )


def test_echo_shows_what_the_static_publisher_sends_and_both_end_on_ctrl_c():
    options = "--x 1 --z -2.5 --yaw 3.14159265 --frame-id base --child-frame-id camera"
    publisher = start("static_transform_publisher", *options.split())
    echo = start("tf2_echo", "base", "camera", "20")
    try:
        for line in echo.stdout:
            if line.startswith("- Translation"):
                break
        rotation = echo.stdout.readline()
    finally:
        for process in (echo, publisher):
            process.send_signal(signal.SIGINT)
        ends = [process.communicate(timeout=20) for process in (echo, publisher)]

    assert line == "- Translation: [1.000, 0.000, -2.500]\n"
    assert rotation.endswith("[0.000, 0.000, 1.000, 0.000]\n")
    assert "publishing transform from 'base' to 'camera'" in ends[1][1]
    assert [echo.returncode, publisher.returncode] == [0, 0]
