# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch file of the console: the page is there for the token that was given."""

import http.client
import re
import socket
import unittest
from pathlib import Path

import launch_testing.actions
import launch_testing.asserts
import pytest
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

CONSOLE = Path(__file__).parents[1] / "launch" / "console.launch.py"
TOKEN = "a-token-of-some-length"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.launch_test
def generate_test_description():
    port = free_port()
    arguments = {"port": str(port), "token": TOKEN, "namespace": "left"}
    console = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(CONSOLE)), launch_arguments=arguments.items()
    )
    return LaunchDescription([console, launch_testing.actions.ReadyToTest()]), {"port": port}


class TestConsole(unittest.TestCase):
    def test_the_page_is_there_for_the_token_and_for_nobody_else(self, proc_output, port):
        proc_output.assertWaitFor(
            re.compile(rf"the console is at http://127\.0\.0\.1:{port}/"), timeout=60
        )

        assert self.status(port, "/") == 401
        assert self.status(port, f"/?token={TOKEN}") == 303

    def status(self, port, path):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path)
        status = connection.getresponse().status
        connection.close()
        return status


@launch_testing.post_shutdown_test()
class TestAfterwards(unittest.TestCase):
    def test_the_node_ends_cleanly(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
