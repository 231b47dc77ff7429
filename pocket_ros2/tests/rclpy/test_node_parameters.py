# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A node's parameters keep their types, ranges and callbacks, and change atomically."""

from __future__ import annotations

import pytest
import rclpy
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    ParameterEvent,
    ParameterType,
    ParameterValue,
    SetParametersResult,
)
from rclpy.exceptions import (
    InvalidParameterException,
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterAlreadyDeclaredException,
    ParameterImmutableException,
    ParameterNotDeclaredException,
    ParameterUninitializedException,
)
from rclpy.parameter import Parameter

Type = Parameter.Type
DYNAMIC = ParameterDescriptor(dynamic_typing=True)
OK = SetParametersResult(successful=True)


@pytest.fixture(scope="module", autouse=True)
def _ros(ros_env):
    rclpy.init()
    yield
    rclpy.shutdown()


@pytest.fixture
def make_node():
    nodes = []

    def make(*args, **options):
        options.setdefault("start_parameter_services", False)
        arguments = ["--ros-args", *args] if args else None
        nodes.append(rclpy.create_node("node", namespace="/ns", cli_args=arguments, **options))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()


@pytest.fixture
def node(make_node):
    return make_node()


def test_every_form_of_declaration(node):
    with pytest.warns(UserWarning, match="deprecated"):
        node.declare_parameter("by_name")
    node.declare_parameter("by_value", 5)
    node.declare_parameter("by_type", Type.STRING)
    node.declare_parameter("dynamic", None, ParameterDescriptor(dynamic_typing=True))
    declared = node.declare_parameters(
        "group", [("a", 1.5), ("b", Type.BOOL), ("c", "x", ParameterDescriptor(description="d"))]
    )

    assert [p.name for p in declared] == ["group.a", "group.b", "group.c"]
    assert node.get_parameter("by_value").value == 5
    assert node.get_parameter("by_name").type_ is Type.NOT_SET
    assert node.describe_parameter("group.c").description == "d"
    assert node.describe_parameter("by_type").type == ParameterType.PARAMETER_STRING
    assert node.get_parameter_types(["group.a", "dynamic"]) == [3, 0]


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        ((), TypeError),
        ((1,), TypeError),
        (("p", 1, ParameterDescriptor(), 4), TypeError),
        (("p", 1, "descriptor"), TypeError),
        (("p", [1, 2.0]), TypeError),
        (("", 1), InvalidParameterException),
        (("p", None, ParameterDescriptor()), ValueError),
        (("p", Type.NOT_SET), ValueError),
        (("p", Type.BOOL, ParameterDescriptor(dynamic_typing=True)), ValueError),
    ],
)
def test_malformed_declarations_raise(node, entry, error):
    with pytest.raises(error):
        node.declare_parameters("", [entry])
    assert not node.has_parameter("p")


def test_declaring_twice_declares_nothing_of_the_list(node):
    node.declare_parameter("a", 1)
    with pytest.raises(ParameterAlreadyDeclaredException):
        node.declare_parameters("", [("b", 1), ("a", 1)])
    assert not node.has_parameter("b")


def test_undeclared_access_raises_unless_allowed(node, make_node):
    for access in (
        lambda: node.get_parameter("a"),
        lambda: node.set_parameters([Parameter("a", value=1)]),
        lambda: node.describe_parameter("a"),
        lambda: node.undeclare_parameter("a"),
        lambda: node.get_parameter_type("a"),
    ):
        with pytest.raises(ParameterNotDeclaredException):
            access()
    assert node.get_parameter_or("a", Parameter("a", value=3)).value == 3

    free = make_node(allow_undeclared_parameters=True)
    assert free.get_parameter("a").type_ is Type.NOT_SET
    assert free.set_parameters([Parameter("a", value=1)])[0].successful
    assert free.set_parameters([Parameter("a", value="now text")])[0].successful


def test_static_types_stay_and_dynamic_types_change(node):
    node.declare_parameter("static", 1.0)
    node.declare_parameter("dynamic", 1.0, ParameterDescriptor(dynamic_typing=True))

    refused = node.set_parameters([Parameter("static", value=2)])[0]
    assert not refused.successful
    assert "Wrong parameter type" in refused.reason
    assert not node.set_parameters([Parameter("static", Type.NOT_SET)])[0].successful
    assert node.set_parameters([Parameter("dynamic", value=2)])[0].successful
    assert node.set_parameters([Parameter("dynamic", Type.NOT_SET)])[0].successful
    assert not node.has_parameter("dynamic")
    assert node.get_parameter("static").value == 1.0


def test_typed_parameter_without_value_is_uninitialized_until_set(node):
    node.declare_parameter("p", Type.INTEGER)
    with pytest.raises(ParameterUninitializedException):
        node.get_parameter("p")
    assert node.get_parameter_or("p", Parameter("p", value=9)).value == 9

    node.set_parameters([Parameter("p", value=4)])

    assert node.get_parameter("p").value == 4


def test_read_only_parameters_neither_change_nor_vanish(node):
    node.declare_parameter("p", 1, ParameterDescriptor(read_only=True))

    assert not node.set_parameters([Parameter("p", value=2)])[0].successful
    with pytest.raises(ParameterImmutableException):
        node.undeclare_parameter("p")
    with pytest.raises(ParameterImmutableException):
        node.set_descriptor("p", ParameterDescriptor())


@pytest.mark.parametrize(
    ("value", "accepted"), [(0, True), (3, True), (10, True), (4, False), (-1, False), (11, False)]
)
def test_integer_range_holds_its_steps_and_always_its_ends(node, value, accepted):
    bounds = IntegerRange(from_value=0, to_value=10, step=3)
    node.declare_parameter("p", 0, ParameterDescriptor(integer_range=[bounds]))

    assert node.set_parameters([Parameter("p", value=value)])[0].successful is accepted


@pytest.mark.parametrize(
    ("value", "accepted"),
    [(0.0, True), (0.30000000001, True), (1.0, True), (0.25, False), (1.01, False), (-1.0, False)],
)
def test_floating_range_allows_for_rounding(node, value, accepted):
    bounds = FloatingPointRange(from_value=0.0, to_value=1.0, step=0.1)
    node.declare_parameter("p", 0.0, ParameterDescriptor(floating_point_range=[bounds]))

    assert node.set_parameters([Parameter("p", value=value)])[0].successful is accepted


def test_default_outside_its_range_is_refused(node):
    bounds = IntegerRange(from_value=0, to_value=10)
    with pytest.raises(InvalidParameterValueException, match="out of range"):
        node.declare_parameter("p", 11, ParameterDescriptor(integer_range=[bounds]))
    assert not node.has_parameter("p")


def test_atomic_set_changes_all_or_nothing(node):
    node.declare_parameters("", [("a", 1), ("b", 2)])

    assert not node.set_parameters_atomically(
        [Parameter("a", value=5), Parameter("b", value="x")]
    ).successful
    assert node.get_parameter("a").value == 1

    results = node.set_parameters([Parameter("a", value=5), Parameter("b", value="x")])
    assert [result.successful for result in results] == [True, False]
    assert node.get_parameter("a").value == 5


def test_callbacks_run_latest_first_and_the_first_refusal_wins(node):
    node.declare_parameter("p", 1)
    calls = []

    def watcher(name, result):
        def callback(parameters):
            calls.append((name, [p.value for p in parameters], node.get_parameter("p").value))
            return result

        return callback

    refuse = watcher("second", SetParametersResult(successful=False, reason="no"))
    node.add_on_set_parameters_callback(watcher("first", OK))
    node.add_on_set_parameters_callback(refuse)
    node.add_on_set_parameters_callback(watcher("third", OK))
    node.add_post_set_parameters_callback(watcher("post", None))

    assert node.set_parameters([Parameter("p", value=2)])[0].reason == "no"
    assert calls == [("third", [2], 1), ("second", [2], 1)]
    calls.clear()
    node.remove_on_set_parameters_callback(refuse)
    assert node.set_parameters([Parameter("p", value=2)])[0].successful
    assert calls == [("third", [2], 1), ("first", [2], 1), ("post", [2], 2)]
    with pytest.raises(ValueError):  # noqa: PT011
        node.remove_on_set_parameters_callback(refuse)


def test_pre_set_callbacks_rewrite_the_list_and_skip_declarations(node):
    def double(parameters):
        return [Parameter(p.name, value=p.value * 2) for p in parameters]

    node.add_pre_set_parameters_callback(double)
    node.declare_parameter("p", 1)
    node.set_parameters([Parameter("p", value=4)])
    assert node.get_parameter("p").value == 8

    node.remove_pre_set_parameters_callback(double)
    node.add_pre_set_parameters_callback(lambda parameters: [])
    assert "cannot be empty" in node.set_parameters([Parameter("p", value=1)])[0].reason


def test_callback_that_refuses_a_declaration_raises(node):
    node.add_on_set_parameters_callback(
        lambda parameters: SetParametersResult(successful=False, reason="never")
    )
    with pytest.raises(InvalidParameterValueException, match="never"):
        node.declare_parameter("p", 1)


def test_each_set_is_announced_once(node):
    events = []
    node.create_subscription(ParameterEvent, "/parameter_events", events.append, 10)
    node.declare_parameter("a", 1)
    node.declare_parameter("b", 1, ParameterDescriptor(dynamic_typing=True))
    node.set_parameters_atomically([Parameter("a", value=2), Parameter("b", Type.NOT_SET)])
    node.set_parameters([Parameter("a", value="refused")])
    end = node.get_clock().now().nanoseconds + 10_000_000_000
    while len(events) < 3 and node.get_clock().now().nanoseconds < end:
        rclpy.spin_once(node, timeout_sec=0.1)

    def names(event):
        return tuple(
            [p.name for p in getattr(event, f"{kind}_parameters")]
            for kind in ("new", "changed", "deleted")
        )

    assert [names(event) for event in events] == [
        (["a"], [], []),
        (["b"], [], []),
        ([], ["a"], ["b"]),
    ]
    assert {event.node for event in events} == {"/ns/node"}


def test_list_and_prefix_follow_the_name_parts(node):
    node.undeclare_parameter("use_sim_time")
    node.declare_parameters("", [("a", 1), ("g.b", 2), ("g.h.c", 3), ("gx.d", 4)])

    assert {n: p.value for n, p in node.get_parameters_by_prefix("g").items()} == {
        "b": 2,
        "h.c": 3,
    }
    assert node.list_parameters([], 1).names == ["a"]
    assert node.list_parameters(["g"], 1).names == ["g.b"]
    assert node.list_parameters(["g"], 0).names == ["g.b", "g.h.c"]
    assert list(node.list_parameters([], 0).prefixes) == ["g", "g.h", "gx"]
    with pytest.raises(ValueError, match="greater than or equal"):
        node.list_parameters([], -1)


def test_new_descriptor_falls_back_to_the_alternative_value(node):
    node.declare_parameter("p", 20)
    descriptor = ParameterDescriptor(
        type=ParameterType.PARAMETER_INTEGER,
        integer_range=[IntegerRange(from_value=0, to_value=10)],
    )
    with pytest.raises(InvalidParameterValueException):
        node.set_descriptor("p", descriptor)

    value = node.set_descriptor(
        "p", descriptor, ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=7)
    )

    assert value.integer_value == node.get_parameter("p").value == 7


def test_files_and_assignments_count_in_command_line_order_and_code_beats_them(
    make_node, tmp_path
):
    path = tmp_path / "p.yaml"
    path.write_text(
        "/**: {ros__parameters: {a: 1, b: 1, c: 1, d: 1}}\n/ns/node: {ros__parameters: {b: 2}}\n"
    )
    node = make_node(
        *("-p", "a:=9", "-p", "other:a:=9", "--params-file", str(path), "-p", "c:=3"),
        *("-p", "d:=3"),
        parameter_overrides=[Parameter("d", value=4)],
    )

    declared = node.declare_parameters("", [(name, 0) for name in "abcde"])

    assert [p.value for p in declared] == [1, 2, 3, 4, 0]
    assert node.declare_parameters("x", [("a", 0)], True)[0].value == 0


def test_file_matches_the_remapped_node_name(make_node, tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("/there/renamed: {ros__parameters: {a: 1}}\n")
    node = make_node(*("-r", "__node:=renamed", "-r", "__ns:=/there", "--params-file", str(path)))

    assert node.declare_parameter("a", 0).value == 1


def test_integer_override_of_a_double_is_an_error(make_node):
    node = make_node("-p", "speed:=1")

    with pytest.raises(InvalidParameterTypeException):
        node.declare_parameter("speed", 0.5)


def test_overrides_declare_themselves_on_request(make_node):
    node = make_node(
        *("-p", "g.a:=[1, 2]"),
        automatically_declare_parameters_from_overrides=True,
        parameter_overrides=[Parameter("b", value="x")],
    )

    assert node.get_parameter("g.a").value == [1, 2]
    assert node.get_parameter("b").value == "x"
    assert node.set_parameters([Parameter("b", value=5)])[0].successful


def test_ill_typed_override_names_itself(make_node):
    with pytest.raises(TypeError, match="override 'a'"):
        make_node("-p", "a:=[1, 2.0]")
