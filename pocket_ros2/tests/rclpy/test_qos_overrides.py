# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters may override the QoS policies that a program opened for it."""

from __future__ import annotations

import pytest
import rclpy
from rclpy.parameter import Parameter
from rclpy.qos import QoSPolicyKind, ReliabilityPolicy
from rclpy.qos_overriding_options import (
    InvalidQosOverridesError,
    QosCallbackResult,
    QoSOverridingOptions,
)
from std_msgs.msg import Empty

NAME = "qos_overrides./talk.publisher"


@pytest.fixture
def make_node():
    rclpy.init()
    nodes = []

    def make(**overrides):
        values = [Parameter(f"{NAME}.{name}", value=value) for name, value in overrides.items()]
        nodes.append(rclpy.create_node("node", parameter_overrides=values))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown()


def _deep_enough(qos):
    return QosCallbackResult(successful=qos.depth > 5, reason="too shallow")


def publisher(node, options):
    return node.create_publisher(Empty, "talk", 10, qos_overriding_options=options)


def test_overrides_apply_to_opened_policies_as_read_only_parameters(make_node):
    node = make_node(reliability="best_effort", depth=3)

    profile = publisher(node, QoSOverridingOptions.with_default_policies()).qos_profile

    assert (profile.reliability, profile.depth) == (ReliabilityPolicy.BEST_EFFORT, 3)
    assert node.get_parameter(f"{NAME}.history").value == "keep_last"
    assert not node.set_parameters([Parameter(f"{NAME}.depth", value=5)])[0].successful


def test_closed_policies_stay(make_node):
    node = make_node(depth=3)

    assert publisher(node, QoSOverridingOptions([QoSPolicyKind.DEADLINE])).qos_profile.depth == 10
    assert node.has_parameter(f"{NAME}.deadline")


def test_unknown_values_and_refused_profiles_raise(make_node):
    with pytest.raises(RuntimeError, match="'sometimes'; known are"):
        publisher(
            make_node(reliability="sometimes"), QoSOverridingOptions([QoSPolicyKind.RELIABILITY])
        )
    options = QoSOverridingOptions([QoSPolicyKind.DEPTH], callback=_deep_enough)
    with pytest.raises(InvalidQosOverridesError, match="too shallow"):
        publisher(make_node(depth=2), options)
