# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""ur5_sim.launch.py: a sentence moves a thing, by the simulator's ground truth."""

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
from roborefer_bringup.client import Robot
from roborefer_bringup.demo.graph import free_port
from roborefer_bringup.demo.story import ACTS, THINGS
from roborefer_bringup.demo.table import set_table, table

LAUNCH_FILE = Path(__file__).parents[1] / "launch" / "ur5_sim.launch.py"


@pytest.mark.launch_test
def generate_test_description():
    sim = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(LAUNCH_FILE)),
        launch_arguments={"port": str(free_port())}.items(),
    )
    return LaunchDescription([sim, launch_testing.actions.ReadyToTest()])


class TestSentence(unittest.TestCase):
    def setUp(self):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("judge", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self.executor.spin)
        self.thread.start()

    def tearDown(self):
        self.executor.shutdown()
        self.thread.join(10)
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)

    def test_thing_stands_where_the_sentence_says(self):
        act = ACTS[0]
        set_table(self.node, THINGS)
        before = table(self.node, THINGS)

        with Robot(timeout_s=120.0) as robot:
            # Until the first answer of the whole chain, servers are still starting.
            robot.do("find the red can")
            done = robot.do(act.sentence)

        assert done.succeeded, done.message
        checks = act.judge(before, table(self.node, THINGS))
        assert all(check.passed for check in checks), checks


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_processes_end_cleanly(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
