# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Calls back when parameters of any node change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from rcl_interfaces.msg import Parameter as ParameterMsg
from rcl_interfaces.msg import ParameterEvent

from rclpy.qos import QoSProfile, qos_profile_parameter_events

if TYPE_CHECKING:
    from rclpy.node import Node


class ParameterCallbackHandle(NamedTuple):
    parameter_name: str
    node_name: str
    callback: Callable[[ParameterMsg], Any]


class ParameterEventCallbackHandle(NamedTuple):
    callback: Callable[[ParameterEvent], Any]


class ParameterEventHandler:
    """Latest added callbacks are called first."""

    def __init__(
        self, node: Node, qos_profile: QoSProfile = qos_profile_parameter_events, **options: Any
    ) -> None:
        self.node = node
        self.qos_profile = qos_profile
        self._parameter_callbacks: list[ParameterCallbackHandle] = []
        self._event_callbacks: list[ParameterEventCallbackHandle] = []
        self.parameter_event_subscription = node.create_subscription(
            ParameterEvent, "/parameter_events", self._on_event, qos_profile, **options
        )

    def destroy(self) -> None:
        self.node.destroy_subscription(self.parameter_event_subscription)

    def _on_event(self, event: ParameterEvent) -> None:
        for handle in list(self._parameter_callbacks):
            parameter = self.get_parameter_from_event(
                event, handle.parameter_name, handle.node_name
            )
            if parameter is not None:
                handle.callback(parameter)
        for event_handle in list(self._event_callbacks):
            event_handle.callback(event)

    @staticmethod
    def get_parameters_from_event(event: ParameterEvent) -> Iterable[ParameterMsg]:
        """Return what is new or changed; what was deleted has no value to return."""
        return iter([*event.new_parameters, *event.changed_parameters])

    @staticmethod
    def get_parameter_from_event(
        event: ParameterEvent, parameter_name: str, node_name: str
    ) -> ParameterMsg | None:
        if event.node != node_name:
            return None
        parameters = ParameterEventHandler.get_parameters_from_event(event)
        return next((p for p in parameters if p.name == parameter_name), None)

    def add_parameter_callback(
        self, parameter_name: str, node_name: str, callback: Callable[[ParameterMsg], Any]
    ) -> ParameterCallbackHandle:
        """Watch one parameter of a node; a relative node name is in the namespace of our node."""
        if not node_name:
            node_name = self.node.get_fully_qualified_name()
        elif not node_name.startswith("/"):
            node_name = f"{self.node.get_namespace().rstrip('/')}/{node_name}"
        handle = ParameterCallbackHandle(parameter_name, node_name, callback)
        self._parameter_callbacks.insert(0, handle)
        return handle

    def add_parameter_event_callback(
        self, callback: Callable[[ParameterEvent], Any]
    ) -> ParameterEventCallbackHandle:
        handle = ParameterEventCallbackHandle(callback)
        self._event_callbacks.insert(0, handle)
        return handle

    def remove_parameter_callback(self, handle: ParameterCallbackHandle) -> None:
        self._remove(self._parameter_callbacks, handle)

    def remove_parameter_event_callback(self, handle: ParameterEventCallbackHandle) -> None:
        self._remove(self._event_callbacks, handle)

    def _remove(self, handles: list[Any], handle: Any) -> None:
        if handle not in handles:
            raise RuntimeError("Callback doesn't exist")
        handles.remove(handle)
