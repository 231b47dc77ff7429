# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""real_scene.launch.py: a recording goes in, a reference in the camera's frame comes out."""

import json
import tempfile
import unittest
from pathlib import Path
from time import monotonic

import cv2
import launch_testing.actions
import launch_testing.asserts
import numpy as np
import pytest
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from roborefer_bringup.client import Robot, RobotError
from roborefer_perception.testing import FakeReferringServer

from roborefer_msgs.msg import ErrorCode

LAUNCH_FILE = Path(__file__).parents[1] / "launch" / "real_scene.launch.py"
WIDTH, HEIGHT, FOCAL, FAR_M = 160, 120, 150.0, 0.8
_FOLDER = tempfile.TemporaryDirectory(prefix="real_scene_")
_SERVER = FakeReferringServer()
# What is not there yet while nodes are starting.
_STARTING = {ErrorCode.NOT_ACTIVE, ErrorCode.SERVER_UNAVAILABLE, ErrorCode.REFER_NO_IMAGE}


def write_scene(folder):
    """Record a wall that stands square to the camera, with a picture of noise on it."""
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    cv2.imwrite(str(folder / "rgb.png"), noise)
    depth = np.full((HEIGHT, WIDTH), round(FAR_M * 1000), np.uint16)
    cv2.imwrite(str(folder / "depth.png"), depth)
    camera = {
        "width": WIDTH, "height": HEIGHT, "fx": FOCAL, "fy": FOCAL,
        "cx": WIDTH / 2 - 0.5, "cy": HEIGHT / 2 - 0.5, "depth_scale_m": 0.001,
    }  # fmt: skip
    (folder / "camera.json").write_text(json.dumps(camera))
    return folder


@pytest.mark.launch_test
def generate_test_description():
    _SERVER.start()
    arguments = {
        "path": str(write_scene(Path(_FOLDER.name) / "wall")),
        "server": "external",
        "url": _SERVER.url,
    }
    scene = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(LAUNCH_FILE)), launch_arguments=arguments.items()
    )
    return LaunchDescription([scene, launch_testing.actions.ReadyToTest()])


class TestRealScene(unittest.TestCase):
    def test_reference_lies_on_the_recorded_surface(self):
        with Robot(timeout_s=40.0) as robot:
            place = self.when_up(robot, "the wall")

        assert place.frame == "camera_color_optical_frame"
        assert place.position == pytest.approx((0.0, 0.0, FAR_M), abs=0.02)

    def when_up(self, robot, words, timeout_s=40.0):
        until = monotonic() + timeout_s
        while True:
            try:
                return robot.refer(words)
            except RobotError as error:
                if error.code not in _STARTING or monotonic() > until:
                    raise


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_nodes_end_cleanly(self, proc_info):
        _SERVER.die()
        _FOLDER.cleanup()
        launch_testing.asserts.assertExitCodes(proc_info)
