# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch file: both processes come up, agree on where the robot is, and end cleanly."""

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
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, JointState
from std_msgs.msg import String
from tf2_ros import Buffer, TransformListener

LAUNCH_FILE = Path(__file__).parents[1] / "launch" / "ur5_cell.launch.py"


@pytest.mark.launch_test
def generate_test_description():
    cell = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(LAUNCH_FILE)),
        launch_arguments={"seed": "3", "real_time_factor": "0.0", "tf_prefix": "ur_"}.items(),
    )
    return LaunchDescription([cell, launch_testing.actions.ReadyToTest()])


class TestCell(unittest.TestCase):
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

    def first(self, kind, topic, qos=10):
        found, event = [], threading.Event()

        def take(message):
            found.append(message)
            event.set()

        subscription = self.node.create_subscription(kind, topic, take, qos)
        assert event.wait(40.0), f"nothing on {topic}"
        self.node.destroy_subscription(subscription)
        return found[0]

    def test_joints_and_pictures_come_with_their_names(self):
        joints = self.first(JointState, "joint_states")
        info = self.first(CameraInfo, "camera/color/camera_info")

        assert all(name.startswith("ur_") for name in joints.name)
        assert info.header.frame_id == "camera_color_optical_frame"

    def test_description_is_published(self):
        latched = rclpy.qos.QoSProfile(
            depth=1, durability=rclpy.qos.DurabilityPolicy.TRANSIENT_LOCAL
        )

        text = self.first(String, "robot_description", latched).data

        assert 'link name="ur_tcp"' in text

    def test_tool_is_where_the_simulator_has_it(self):
        buffer = Buffer()
        self.listener = TransformListener(buffer, self.node)
        known = threading.Event()
        future = buffer.wait_for_transform_async("world", "ur_tcp", Time())
        future.add_done_callback(lambda _: known.set())
        assert known.wait(40.0), "no transform to ur_tcp"

        at = buffer.lookup_transform("world", "ur_tcp", Time()).transform.translation

        # The home of the arm, as the cell's own kinematics have it.
        from roborefer_sim.core.cell import Cell

        expected = Cell().data.site("tcp").xpos
        for measured, wanted in zip((at.x, at.y, at.z), expected, strict=True):
            assert measured == pytest.approx(wanted, abs=0.005)


@launch_testing.post_shutdown_test()
class TestShutdown(unittest.TestCase):
    def test_both_end_cleanly(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
