# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Names: validation, expansion, remapping; and the arguments that carry rules."""

from __future__ import annotations

import pytest
from rclpy._arguments import RCLInvalidROSArgsError, RosArguments, UnknownROSArgsError
from rclpy.context import Context
from rclpy.exceptions import (
    InvalidNamespaceException,
    InvalidNodeNameException,
    InvalidServiceNameException,
    InvalidTopicNameException,
)
from rclpy.expand_topic_name import expand_topic_name
from rclpy.node import Node
from rclpy.utilities import remove_ros_args
from rclpy.validate_full_topic_name import validate_full_topic_name
from rclpy.validate_namespace import validate_namespace
from rclpy.validate_node_name import validate_node_name
from rclpy.validate_topic_name import validate_topic_name


@pytest.mark.parametrize(
    "name", ["chatter", "{node}/chatter", "~/chatter", "~", "/a/b_1", "a1/_hidden", "{ns}"]
)
def test_valid_topic_names(name):
    assert validate_topic_name(name)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "must not be empty"),
        ("/invalid_topic?", "must not contain characters"),
        ("invalid/42topic", "must not start with a number"),
        ("topic/", "must not end with a forward slash"),
        ("a//b", "repeated"),
        ("a~b", "unless it is the first"),
        ("~a", "not followed by a forward slash"),
        ("{node", "unbalanced"),
        ("{no-de}", "substitution name"),
        ("{1}", "substitution name must not start"),
    ],
)
def test_invalid_topic_names(name, problem):
    with pytest.raises(InvalidTopicNameException, match=problem):
        validate_topic_name(name)
    with pytest.raises(InvalidServiceNameException, match=problem):
        validate_topic_name(name, is_service=True)


def test_full_names_must_be_absolute():
    assert validate_full_topic_name("/a/b")
    with pytest.raises(InvalidTopicNameException, match="must be absolute"):
        validate_full_topic_name("a")
    with pytest.raises(InvalidServiceNameException, match="must not contain"):
        validate_full_topic_name("/~", is_service=True)


def test_node_names_and_namespaces():
    assert validate_node_name("walker")
    assert validate_namespace("/")
    assert validate_namespace("/a/b")
    for name in ("", "a/b", "1a", "a-b"):
        with pytest.raises(InvalidNodeNameException):
            validate_node_name(name)
    for namespace in ("a", "/a/", "/a//b", "/1a", "/a-b", ""):
        with pytest.raises(InvalidNamespaceException):
            validate_namespace(namespace)


@pytest.mark.parametrize(
    ("name", "namespace", "expanded"),
    [
        ("t", "/", "/t"),
        ("t", "/ns", "/ns/t"),
        ("/t", "/ns", "/t"),
        ("~", "/ns", "/ns/n"),
        ("~/t", "/", "/n/t"),
        ("{node}/t", "/ns", "/ns/n/t"),
        ("{ns}/t", "/ns", "/ns/t"),
    ],
)
def test_expansion(name, namespace, expanded):
    assert expand_topic_name(name, "n", namespace) == expanded


def test_unknown_substitution_is_named():
    with pytest.raises(ValueError, match=r"\{robot\}"):
        expand_topic_name("{robot}/t", "n", "/")


def test_ros_arguments_are_scoped_and_removed():
    argv = ["prog", "--ros-args", "-r", "a:=b", "--", "x", "--ros-args", "-p", "p:=1"]
    found = RosArguments.parse(argv)

    assert found.unparsed == remove_ros_args(argv) == ["prog", "x"]
    assert [(rule.source, rule.target) for rule in found.remaps] == [("a", "b")]
    assert found.parameters == [("/**", {"p": 1})]


def test_all_ros_arguments(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_text("/m: {ros__parameters: {g: {x: 3}}}")
    text = (
        f"--ros-args --remap n:a:=b -p n:x.y:=[1,2] --params-file {path} --log-level debug "
        "--log-level a.b:=warn -e /e __ns:=/ns --disable-rosout-logs"
    )

    found = RosArguments.parse(text.split())

    assert found.remaps[0] == ("n", "", "a", "b")
    assert found.remaps[1] == ("", "ns", "__ns", "/ns")
    assert found.parameters == [("n", {"x.y": [1, 2]}), ("/m", {"g.x": 3})]
    assert found.log_levels == [("", "debug"), ("a.b", "warn")]
    assert found.enclave == "/e"


def test_wrong_ros_arguments_are_named():
    with pytest.raises(UnknownROSArgsError, match="--unknown"):
        RosArguments.parse(["--ros-args", "--unknown"])
    for arguments in (["-r"], ["-r", "a"], ["-p", ":=1"], ["--log-level", "loud"]):
        with pytest.raises(RCLInvalidROSArgsError, match=arguments[-1]):
            RosArguments.parse(["--ros-args", *arguments])


@pytest.fixture
def make_node():
    contexts = []

    def make(arguments="", name="n", **keywords):
        context = Context()
        context.init(["--ros-args", *arguments.split()])
        contexts.append(context)
        return Node(name, context=context, start_parameter_services=False, **keywords)

    yield make
    for context in contexts:
        context.shutdown()


def test_first_matching_rule_wins(make_node):
    node = make_node("-r a:=b -r a:=c -r b:=d")
    assert node.resolve_topic_name("a") == "/b"
    assert node.resolve_topic_name("a", only_expand=True) == "/a"
    assert node.resolve_service_name("b") == "/d"


def test_rules_are_compared_by_absolute_names(make_node):
    node = make_node("-r /ns/a:=x -r ~/p:=/q", namespace="/ns")
    assert node.resolve_topic_name("a") == "/ns/x"
    assert node.resolve_topic_name("/ns/a") == "/ns/x"
    assert node.resolve_topic_name("/a") == "/a"
    assert node.resolve_topic_name("~/p") == "/q"


def test_rules_of_other_nodes_and_kinds_do_not_apply(make_node):
    node = make_node("-r other:a:=x -r n:b:=y -r rosservice://c:=z")
    assert node.resolve_topic_name("a") == "/a"
    assert node.resolve_topic_name("b") == "/y"
    assert node.resolve_topic_name("c") == "/c"
    assert node.resolve_service_name("c") == "/z"


def test_node_and_namespace_are_remapped(make_node):
    node = make_node("-r __node:=robot -r __ns:=/fleet")
    assert node.get_fully_qualified_name() == "/fleet/robot"
    assert node.get_logger().name == "fleet.robot"
    assert node.resolve_topic_name("~/t") == "/fleet/robot/t"


def test_arguments_of_the_node_come_before_those_of_the_process(make_node):
    node = make_node("-r a:=x -r b:=y -p p:=1", cli_args=["-r", "a:=z", "-p", "p:=2"])
    assert node.resolve_topic_name("a") == "/z"
    assert node.resolve_topic_name("b") == "/y"
    assert node.declare_parameter("p", 0).value == 2
    deaf = make_node("-r a:=x", use_global_arguments=False)
    assert deaf.resolve_topic_name("a") == "/a"


def test_relative_namespace_becomes_absolute_and_bad_names_raise(make_node):
    assert make_node(namespace="ns").get_namespace() == "/ns"
    with pytest.raises(InvalidNodeNameException):
        make_node(name="a b")
    with pytest.raises(InvalidNamespaceException):
        make_node(namespace="/a b")
