# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters from files and the command line in whole processes, and the callbacks around sets."""

from __future__ import annotations

import pytest
import rclpy
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.exceptions import (
    InvalidParameterTypeException,
    ParameterNotDeclaredException,
    ParameterUninitializedException,
)
from rclpy.parameter import Parameter

YAML = """
/**:
  ros__parameters:
    everywhere: 1
    nested: {deep: {er: yes}}
/*/walker:
  ros__parameters: {one_level: [1, 2]}
/ns/walker:
  ros__parameters:
    exact: [1.0, 2.5]
    texts: [a, "1"]
    flags: [true, false]
    text: "5"
    empty: ""
    exponent: 1e3
    hexadecimal: 0x10
walker:
  ros__parameters: {root_only: 1}
"""


@pytest.fixture
def make_node(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text(YAML)
    contexts = []

    def make(*arguments, **options):
        context = rclpy.Context()
        rclpy.init(args=["--ros-args", "--params-file", str(path), *arguments], context=context)
        contexts.append(context)
        return rclpy.create_node("walker", context=context, **options)

    yield make
    for context in contexts:
        rclpy.shutdown(context=context)


def values(node):
    return {
        name: parameter.value
        for name, parameter in node.get_parameters_by_prefix("").items()
        if name not in ("use_sim_time", "start_type_description_service")
    }


def test_a_file_gives_each_node_its_own_with_types_as_written(make_node):
    declare = {"automatically_declare_parameters_from_overrides": True}

    assert values(make_node(namespace="/ns", **declare)) == {
        "everywhere": 1,
        "nested.deep.er": True,
        "one_level": [1, 2],
        "exact": [1.0, 2.5],
        "texts": ["a", "1"],
        "flags": [True, False],
        "text": "5",
        "empty": "",
        "exponent": 1000.0,
        "hexadecimal": 16,
    }
    assert values(make_node(**declare)) == {
        "everywhere": 1,
        "nested.deep.er": True,
        "root_only": 1,
    }
    renamed = make_node("-r", "__node:=other", namespace="/ns", **declare)
    assert values(renamed) == {"everywhere": 1, "nested.deep.er": True}


def test_arrays_have_the_type_of_their_elements(make_node):
    node = make_node(namespace="/ns")
    types = {
        name: node.declare_parameter(name, kind).type_
        for name, kind in {
            "exact": Parameter.Type.DOUBLE_ARRAY,
            "texts": Parameter.Type.STRING_ARRAY,
            "flags": Parameter.Type.BOOL_ARRAY,
            "one_level": Parameter.Type.INTEGER_ARRAY,
        }.items()
    }

    assert [kind.name for kind in types.values()] == [
        "DOUBLE_ARRAY",
        "STRING_ARRAY",
        "BOOL_ARRAY",
        "INTEGER_ARRAY",
    ]


def test_integer_never_becomes_a_double_by_itself(make_node):
    node = make_node("-p", "speed:=2", "-p", "speeds:=[1, 2]")
    for name, default in (("speed", 0.5), ("speeds", [0.5])):
        with pytest.raises(InvalidParameterTypeException, match=f"'{name}'.*'INTEGER"):
            node.declare_parameter(name, default)

    node.declare_parameter("local", 0.5)
    result = node.set_parameters([Parameter("local", value=1)])[0]
    assert (result.successful, result.reason) == (
        False,
        "Wrong parameter type, expected 'Type.DOUBLE' got 'Type.INTEGER'",
    )


def test_errors_name_the_parameter_as_rclpy_does(make_node):
    node = make_node()
    with pytest.raises(ParameterNotDeclaredException) as undeclared:
        node.get_parameter("speed")
    node.declare_parameter("speed", Parameter.Type.DOUBLE)
    with pytest.raises(ParameterUninitializedException) as unset:
        node.get_parameter("speed")

    assert str(undeclared.value) == "Invalid access to undeclared parameter(s): speed"
    assert str(unset.value) == "The parameter is not initialized (has no value): speed"


def test_callbacks_must_be_callable_and_answer_with_a_result(make_node):
    node = make_node()
    node.declare_parameter("speed", 1.0)
    for add in (
        node.add_pre_set_parameters_callback,
        node.add_on_set_parameters_callback,
        node.add_post_set_parameters_callback,
    ):
        with pytest.raises(TypeError, match="Callback must be callable"):
            add(SetParametersResult(successful=True))
    node.add_on_set_parameters_callback(lambda parameters: None)

    with pytest.warns(UserWarning, match="instead of a SetParametersResult"):
        result = node.set_parameters([Parameter("speed", value=2.0)])[0]

    assert not result.successful
    assert node.get_parameter("speed").value == 1.0


def test_type_and_range_are_checked_before_callbacks_see_the_value(make_node):
    node = make_node()
    node.declare_parameter("speed", 1.0, ParameterDescriptor(read_only=False))
    seen = []

    def watch(parameters):
        seen.extend(parameter.value for parameter in parameters)
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(watch)
    node.set_parameters([Parameter("speed", value="fast"), Parameter("speed", value=2.0)])

    assert seen == [2.0]


def test_every_node_has_the_six_services_of_parameters(make_node):
    node = make_node(namespace="/ns")
    services = dict(node.get_service_names_and_types_by_node("walker", "/ns"))

    assert {name for name in services if "parameter" in name} == {
        f"/ns/walker/{name}"
        for name in (
            "describe_parameters",
            "get_parameters",
            "get_parameter_types",
            "list_parameters",
            "set_parameters",
            "set_parameters_atomically",
        )
    }
    silent = make_node("-r", "__node:=silent", start_parameter_services=False)
    assert silent.get_service_names_and_types_by_node("silent", "/") == []
