# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch file beside the simulated cell: the node comes up active and refers in its frames."""

import threading
import unittest
from pathlib import Path

import launch_testing.actions
import launch_testing.asserts
import pytest
import rclpy
from ament_index_python.packages import get_package_share_path
from builtin_interfaces.msg import Duration
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from roborefer_perception.testing import FakeReferringServer

from roborefer_msgs.action import Refer
from roborefer_msgs.msg import ErrorCode

REFERRER = Path(__file__).parents[1] / "launch" / "referrer.launch.py"
SERVER = FakeReferringServer()


@pytest.mark.launch_test
def generate_test_description():
    cell = get_package_share_path("roborefer_sim") / "launch" / "ur5_cell.launch.py"
    SERVER.start()
    return LaunchDescription(
        [
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(cell)),
                launch_arguments={"seed": "3", "tf_prefix": "left_"}.items(),
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(REFERRER)),
                launch_arguments={
                    "url": SERVER.url,
                    "target_frame": "left_base_link",
                    "use_sim_time": "true",
                }.items(),
            ),
            launch_testing.actions.ReadyToTest(),
        ]
    )


class TestReferrer(unittest.TestCase):
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
        SERVER.die()

    def wait(self, future, timeout_s=40.0):
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(timeout_s), "no answer in time"
        return future.result()

    def test_the_middle_of_the_picture_is_a_place_on_the_table(self):
        client = ActionClient(self.node, Refer, "refer")
        assert client.wait_for_server(40.0)
        goal = Refer.Goal(instruction="the middle", wait_timeout=Duration(sec=20))
        code = ErrorCode.NOT_ACTIVE
        while code in (ErrorCode.NOT_ACTIVE, ErrorCode.UNKNOWN_FRAME):
            handle = self.wait(client.send_goal_async(goal))
            result = self.wait(handle.get_result_async()).result
            code = result.error_code

        assert code == ErrorCode.SUCCESS, result.error_msg
        pose = result.references[0].pose
        assert pose.header.frame_id == "left_base_link"
        # The camera's axis meets the table there, and nothing stands in between with this seed.
        at = pose.pose.pose.position
        assert abs(at.x - 0.44) < 0.03
        assert abs(at.y) < 0.01
        assert abs(at.z) < 0.01


@launch_testing.post_shutdown_test()
class TestAfterwards(unittest.TestCase):
    def test_all_end_cleanly(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info, allowable_exit_codes=[0, -2])
