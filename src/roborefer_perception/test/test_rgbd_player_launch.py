# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch file and the executable: pictures come, and the program ends as it should."""

import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

import launch_testing.actions
import launch_testing.asserts
import pytest
import rclpy
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo

sys.path.insert(0, str(Path(__file__).parent))
import recorded  # noqa: E402

_FOLDER = tempfile.TemporaryDirectory(prefix="rgbd_player_")
LAUNCH_FILE = Path(__file__).parents[1] / "launch" / "rgbd_player.launch.py"


@pytest.mark.launch_test
def generate_test_description():
    folder = recorded.write_scene(Path(_FOLDER.name) / "table")
    player = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(LAUNCH_FILE)),
        launch_arguments={"path": str(folder), "namespace": "left"}.items(),
    )
    return LaunchDescription([player, launch_testing.actions.ReadyToTest()])


class TestPlayer(unittest.TestCase):
    def test_scene_comes_in_the_namespace(self):
        context = rclpy.Context()
        rclpy.init(context=context)
        node = rclpy.create_node("tester", context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        came, found = threading.Event(), []

        def take(message):
            found.append(message)
            came.set()

        node.create_subscription(CameraInfo, "left/camera/color/camera_info", take, 10)
        thread = threading.Thread(target=executor.spin)
        thread.start()
        try:
            assert came.wait(30.0), "no camera_info"
        finally:
            executor.shutdown()
            thread.join(10)
            node.destroy_node()
            rclpy.try_shutdown(context=context)
        assert found[0].width == recorded.WIDTH

    def test_program_says_what_it_cannot_play_and_exits_with_1(self):
        program = "import sys; from roborefer_perception.nodes.rgbd_player import main;"
        program += "sys.exit(main())"
        done = subprocess.run(
            [sys.executable, "-c", program, "--ros-args", "-p", "path:=nowhere"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

        assert done.returncode == 1
        assert "rgbd_player: nowhere" in done.stderr
        assert "Traceback" not in done.stderr


@launch_testing.post_shutdown_test()
class TestShutdown(unittest.TestCase):
    def test_player_ends_cleanly(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
