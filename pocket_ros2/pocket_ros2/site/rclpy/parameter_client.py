# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Reaches the parameters of another node."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rcl_interfaces import srv
from rcl_interfaces.msg import Parameter as ParameterMsg
from rcl_interfaces.msg import ParameterEvent

from rclpy.parameter import Parameter, parameter_dict_from_yaml_file
from rclpy.qos import QoSProfile, qos_profile_parameter_events, qos_profile_services_default
from rclpy.task import Future

if TYPE_CHECKING:
    from rclpy.callback_groups import CallbackGroup
    from rclpy.node import Node
    from rclpy.subscription import Subscription

DoneCallback = Callable[[Future], Any]


def _messages(parameters: Sequence[Parameter | ParameterMsg]) -> list[ParameterMsg]:
    return [p.to_parameter_msg() if isinstance(p, Parameter) else p for p in parameters]


class AsyncParameterClient:
    """Every call returns a future of the service's response."""

    def __init__(
        self,
        node: Node,
        remote_node_name: str,
        qos_profile: QoSProfile = qos_profile_services_default,
        callback_group: CallbackGroup | None = None,
    ) -> None:
        self.node = node
        self.remote_node_name = remote_node_name
        self._clients = {
            srv_type: node.create_client(
                srv_type,
                f"{remote_node_name}/{name}",
                qos_profile=qos_profile,
                callback_group=callback_group,
            )
            for srv_type, name in (
                (srv.GetParameters, "get_parameters"),
                (srv.ListParameters, "list_parameters"),
                (srv.SetParameters, "set_parameters"),
                (srv.GetParameterTypes, "get_parameter_types"),
                (srv.DescribeParameters, "describe_parameters"),
                (srv.SetParametersAtomically, "set_parameters_atomically"),
            )
        }

    def services_are_ready(self) -> bool:
        return all(client.service_is_ready() for client in self._clients.values())

    def wait_for_services(self, timeout_sec: float | None = None) -> bool:
        deadline = None if timeout_sec is None else time.monotonic() + timeout_sec
        return all(
            client.wait_for_service(
                None if deadline is None else max(0.0, deadline - time.monotonic())
            )
            for client in self._clients.values()
        )

    def _call(self, srv_type: Any, callback: DoneCallback | None, **fields: Any) -> Future:
        future = self._clients[srv_type].call_async(srv_type.Request(**fields))
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def list_parameters(
        self,
        prefixes: list[str] | None = None,
        depth: int | None = None,
        callback: DoneCallback | None = None,
    ) -> Future:
        return self._call(srv.ListParameters, callback, prefixes=prefixes or [], depth=depth or 0)

    def get_parameters(self, names: list[str], callback: DoneCallback | None = None) -> Future:
        return self._call(srv.GetParameters, callback, names=names)

    def get_parameter_types(
        self, names: list[str], callback: DoneCallback | None = None
    ) -> Future:
        return self._call(srv.GetParameterTypes, callback, names=names)

    def describe_parameters(
        self, names: list[str], callback: DoneCallback | None = None
    ) -> Future:
        return self._call(srv.DescribeParameters, callback, names=names)

    def set_parameters(
        self, parameters: Sequence[Parameter | ParameterMsg], callback: DoneCallback | None = None
    ) -> Future:
        return self._call(srv.SetParameters, callback, parameters=_messages(parameters))

    def set_parameters_atomically(
        self, parameters: Sequence[Parameter | ParameterMsg], callback: DoneCallback | None = None
    ) -> Future:
        return self._call(srv.SetParametersAtomically, callback, parameters=_messages(parameters))

    def delete_parameters(self, names: list[str], callback: DoneCallback | None = None) -> Future:
        """Undeclare parameters, which must be dynamically typed."""
        return self.set_parameters([Parameter(name) for name in names], callback)

    def load_parameter_file(
        self, parameter_file: str, use_wildcard: bool = False, callback: DoneCallback | None = None
    ) -> Future:
        values = parameter_dict_from_yaml_file(parameter_file, use_wildcard).values()
        return self.set_parameters(list(values), callback)

    def load_parameter_file_atomically(
        self, parameter_file: str, use_wildcard: bool = False, callback: DoneCallback | None = None
    ) -> Future:
        values = parameter_dict_from_yaml_file(parameter_file, use_wildcard).values()
        return self.set_parameters_atomically(list(values), callback)

    def on_parameter_event(
        self,
        callback: Callable[[ParameterEvent], Any],
        qos_profile: QoSProfile = qos_profile_parameter_events,
        **options: Any,
    ) -> Subscription:
        """Subscribe to the parameter events of all nodes."""
        return self.node.create_subscription(
            ParameterEvent, "/parameter_events", callback, qos_profile, **options
        )
