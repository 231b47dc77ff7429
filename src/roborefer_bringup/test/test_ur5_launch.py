# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""ur5.launch.py with drivers that run elsewhere: our nodes come up with the robot's parameters."""

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
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor

LAUNCH_FILE = Path(__file__).parents[1] / "launch" / "ur5.launch.py"


@pytest.mark.launch_test
def generate_test_description():
    arguments = {
        "robot": "ur5e", "robot_ip": "192.168.56.101", "namespace": "left",
        "driver": "external", "camera": "external", "server": "external",
        "camera_pose": "1.12 0 0.72 0 0 0 1",
    }  # fmt: skip
    robot = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(LAUNCH_FILE)), launch_arguments=arguments.items()
    )
    return LaunchDescription([robot, launch_testing.actions.ReadyToTest()])


class TestUr5(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.context = rclpy.Context()
        rclpy.init(context=cls.context)
        cls.node = rclpy.create_node("tester", context=cls.context)
        cls.executor = SingleThreadedExecutor(context=cls.context)
        cls.executor.add_node(cls.node)
        cls.thread = threading.Thread(target=cls.executor.spin)
        cls.thread.start()

    @classmethod
    def tearDownClass(cls):
        cls.executor.shutdown()
        cls.thread.join(10)
        cls.node.destroy_node()
        rclpy.try_shutdown(context=cls.context)

    def call(self, kind, name, request):
        client = self.node.create_client(kind, name)
        assert client.wait_for_service(40.0), f"no service {name}"
        answered = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: answered.set())
        assert answered.wait(20.0), f"no answer of {name}"
        return future.result()

    def parameter(self, node, name):
        request = GetParameters.Request(names=[name])
        return self.call(GetParameters, f"left/{node}/get_parameters", request).values[0]

    def test_each_node_has_its_own_file_and_what_the_robot_needs(self):
        assert self.parameter("arm", "robot.name").string_value == "ur5e"
        action = self.parameter("arm", "arm.action").string_value
        assert action.startswith("scaled_joint_trajectory_controller/")
        assert self.parameter("executive", "words.min_confidence").double_value == 0.8
        assert self.parameter("referrer", "camera.position_sigma_m").double_value == 0.003


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_nodes_end_cleanly(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
