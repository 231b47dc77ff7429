# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of parameters on a running node."""

import pytest
import rclpy
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter
from roborefer_common.core.parameters import Row
from roborefer_common.declaring import declare, read
from roborefer_common.exceptions import ParameterError

TABLE = (
    Row("far", 3.0, "Farthest, metres.", 0.1, 20.0),
    Row("mode", "a", "Which.", choices=("a", "b")),
    Row("corner", [0.0, 0.0], "Of a box.", length=2),
    Row("count", 3, "How many.", 0, 9, fixed=True),
)


@pytest.fixture
def make():
    nodes = []
    with rclpy.init(args=[]):

        def node(**values):
            changes = [Parameter(name, value=value) for name, value in values.items()]
            nodes.append(Node("declared", parameter_overrides=changes))
            return nodes[-1]

        yield node
        for each in nodes:
            each.destroy_node()


def test_values_come_back_with_descriptions_and_ranges(make):
    node = make(far=5.0)

    declare(node, TABLE)

    assert read(node, TABLE) == {"far": 5.0, "mode": "a", "corner": [0.0, 0.0], "count": 3}
    assert "0.1 to 20" in node.describe_parameter("far").description
    assert not node.set_parameters([Parameter("far", value=21.0)])[0].successful
    assert not node.set_parameters([Parameter("count", value=4)])[0].successful


def test_a_start_with_a_value_out_of_range_fails(make):
    with pytest.raises(InvalidParameterValueException):
        declare(make(far=100.0), TABLE)


def test_reading_refuses_what_ranges_cannot_say(make):
    node = make(mode="z")
    declare(node, TABLE)

    with pytest.raises(ParameterError, match="a or b"):
        read(node, TABLE)
