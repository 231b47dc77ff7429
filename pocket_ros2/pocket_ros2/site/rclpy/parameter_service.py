# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The six services through which other nodes reach a node's parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rcl_interfaces import srv
from rcl_interfaces.msg import SetParametersResult

from rclpy.exceptions import ParameterNotDeclaredException, ParameterUninitializedException
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_parameters

if TYPE_CHECKING:
    from rclpy.node import Node


class ParameterService:
    def __init__(self, node: Node) -> None:
        self._node = node
        for srv_type, name, callback in (
            (srv.DescribeParameters, "describe_parameters", self._describe),
            (srv.GetParameters, "get_parameters", self._get),
            (srv.GetParameterTypes, "get_parameter_types", self._get_types),
            (srv.ListParameters, "list_parameters", self._list),
            (srv.SetParameters, "set_parameters", self._set),
            (srv.SetParametersAtomically, "set_parameters_atomically", self._set_atomically),
        ):
            node.create_service(
                srv_type, f"~/{name}", callback, qos_profile=qos_profile_parameters
            )

    def _describe(self, request: Any, response: Any) -> Any:
        try:
            response.descriptors = self._node.describe_parameters(list(request.names))
        except ParameterNotDeclaredException:
            response.descriptors = []
        return response

    def _get(self, request: Any, response: Any) -> Any:
        try:
            parameters = self._node.get_parameters(list(request.names))
        except (ParameterNotDeclaredException, ParameterUninitializedException):
            parameters = []
        response.values = [parameter.get_parameter_value() for parameter in parameters]
        return response

    def _get_types(self, request: Any, response: Any) -> Any:
        try:
            kinds = self._node.get_parameter_types(list(request.names))
        except ParameterNotDeclaredException:
            kinds = []
        response.types = [getattr(kind, "value", kind) for kind in kinds]
        return response

    def _list(self, request: Any, response: Any) -> Any:
        response.result = self._node.list_parameters(list(request.prefixes), request.depth)
        return response

    def _apply(self, messages: Any) -> SetParametersResult:
        try:
            parameters = [Parameter.from_parameter_msg(message) for message in messages]
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        try:
            return self._node.set_parameters_atomically(parameters)
        except ParameterNotDeclaredException as error:
            return SetParametersResult(successful=False, reason=str(error))

    def _set(self, request: Any, response: Any) -> Any:
        response.results = [self._apply([message]) for message in request.parameters]
        return response

    def _set_atomically(self, request: Any, response: Any) -> Any:
        response.result = self._apply(request.parameters)
        return response
