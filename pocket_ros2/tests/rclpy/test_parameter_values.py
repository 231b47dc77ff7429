# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Values become typed parameters and messages, and back."""

from __future__ import annotations

import array

import pytest
from rcl_interfaces.msg import ParameterType, ParameterValue
from rclpy.parameter import (
    Parameter,
    get_parameter_value,
    parameter_dict_from_yaml_file,
    parameter_value_to_python,
)

Type = Parameter.Type
VALUES = [
    (None, Type.NOT_SET),
    (True, Type.BOOL),
    (42, Type.INTEGER),
    (4.5, Type.DOUBLE),
    ("text", Type.STRING),
    ([b"a", b"b"], Type.BYTE_ARRAY),
    ([], Type.BYTE_ARRAY),
    ([True, False], Type.BOOL_ARRAY),
    ((1, 2), Type.INTEGER_ARRAY),
    (array.array("d", [1.0]), Type.DOUBLE_ARRAY),
    ([1.0, 2.0], Type.DOUBLE_ARRAY),
    (["a", "b"], Type.STRING_ARRAY),
]


@pytest.mark.parametrize(("value", "kind"), VALUES)
def test_types_are_inferred_and_survive_messages(value, kind):
    parameter = Parameter("name", value=value)
    back = Parameter.from_parameter_msg(parameter.to_parameter_msg())

    assert parameter.type_ is back.type_ is kind
    assert back.name == "name"
    assert back.value == (list(value) if kind.name.endswith("ARRAY") else value)


@pytest.mark.parametrize("value", [[1, 2.0], {"a": 1}, [b"long"], object()])
def test_mixed_or_foreign_values_have_no_type(value):
    with pytest.raises(TypeError, match="not one of the allowed types"):
        Parameter("name", value=value)


def test_type_and_value_must_agree():
    with pytest.raises(ValueError, match="do not agree"):
        Parameter("name", Type.DOUBLE, 1)
    with pytest.raises(TypeError, match=r"Parameter\.Type"):
        Parameter("name", "DOUBLE", 1.0)


def test_unknown_type_number_in_a_message_is_refused():
    with pytest.raises(RuntimeError, match="unexpected parameter type 77"):
        parameter_value_to_python(ParameterValue(type=77))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("true", Type.BOOL),
        ("on", Type.BOOL),
        ("1", Type.INTEGER),
        ("0x1F", Type.INTEGER),
        ("1.", Type.DOUBLE),
        ("1e3", Type.DOUBLE),
        (".inf", Type.DOUBLE),
        ("2020-01-01", Type.STRING),
        ("1:30", Type.STRING),
        ("'5'", Type.STRING),
        ("[1, 2]", Type.INTEGER_ARRAY),
        ("[1.0, 2.0]", Type.DOUBLE_ARRAY),
        ("[a, b]", Type.STRING_ARRAY),
        ("[1, 2.0]", Type.STRING),
        ("{a: 1}", Type.STRING),
        (" ", Type.STRING),
        ("a: [", Type.STRING),
    ],
)
def test_command_line_texts_become_the_types_of_ros_yaml(text, kind):
    value = get_parameter_value(text)

    assert value.type == kind.value
    assert kind is not Type.STRING or value.string_value == text.strip("'")


@pytest.mark.parametrize(
    ("node", "plain", "wild"),
    [
        ("arm", "e", "ae"),
        ("/arm", "e", "are"),
        ("/left/arm", "f", "asrf"),
        (None, "ef", "asref"),
    ],
)
def test_file_says_what_names_or_on_request_wildcards_of_a_node_say(tmp_path, node, plain, wild):
    path = tmp_path / "p.yaml"
    path.write_text(
        "/*: {arm: {ros__parameters: {s: 1}}}\n"
        "/**/arm: {ros__parameters: {r: 1}}\n"
        "arm: {ros__parameters: {e: 1}}\n"
        "/left: {arm: {ros__parameters: {f: 1}}}\n"
        "/**: {ros__parameters: {a: 1}}\n"
    )
    targets = [node] if node else []

    assert "".join(parameter_dict_from_yaml_file(path, target_nodes=targets)) == plain
    assert "".join(parameter_dict_from_yaml_file(path, True, targets)) == wild


def test_file_becomes_messages_and_unknown_nodes_are_refused(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("/**: {ros__parameters: {a: 1, g: {b: x}}}\n/n: {ros__parameters: {a: 2}}\n")

    found = parameter_dict_from_yaml_file(str(path), use_wildcard=True, namespace="ns.")

    assert found["ns.a"].value.integer_value == 2
    assert found["ns.g.b"].value.type == ParameterType.PARAMETER_STRING
    assert list(parameter_dict_from_yaml_file(str(path))) == ["a"]
    with pytest.raises(RuntimeError, match=r"/other.*, only for nodes: .*/n"):
        parameter_dict_from_yaml_file(str(path), target_nodes=["/other"])
    with pytest.raises(FileNotFoundError):
        parameter_dict_from_yaml_file(str(tmp_path / "nowhere.yaml"))
    path.write_text("/n: {a: 1}\n")
    with pytest.raises(RuntimeError, match="ros__parameters"):
        parameter_dict_from_yaml_file(str(path))
    path.write_text("[1]\n")
    with pytest.raises(RuntimeError, match="node names"):
        parameter_dict_from_yaml_file(str(path))
