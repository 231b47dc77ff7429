# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Names and arguments, up to what arrives where."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import String
from std_srvs.srv import Trigger

DEADLINE_S = 10.0


@pytest.fixture
def make_node():
    contexts = []

    def make(arguments="", name="walker", **options):
        context = rclpy.Context()
        rclpy.init(args=["program", "--ros-args", *arguments.split()], context=context)
        contexts.append(context)
        return rclpy.create_node(name, context=context, **options)

    yield make
    for context in contexts:
        rclpy.shutdown(context=context)


def test_remapped_and_private_topics_and_services_meet(make_node):
    walker = make_node("-r chatter:=/said -r walker:~/ask:=/asked -r __ns:=/fleet", namespace="/x")
    listener = make_node(name="listener")
    heard = []
    listener.create_subscription(String, "said", heard.append, 10)
    client = listener.create_client(Trigger, "asked")
    walker.create_service(Trigger, "~/ask", lambda request, response: response)
    publisher = walker.create_publisher(String, "chatter", 10)
    assert client.wait_for_service(DEADLINE_S)
    with SingleThreadedExecutor(context=listener.context) as executor:
        executor.add_node(listener)
        deadline = time.monotonic() + DEADLINE_S
        while not heard:
            assert time.monotonic() < deadline
            publisher.publish(String())
            executor.spin_once(timeout_sec=0.1)

    assert walker.get_fully_qualified_name() == "/fleet/walker"
    assert walker.resolve_topic_name("~/chatter") == "/fleet/walker/chatter"
    assert walker.resolve_topic_name("{ns}/{node}/t") == "/fleet/walker/t"


def test_one_rule_is_applied_once_and_not_to_its_own_result(make_node):
    node = make_node("-r a:=b -r b:=a -r walker:c:=mine -r c:=all")

    assert node.resolve_topic_name("a") == "/b"
    assert node.resolve_topic_name("b") == "/a"
    assert node.resolve_topic_name("c") == "/mine"


def test_rules_of_one_node_leave_the_other_node_of_the_process_alone(make_node):
    node = make_node("-r walker:__ns:=/a -r walker:t:=u")
    other = rclpy.create_node("other", context=node.context)

    assert node.get_namespace() == "/a"
    assert other.get_namespace() == "/"
    assert (node.resolve_topic_name("t"), other.resolve_topic_name("t")) == ("/a/u", "/t")


PROGRAM = """
import sys, pocket_ros2
pocket_ros2.activate()
import rclpy
from rclpy.utilities import remove_ros_args
rclpy.init()
node = rclpy.create_node("walker")
node.get_logger().debug("a detail")
node.get_logger().get_child("leg").debug("a small detail")
rclpy.create_node("other").get_logger().debug("not told")
print(node.get_fully_qualified_name(), node.declare_parameter("a.b", 0).value)
print(remove_ros_args(sys.argv)[1:])
"""


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_command_line_reaches_the_node_and_what_is_not_for_ros_stays():
    done = run(
        *("mine", "--ros-args", "-r", "__node:=robot", "-p", "robot:a.b:=7"),
        *("--log-level", "robot:=debug", "-e", "/cell", "--", "--also-mine"),
        *("--ros-args", "-r", "other:__ns:=/ns", "--log-level", "walker:=debug"),
    )

    assert done.stdout.splitlines() == ["/robot 7", "['mine', '--also-mine']"]
    assert [line.split("] ", 2)[2] for line in done.stderr.splitlines()] == [
        "[robot]: a detail",
        "[robot.leg]: a small detail",
    ]


def test_unknown_ros_argument_ends_the_program_with_its_name():
    done = run("--ros-args", "--no-such-thing")

    assert done.returncode == 1
    assert "UnknownROSArgsError" in done.stderr
    assert "--no-such-thing" in done.stderr
    assert run("--no-such-thing").returncode == 0


def test_hidden_names_are_listed_only_on_demand(make_node):
    node = make_node(name="_hidden_walker")
    node.create_publisher(String, "_secret", 10)
    node.create_publisher(String, "open/_inner", 10)
    node.create_publisher(String, "shown", 10)

    def listed(*command):
        done = subprocess.run(
            [sys.executable, "-m", "pocket_ros2.cli.main", *command],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return set(done.stdout.split())

    topics = {name for name, _ in node.get_topic_names_and_types()}
    assert {"/_secret", "/open/_inner", "/shown"} <= topics
    assert "_hidden_walker" in node.get_node_names()
    assert listed("topic", "list") & {"/_secret", "/open/_inner", "/shown"} == {"/shown"}
    assert {"/_secret", "/open/_inner"} <= listed("topic", "list", "--include-hidden-topics")
    assert "/_hidden_walker" not in listed("node", "list")
    assert "/_hidden_walker" in listed("node", "list", "--all")


def test_submodules_come_with_the_node_as_in_rclpy():
    names = "executors qos time duration clock timer logging parameter callback_groups task"
    program = (
        "import pocket_ros2; pocket_ros2.activate(); import rclpy; from rclpy.node import Node\n"
        f"print([name for name in {names.split()} if not hasattr(rclpy, name)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )

    assert done.stdout == "[]\n"


UPSTREAM = {
    *("_allow_undeclared_parameters", "_clock", "_context", "_default_callback_group"),
    *("_descriptors", "_logger", "_managed_entities", "_parameter_event_publisher"),
    *("_parameter_overrides", "_parameter_service", "_parameters", "_rate_group"),
    *("_on_set_parameters_callbacks", "_post_set_parameters_callbacks"),
    *("_pre_set_parameters_callbacks", "_state_machine", "_time_source"),
}


def test_private_names_of_a_node_are_free_for_programs_as_far_as_rclpy_leaves_them(make_node):
    node = make_node()
    lifecycle_node = LifecycleNode("managed", context=node.context)
    taken = {name for owner in (node, lifecycle_node) for name in dir(owner)}

    private = {name for name in taken if name.startswith("_") and not name.startswith("__")}
    assert {
        name for name in private if "__" not in name and not name.startswith("_rclpy_")
    } - UPSTREAM == set()


def test_node_with_common_private_names_of_its_own_works(make_node):
    class Greedy(rclpy.node.Node):
        def __init__(self, context):
            super().__init__("greedy", context=context)
            for name in ("lock", "session", "executor", "publishers", "name", "token", "rates"):
                setattr(self, f"_{name}", None)
            for name in ("arguments", "entities", "namespace", "destroyed", "ordered"):
                setattr(self, f"_{name}", True)
            self.heard = []
            self.create_subscription(String, "topic", self._check, 10)
            self.publisher = self.create_publisher(String, "topic", 10)
            self.declare_parameter("speed", 1.0)

        def _check(self, message):
            self.heard.append(message)

        def _notify(self, one, two):
            raise AssertionError("called")

        _destroy = _resolve = _forget = _adopt = _identity = _overridden = _notify

    node = Greedy(make_node().context)
    node.publisher.publish(String())
    deadline = time.monotonic() + DEADLINE_S
    with SingleThreadedExecutor(context=node.context) as executor:
        executor.add_node(node)
        while not node.heard:
            assert time.monotonic() < deadline
            executor.spin_once(timeout_sec=0.1)
    assert node.resolve_topic_name("topic") == "/topic"
    node.destroy_subscription(next(node.subscriptions))
    node.destroy_node()
