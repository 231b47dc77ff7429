# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The other side dies, stalls, or was never meant for us; the router dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
import rclpy
from pocket_ros2.testing import free_port, isolated_ros
from rclpy.action import ActionClient, ActionServer
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger
from test_msgs.action import Fibonacci

DEADLINE_S = 40.0
MEGABYTE = bytes(1_000_000)


@pytest.fixture
def own_router(monkeypatch):
    """Start routers at a port of our own; killed ones leave the port to the next."""
    port = free_port()
    monkeypatch.setenv("ZENOH_CONFIG_OVERRIDE", f'connect/endpoints=["tcp/localhost:{port}"]')
    routers = []

    def start():
        command = [
            sys.executable,
            "-m",
            "pocket_ros2.wire.router",
            f"--listen=tcp/127.0.0.1:{port}",
        ]
        router = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        routers.append(router)
        assert "listening" in router.stdout.readline()
        return router

    yield start
    for router in routers:
        router.kill()
        router.wait()
        router.stdout.close()


def test_blocking_call_raises_when_its_server_is_killed(node, start):
    server = start("bystander.py", "server")
    client = node.create_client(Trigger, "slow")
    assert client.wait_for_service(DEADLINE_S)
    spinner = threading.Thread(target=node.executor.spin, daemon=True)
    spinner.start()

    def kill():
        assert server.stdout.readline() == "asked\n"
        server.kill()

    threading.Thread(target=kill).start()
    with pytest.raises(ConnectionError, match="/slow"):
        client.call(Trigger.Request(), timeout_sec=DEADLINE_S)

    node.executor.shutdown()
    spinner.join(DEADLINE_S)


def test_server_answers_others_after_its_client_was_killed_in_a_call(node, start, until):
    requests = []
    service = node.create_service(Trigger, "slow", lambda request, response: response)
    service.execute = lambda taken: requests.append(taken) or _nothing()
    caller = start("bystander.py", "caller")
    until(lambda: requests)
    caller.kill()
    until(lambda: node.count_clients("slow") == 0)

    service.send_response(Trigger.Response(), requests[0][1])

    del service.execute
    future = node.create_client(Trigger, "slow").call_async(Trigger.Request())
    until(future.done)
    assert future.result() == Trigger.Response()


async def _nothing():
    pass


def test_stalled_subscriber_blocks_neither_publisher_nor_other_subscribers(
    node, start, until, make_context
):
    sink = start("bystander.py", "sink")
    healthy, got = rclpy.create_node("healthy", context=make_context()), []
    healthy.create_subscription(Image, "image", lambda image: got.append(image), 10)
    receiving = rclpy.executors.SingleThreadedExecutor(context=healthy.context)
    receiving.add_node(healthy)
    spinner = threading.Thread(target=receiving.spin)
    spinner.start()
    publisher = node.create_publisher(Image, "image", 10)
    until(lambda: publisher.get_subscription_count() == 2)
    sink.send_signal(signal.SIGSTOP)

    slowest = 0.0
    for number in range(40):
        message = Image(data=MEGABYTE)
        message.header.frame_id = str(number)
        start_s = time.monotonic()
        publisher.publish(message)
        slowest = max(slowest, time.monotonic() - start_s)
        until(lambda n=number: len(got) > n)
    sink.send_signal(signal.SIGCONT)
    last = Image()
    last.header.frame_id = "last"
    resumed = threading.Event()
    threading.Thread(
        target=lambda: "last\n" in iter(sink.stdout.readline, "") and resumed.set()
    ).start()
    deadline = time.monotonic() + DEADLINE_S
    while not resumed.wait(0.1):
        assert time.monotonic() < deadline, "the stalled subscriber hears nothing any more"
        publisher.publish(last)

    receiving.shutdown()
    spinner.join(DEADLINE_S)
    assert slowest < 1


def test_graph_lives_on_without_router_and_grows_again_with_a_new_one(own_router, make_context):
    router = own_router()
    nodes = [rclpy.create_node(name, context=make_context()) for name in ("here", "there")]
    here, there = nodes
    executors = [rclpy.executors.SingleThreadedExecutor(context=n.context) for n in nodes]
    latched = QoSProfile(depth=1, durability=1)
    talk, last, heard = here.create_publisher(String, "talk", 10), [], []
    here.create_publisher(String, "last", latched).publish(String(data="word"))
    there.create_subscription(String, "talk", lambda message: heard.append(message.data), 10)
    ActionServer(there, Fibonacci, "act", lambda goal: goal.succeed() or Fibonacci.Result())
    for node, executor in zip(nodes, executors, strict=True):
        executor.add_node(node)

    def until(predicate):
        deadline = time.monotonic() + DEADLINE_S
        while not predicate():
            assert time.monotonic() < deadline, "the deadline passed"
            for executor in executors:
                executor.spin_once(timeout_sec=0.02)

    def result_for(node):
        client = ActionClient(node, Fibonacci, "act")
        until(client.server_is_ready)
        goal = client.send_goal_async(Fibonacci.Goal())
        until(goal.done)
        result = goal.result().get_result_async()
        until(result.done)
        return result.result().status

    until(talk.get_subscription_count)
    talk.publish(String(data="with router"))
    until(lambda: heard)
    router.kill()
    router.wait()

    talk.publish(String(data="without router"))
    until(lambda: len(heard) == 2)
    assert result_for(here) == 4

    own_router()
    late = rclpy.create_node("late", context=make_context())
    executors.append(rclpy.executors.SingleThreadedExecutor(context=late.context))
    executors[-1].add_node(late)
    late.create_subscription(String, "last", last.append, latched)
    until(lambda: {"here", "there"} <= set(late.get_node_names()))
    until(lambda: all("late" in node.get_node_names() for node in nodes))
    until(lambda: last)
    assert result_for(late) == 4


def test_launches_at_once_do_not_see_each_other(tmp_path):
    program = Path(__file__).with_name("bystander.py")
    text = f"""
        import sys
        from launch import LaunchDescription
        from launch.actions import DeclareLaunchArgument, ExecuteProcess
        from launch.substitutions import LaunchConfiguration

        RUN = (
            "import pocket_ros2, runpy, sys; pocket_ros2.activate(); del sys.argv[0]; "
            "runpy.run_path(sys.argv[0], run_name='__main__')"
        )

        def generate_launch_description():
            python = [sys.executable, "-c", RUN, {str(program)!r}]
            label = LaunchConfiguration("label")
            return LaunchDescription([
                DeclareLaunchArgument("label"),
                ExecuteProcess(cmd=[*python, "talker", label], output="screen"),
                ExecuteProcess(cmd=[*python, "listener"], output="screen"),
            ])
    """
    file = tmp_path / "pair.launch.py"
    file.write_text(textwrap.dedent(text))
    with isolated_ros() as one, isolated_ros() as other:
        elsewhere = {**one, "ROS_DOMAIN_ID": str(int(one["ROS_DOMAIN_ID"]) % 200 + 1)}
        worlds = [one, elsewhere, {**other, "ROS_DOMAIN_ID": one["ROS_DOMAIN_ID"]}]
        launches = [
            subprocess.Popen(
                [sys.executable, "-m", "pocket_ros2.cli.main", "launch", file, f"label:={number}"],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env={**os.environ, **world},
            )
            for number, world in enumerate(worlds)
        ]
        try:
            for _ in range(2):  # All have heard something before each hears again.
                heard = [_heard(launch) for launch in launches]
            for launch in launches:
                launch.send_signal(signal.SIGINT)
            codes = []
            for launch in launches:
                launch.communicate(timeout=DEADLINE_S)
                codes.append(launch.returncode)
        finally:
            for launch in launches:
                launch.kill()
                launch.wait()

    assert heard == [f"heard ['{n}'] of ['listener', 'talker']" for n in range(3)]
    assert codes == [0, 0, 0]


def _heard(launch):
    seen = []
    for line in launch.stdout:
        seen.append(line)
        if "heard" in line:
            return line[line.index("heard") :].strip()
    pytest.fail("".join(seen))
