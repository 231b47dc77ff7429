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


class _Callbacks:
    """Latest added callbacks are called first, and those of single parameters before the rest."""

    def __init__(self) -> None:
        self.parameter_callbacks: dict[tuple[str, str], list[ParameterCallbackHandle]] = {}
        self.event_callbacks: list[ParameterEventCallbackHandle] = []

    def event_callback(self, event: ParameterEvent) -> None:
        for (parameter_name, node_name), handles in list(self.parameter_callbacks.items()):
            parameter = ParameterEventHandler.get_parameter_from_event(
                event, parameter_name, node_name
            )
            if parameter is not None:
                for handle in list(handles):
                    handle.callback(parameter)
        for event_handle in list(self.event_callbacks):
            event_handle.callback(event)


class ParameterEventHandler:
    def __init__(
        self, node: Node, qos_profile: QoSProfile = qos_profile_parameter_events, **options: Any
    ) -> None:
        self.node = node
        self.qos_profile = qos_profile
        self._callbacks = _Callbacks()
        self.parameter_event_subscription = node.create_subscription(
            ParameterEvent,
            "/parameter_events",
            self._callbacks.event_callback,
            qos_profile,
            **options,
        )

    def destroy(self) -> None:
        self.node.destroy_subscription(self.parameter_event_subscription)

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
        handle = ParameterCallbackHandle(parameter_name, self._resolve_path(node_name), callback)
        self._callbacks.parameter_callbacks.setdefault(handle[:2], []).insert(0, handle)
        return handle

    def _resolve_path(self, node_name: str | None = None) -> str:
        if not node_name:
            return self.node.get_fully_qualified_name()
        if node_name.startswith("/"):
            return node_name
        return f"{self.node.get_namespace().rstrip('/')}/{node_name}"

    def add_parameter_event_callback(
        self, callback: Callable[[ParameterEvent], Any]
    ) -> ParameterEventCallbackHandle:
        handle = ParameterEventCallbackHandle(callback)
        self._callbacks.event_callbacks.insert(0, handle)
        return handle

    def remove_parameter_callback(self, handle: ParameterCallbackHandle) -> None:
        self._remove(self._callbacks.parameter_callbacks.get(handle[:2], []), handle)

    def remove_parameter_event_callback(self, handle: ParameterEventCallbackHandle) -> None:
        self._remove(self._callbacks.event_callbacks, handle)

    def _remove(self, handles: list[Any], handle: Any) -> None:
        if handle not in handles:
            raise RuntimeError("Callback doesn't exist")
        handles.remove(handle)
