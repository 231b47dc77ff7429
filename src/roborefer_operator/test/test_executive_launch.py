# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch file, with a mock robot beside it: a sentence is carried out and leaves a record."""

import json
import shutil
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
from launch_ros.actions import Node
from lifecycle_msgs.srv import GetState
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor

from roborefer_msgs.action import ExecuteInstruction

EXECUTIVE = Path(__file__).parents[1] / "launch" / "executive.launch.py"
NAMESPACE = "left"


@pytest.mark.launch_test
def generate_test_description():
    records = tempfile.mkdtemp()
    arguments = {"namespace": NAMESPACE, "records": records, "log_level": "warn"}
    return LaunchDescription(
        [
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(EXECUTIVE)), launch_arguments=arguments.items()
            ),
            Node(
                package="roborefer_operator", executable="mock_robot", namespace=NAMESPACE,
                parameters=[{"motion_s": 0.1}],
            ),
            launch_testing.actions.ReadyToTest(),
        ]
    ), {"records": Path(records)}  # fmt: skip


class TestExecutive(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.context = rclpy.Context()
        rclpy.init(context=cls.context)
        cls.node = rclpy.create_node("tester", namespace=NAMESPACE, context=cls.context)
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
        client = self.node.create_client(GetState, "executive/get_state")
        assert client.wait_for_service(40.0)
        found, looked = "", threading.Event()
        timer = self.node.create_timer(0.1, looked.set)
        while found != "active":
            assert looked.wait(10.0)
            looked.clear()
            found = self.wait(client.call_async(GetState.Request())).current_state.label
        self.node.destroy_timer(timer)

    def test_a_sentence_is_carried_out_and_recorded(self, records):
        self.wait_until_active()
        client = ActionClient(self.node, ExecuteInstruction, "execute_instruction")
        assert client.wait_for_server(10.0)
        goal = ExecuteInstruction.Goal(instruction="put the red mug left of the plate")

        handle = self.wait(client.send_goal_async(goal))
        result = self.wait(handle.get_result_async()).result

        assert (result.error_code, result.steps_done) == (0, 2), result.error_msg
        records_of_it = list(records.glob(f"*-{result.task.task_id}"))
        assert len(records_of_it) == 1


@launch_testing.post_shutdown_test()
class TestAfterwards(unittest.TestCase):
    def test_both_end_cleanly(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info, allowable_exit_codes=[0, -2])

    def test_the_record_is_whole(self, records):
        self.addCleanup(shutil.rmtree, records)
        (folder,) = (path for path in records.iterdir() if path.name[:2] == "20")
        lines = (folder / "record.jsonl").read_text().splitlines()
        assert json.loads(lines[-1])["event"] == "ended"
        assert (folder / "record.html").exists()
        assert list(folder.glob("*-color.png"))
