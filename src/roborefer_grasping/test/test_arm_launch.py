# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch file: the node comes up active and works with prefixed joints and frames."""

import threading
import unittest
from pathlib import Path

import launch_testing.actions
import launch_testing.asserts
import pytest
import rclpy
from ament_index_python.packages import get_package_share_path
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from lifecycle_msgs.srv import GetState
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock

from roborefer_msgs.action import Pick
from roborefer_msgs.msg import ErrorCode

ARM = Path(__file__).parents[1] / "launch" / "arm.launch.py"


@pytest.mark.launch_test
def generate_test_description():
    cell = get_package_share_path("roborefer_sim") / "launch" / "ur5_cell.launch.py"
    return LaunchDescription(
        [
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(cell)),
                launch_arguments={"seed": "3", "tf_prefix": "left_"}.items(),
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(ARM)),
                launch_arguments={"robot": "sim", "tf_prefix": "left_"}.items(),
            ),
            launch_testing.actions.ReadyToTest(),
        ]
    )


class TestArm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.context = rclpy.Context()
        rclpy.init(context=cls.context)
        cls.node = rclpy.create_node(
            "tester",
            context=cls.context,
            parameter_overrides=[Parameter("use_sim_time", value=True)],
        )
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

    def wait(self, future, timeout_s=40.0):
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(timeout_s), "no answer in time"
        return future.result()

    def wait_until_active(self):
        client = self.node.create_client(GetState, "arm/get_state")
        assert client.wait_for_service(40.0)
        found = ""
        while found != "active":
            # Paced by the clock of the simulation, which runs before the arm does.
            self.tick()
            found = self.wait(client.call_async(GetState.Request())).current_state.label

    def tick(self):
        event = threading.Event()
        subscription = self.node.create_subscription(
            Clock, "/clock", lambda message: event.set(), 10
        )
        assert event.wait(40.0), "the clock does not run"
        self.node.destroy_subscription(subscription)

    def test_a_reference_in_prefixed_frames_is_understood(self):
        self.wait_until_active()
        client = ActionClient(self.node, Pick, "pick")
        assert client.wait_for_server(10.0)
        goal = Pick.Goal()
        goal.reference.header.frame_id = "camera_color_optical_frame"
        goal.reference.header.stamp = self.node.get_clock().now().to_msg()
        goal.reference.pose.header.frame_id = "left_base_link"
        goal.reference.pose.header.stamp = goal.reference.header.stamp
        # In mid-air before the camera, where nothing can be.
        at = goal.reference.pose.pose.pose.position
        at.x, at.y, at.z = 0.75, 0.0, 0.35

        handle = self.wait(client.send_goal_async(goal))
        result = self.wait(handle.get_result_async()).result

        assert result.error_code == ErrorCode.ARM_NOTHING_THERE, result.error_msg
        assert "behind the referred place" in result.error_msg


@launch_testing.post_shutdown_test()
class TestAfterwards(unittest.TestCase):
    def test_both_end_cleanly(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info, allowable_exit_codes=[0, -2])
