# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""QoS policies that parameters named qos_overrides.<topic>.<entity>.<policy> may change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import ParameterDescriptor
from rcl_interfaces.msg import SetParametersResult as QosCallbackResult

import rclpy.qos
from rclpy.duration import Duration
from rclpy.exceptions import ParameterAlreadyDeclaredException
from rclpy.publisher import Publisher
from rclpy.qos import QoSPolicyKind, QoSProfile

if TYPE_CHECKING:
    from rclpy.node import Node

QosCallback = Callable[[QoSProfile], QosCallbackResult]
_DEFAULT_POLICIES = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY)


class InvalidQosOverridesError(Exception):
    """The callback of the options refused the overridden profile."""


class QoSOverridingOptions:
    def __init__(
        self,
        policy_kinds: Iterable[QoSPolicyKind],
        *,
        callback: QosCallback | None = None,
        entity_id: str | None = None,
    ) -> None:
        self.policy_kinds = policy_kinds
        self.callback = callback
        self.entity_id = entity_id

    @classmethod
    def with_default_policies(
        cls, *, callback: QosCallback | None = None, entity_id: str | None = None
    ) -> QoSOverridingOptions:
        """Let history, depth and reliability be overridden."""
        return cls(_DEFAULT_POLICIES, callback=callback, entity_id=entity_id)


def _declare_qos_parameters(
    entity_class: type, node: Node, topic_name: str, qos: QoSProfile, options: QoSOverridingOptions
) -> None:
    """Declare read-only parameters for a Publisher or Subscription, and apply them to qos."""
    entity_type = "publisher" if issubclass(entity_class, Publisher) else "subscription"
    suffix = "" if options.entity_id is None else f"_{options.entity_id}"
    for kind in options.policy_kinds:
        if kind is QoSPolicyKind.LIFESPAN and entity_type == "subscription":
            continue
        policy = kind.name.lower()
        name = f"qos_overrides.{topic_name}.{entity_type}{suffix}.{policy}"
        descriptor = ParameterDescriptor(
            description=f"{policy} for {entity_type} '{topic_name}' with id '{options.entity_id}'",
            read_only=True,
        )
        try:
            parameter = node.declare_parameter(
                name, _get_qos_policy_parameter(qos, kind), descriptor
            )
        except ParameterAlreadyDeclaredException:
            parameter = node.get_parameter(name)
        setattr(qos, policy, _from_parameter(getattr(qos, policy), name, parameter.value))
    if options.callback is not None and not (result := options.callback(qos)).successful:
        raise InvalidQosOverridesError(
            f"the QoS overrides for {entity_type} '{topic_name}' are not valid: {result.reason}"
        )


def _get_qos_policy_parameter(qos: QoSProfile, policy: QoSPolicyKind) -> Any:
    value = getattr(qos, policy.name.lower())
    if isinstance(value, rclpy.qos.QoSPolicyEnum):
        return value.name.lower()
    return value.nanoseconds if isinstance(value, Duration) else value


def _from_parameter(present: Any, name: str, value: Any) -> Any:
    if isinstance(present, Duration):
        return Duration(nanoseconds=value)
    if isinstance(present, rclpy.qos.QoSPolicyEnum):
        choices = {member.name.lower(): member for member in type(present)}
        if value not in choices:
            raise RuntimeError(f"unexpected {name}: '{value}'; known are {', '.join(choices)}")
        return choices[value]
    return value
