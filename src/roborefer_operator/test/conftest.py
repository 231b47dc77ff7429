# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""An executive with a mock robot, and a node that talks to it, all spinning in the background."""

import contextlib
import os
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


class Bench:
    """What tests need of running nodes."""

    def __init__(self, executive, robot, client):
        self.executive, self.robot, self.client = executive, robot, client
        self.world = robot.world if robot is not None else None
        self.statuses = []
        self.news = threading.Condition()

    def wait(self, future, timeout_s=20.0):
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(timeout_s), "no answer in time"
        return future.result()

    def call(self, kind, name, **fields):
        service = self.client.create_client(kind, name)
        assert service.wait_for_service(10.0), f"no service {name}"
        try:
            return self.wait(service.call_async(kind.Request(**fields)))
        finally:
            self.client.destroy_client(service)

    def on_status(self, message):
        with self.news:
            self.statuses.append(message)
            self.news.notify_all()

    def until(self, wanted, timeout_s=20.0):
        """Wait for a status of a task; returns it."""
        with self.news:
            found = lambda: next((s for s in reversed(self.statuses) if wanted(s)), None)  # noqa: E731
            assert self.news.wait_for(lambda: found() is not None, timeout_s), (
                f"not among {[(s.instruction, s.state, s.message) for s in self.statuses]}"
            )
            return found()


@pytest.fixture(scope="session")
def domain():
    """A ROS domain of this run's own, so that runs beside it are not heard."""
    before = os.environ.get("ROS_DOMAIN_ID")
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 200)
    yield
    if before is None:
        del os.environ["ROS_DOMAIN_ID"]
    else:
        os.environ["ROS_DOMAIN_ID"] = before


@pytest.fixture
def start(domain):
    """Start executive and mock robot with parameters of one's own."""
    import rclpy
    from rclpy.executors import MultiThreadedExecutor
    from rclpy.node import Node
    from rclpy.parameter import Parameter
    from roborefer_common.qos import TASK_STATUS
    from roborefer_operator.nodes.executive import ExecutiveNode
    from roborefer_operator.nodes.mock_robot import MockRobot

    from roborefer_msgs.msg import TaskStatus

    @contextlib.contextmanager
    def run(active=True, motion_s=0.1, robot=True, hear=None, **changes):
        def overrides(values):
            return [Parameter(name, value=value) for name, value in values.items()]

        with rclpy.init(args=[]):
            mock = None
            if robot:
                mock = MockRobot(parameter_overrides=overrides({"motion_s": motion_s}))
            executive = ExecutiveNode(hear=hear, parameter_overrides=overrides(changes))
            client = Node("client")
            executor = MultiThreadedExecutor(num_threads=8)
            nodes = [node for node in (mock, executive, client) if node is not None]
            for node in nodes:
                executor.add_node(node)
            thread = threading.Thread(target=executor.spin)
            thread.start()
            bench = Bench(executive, mock, client)
            client.create_subscription(TaskStatus, "task_status", bench.on_status, TASK_STATUS)
            try:
                if active:
                    executive.trigger_configure()
                    executive.trigger_activate()
                yield bench
            finally:
                executor.shutdown()
                thread.join()
                for node in nodes:
                    node.destroy_node()

    return run
