# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Nodes."""

from __future__ import annotations

import copy
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from pocket_ros2.subset import unsupported
from rcl_interfaces.msg import ParameterDescriptor as ParameterDescriptor
from rcl_interfaces.msg import ParameterEvent as ParameterEvent
from rcl_interfaces.msg import ParameterType as ParameterType
from rcl_interfaces.msg import ParameterValue as ParameterValue
from rcl_interfaces.msg import SetParametersResult as SetParametersResult

from rclpy import _logging_rosout
from rclpy._arguments import RosArguments
from rclpy._entity import Entity
from rclpy._node_graph import GraphMixin
from rclpy._node_parameters import ParameterMixin
from rclpy._rclpy_pybind11 import NodeNameNonExistentError as NodeNameNonExistentError
from rclpy._rclpy_pybind11 import RCLError
from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.callback_groups import ReentrantCallbackGroup as ReentrantCallbackGroup
from rclpy.client import Client
from rclpy.clock import Clock, ROSClock
from rclpy.constants import S_TO_NS
from rclpy.context import Context
from rclpy.exceptions import InvalidHandle, NotInitializedException
from rclpy.executors import Executor
from rclpy.expand_topic_name import expand_topic_name
from rclpy.guard_condition import GuardCondition
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.logging import get_logger
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import (
    QoSProfile,
    qos_profile_rosout_default,
    qos_profile_services_default,
)
from rclpy.qos_overriding_options import QoSOverridingOptions, _declare_qos_parameters
from rclpy.service import Service
from rclpy.subscription import Subscription
from rclpy.time_source import TimeSource
from rclpy.timer import Rate, Timer
from rclpy.utilities import get_default_context
from rclpy.validate_full_topic_name import validate_full_topic_name
from rclpy.validate_namespace import validate_namespace
from rclpy.validate_node_name import validate_node_name
from rclpy.validate_topic_name import validate_topic_name

HIDDEN_NODE_PREFIX = "_"
NODE_NAME_SEPARATOR_STRING = "/"


class Node(ParameterMixin, GraphMixin):
    def __init__(
        self,
        node_name: str,
        *,
        context: Context | None = None,
        cli_args: list[str] | None = None,
        namespace: str | None = None,
        use_global_arguments: bool = True,
        enable_rosout: bool = True,
        rosout_qos_profile: QoSProfile | int = qos_profile_rosout_default,
        start_parameter_services: bool = True,
        parameter_overrides: list[Parameter] | None = None,
        allow_undeclared_parameters: bool = False,
        automatically_declare_parameters_from_overrides: bool = False,
        enable_logger_service: bool = False,
    ) -> None:
        if enable_logger_service:
            raise unsupported("rclpy.node.Node(enable_logger_service=)")
        self._rclpy_destroyed = False
        self._context = get_default_context() if context is None else context
        if not self._context.ok():
            raise NotInitializedException("cannot create node")
        self._rclpy_session = self._context._session
        self.__executor: weakref.ref[Executor] | None = None
        self.__entities: list[Entity] = []
        self.__ordered: list[Entity] | None = None
        self.__publishers: list[Publisher] = []
        self.__rates: list[Rate] = []
        self.__lock = threading.RLock()
        self._default_callback_group = MutuallyExclusiveCallbackGroup()
        self._rate_group = MutuallyExclusiveCallbackGroup()
        self.__arguments = [RosArguments.parse(_as_ros_arguments(cli_args))] if cli_args else []
        if use_global_arguments:
            self.__arguments.append(self._context._arguments)
        self.__name, self.__namespace = self.__identity(node_name, namespace or "/")
        self._logger = get_logger(self.get_fully_qualified_name()[1:].replace("/", "."))
        self._rclpy_token = self._rclpy_session.declare_node(self.__namespace, self.__name)
        self._context.track_node(self)
        if enable_rosout and self._context._arguments.switches.get("rosout-logs", True):
            _logging_rosout.attach(self, _as_profile(rosout_qos_profile))
            self._context.on_shutdown(self.__leave_rosout)
        self._clock = ROSClock()
        self._rclpy_init_parameters(
            parameter_overrides,
            allow_undeclared_parameters,
            automatically_declare_parameters_from_overrides,
        )
        self._time_source = TimeSource(node=self)
        self._time_source.attach_clock(self._clock)
        if start_parameter_services:
            self._rclpy_start_parameter_services()

    def __identity(self, node_name: str, namespace: str) -> tuple[str, str]:
        """Return name and namespace as the remap rules have them."""
        namespace = "/" + namespace if not namespace.startswith("/") else namespace
        validate_node_name(node_name)
        validate_namespace(namespace)
        name = node_name
        for kind in ("node", "ns"):
            rule = next((r for a in self.__arguments for r in a.remap((kind,), node_name)), None)
            if rule is not None and kind == "node":
                name = rule.target
            elif rule is not None:
                namespace = rule.target
        validate_node_name(name)
        validate_namespace(namespace)
        return name, namespace

    def _rclpy_argument_sources(self) -> list[RosArguments]:
        """Return the arguments that concern this node; later ones win."""
        return self.__arguments[::-1]

    # What it is

    def get_name(self) -> str:
        return self.__name

    def get_namespace(self) -> str:
        return self.__namespace

    def get_fully_qualified_name(self) -> str:
        return f"{self.__namespace.rstrip('/')}/{self.__name}"

    def get_logger(self) -> RcutilsLogger:
        return self._logger

    def get_clock(self) -> Clock:
        return self._clock

    @property
    def context(self) -> Context:
        return self._context

    @property
    def handle(self) -> AbstractContextManager[Any]:
        """What can be entered until this is destroyed."""
        self.__check()
        return nullcontext(self)

    @property
    def default_callback_group(self) -> CallbackGroup:
        return self._default_callback_group

    @property
    def executor(self) -> Executor | None:
        return None if self.__executor is None else self.__executor()

    @executor.setter
    def executor(self, executor: Executor | None) -> None:
        present = self.executor
        if present is executor:
            return
        if present is not None:
            present.remove_node(self)
        self.__executor = None
        if executor is not None:
            self.__executor = weakref.ref(executor)
            executor.add_node(self)

    def __of_kind(self, kind: int) -> Iterator[Any]:
        return iter([entity for entity in self.__entities if entity.kind == kind])

    @property
    def publishers(self) -> Iterator[Publisher]:
        return iter(list(self.__publishers))

    @property
    def subscriptions(self) -> Iterator[Subscription]:
        return self.__of_kind(Entity.SUBSCRIPTION)

    @property
    def clients(self) -> Iterator[Client]:
        return self.__of_kind(Entity.CLIENT)

    @property
    def services(self) -> Iterator[Service]:
        return self.__of_kind(Entity.SERVICE)

    @property
    def timers(self) -> Iterator[Timer]:
        return self.__of_kind(Entity.TIMER)

    @property
    def guards(self) -> Iterator[GuardCondition]:
        return self.__of_kind(Entity.GUARD)

    @property
    def waitables(self) -> Iterator[Any]:
        return self.__of_kind(Entity.WAITABLE)

    # Entities

    def __check(self) -> None:
        if self._rclpy_destroyed:
            raise InvalidHandle("cannot use Destroyable because destruction was requested")

    def _rclpy_check_creation(self) -> None:
        self.__check()
        if not self._context.ok():
            raise RCLError("the given context is not valid: it has been shut down")

    def __notify(self) -> None:
        executor = self.executor
        if executor is not None:
            executor.wake()

    def _rclpy_adopt(self, entity: Any) -> Any:
        self._rclpy_check_creation()
        if entity.callback_group is not None:
            entity.callback_group.add_entity(entity)
        entity._wake = self.__notify
        with self.__lock:
            self.__entities.append(entity)
            self.__ordered = None
        self.__notify()
        return entity

    def _rclpy_forget(self, entity: Any) -> bool:
        with self.__lock:
            if entity not in self.__entities:
                return False
            self.__entities.remove(entity)
            self.__ordered = None
        self.__notify()
        return True

    def _rclpy_entities_in_order(self) -> list[Entity]:
        with self.__lock:
            if self.__ordered is None:
                self.__ordered = sorted(self.__entities, key=lambda entity: entity.kind)
            return self.__ordered

    def __destroy(self, entity: Any) -> bool:
        if not self._rclpy_forget(entity):
            return False
        entity.destroy()
        return True

    def create_publisher(
        self,
        msg_type: Any,
        topic: str,
        qos_profile: QoSProfile | int,
        *,
        callback_group: CallbackGroup | None = None,
        event_callbacks: Any = None,
        qos_overriding_options: QoSOverridingOptions | None = None,
        publisher_class: type[Publisher] = Publisher,
    ) -> Any:
        if event_callbacks is not None:
            raise unsupported("rclpy.node.Node.create_publisher(event_callbacks=)")
        self._rclpy_check_creation()
        name = self.resolve_topic_name(topic)
        qos = self.__overridden(Publisher, name, qos_profile, qos_overriding_options)
        publisher = publisher_class(self, msg_type, name, qos)
        self.__publishers.append(publisher)
        return publisher

    def create_subscription(
        self,
        msg_type: Any,
        topic: str,
        callback: Callable[..., Any],
        qos_profile: QoSProfile | int,
        *,
        callback_group: CallbackGroup | None = None,
        event_callbacks: Any = None,
        qos_overriding_options: QoSOverridingOptions | None = None,
        raw: bool = False,
        content_filter_options: Any = None,
    ) -> Subscription:
        """Subscribe; the callback takes the message, or the message and its MessageInfo."""
        if event_callbacks is not None:
            raise unsupported("rclpy.node.Node.create_subscription(event_callbacks=)")
        if content_filter_options is not None:
            raise unsupported("rclpy.node.Node.create_subscription(content_filter_options=)")
        self._rclpy_check_creation()
        name = self.resolve_topic_name(topic)
        qos = self.__overridden(Subscription, name, qos_profile, qos_overriding_options)
        group = callback_group or self.default_callback_group
        return self._rclpy_adopt(Subscription(self, msg_type, name, callback, group, qos, raw))

    def __overridden(
        self,
        kind: type,
        topic: str,
        qos_profile: QoSProfile | int,
        options: QoSOverridingOptions | None,
    ) -> QoSProfile:
        qos = _as_profile(qos_profile)
        if options is not None:
            qos = copy.copy(qos)
            _declare_qos_parameters(kind, self, topic, qos, options)
        return qos

    def create_client(
        self,
        srv_type: Any,
        srv_name: str,
        *,
        qos_profile: QoSProfile = qos_profile_services_default,
        callback_group: CallbackGroup | None = None,
    ) -> Client:
        self._rclpy_check_creation()
        group = callback_group or self.default_callback_group
        name = self.resolve_service_name(srv_name)
        return self._rclpy_adopt(Client(self, srv_type, name, qos_profile, group))

    def create_service(
        self,
        srv_type: Any,
        srv_name: str,
        callback: Callable[[Any, Any], Any],
        *,
        qos_profile: QoSProfile = qos_profile_services_default,
        callback_group: CallbackGroup | None = None,
    ) -> Service:
        """Serve; the callback takes request and response, and returns the response."""
        self._rclpy_check_creation()
        group = callback_group or self.default_callback_group
        name = self.resolve_service_name(srv_name)
        return self._rclpy_adopt(Service(self, srv_type, name, callback, group, qos_profile))

    def create_timer(
        self,
        timer_period_sec: float,
        callback: Callable[[], Any] | None,
        callback_group: CallbackGroup | None = None,
        clock: Clock | None = None,
        autostart: bool = True,
    ) -> Timer:
        self._rclpy_check_creation()
        return self._rclpy_adopt(
            Timer(
                callback,
                callback_group or self.default_callback_group,
                int(float(timer_period_sec) * S_TO_NS),
                clock or self._clock,
                context=self.context,
                autostart=autostart,
            )
        )

    def create_rate(self, frequency: float, clock: Clock | None = None) -> Rate:
        if frequency <= 0:
            raise ValueError(f"frequency must be > 0, it is {frequency}")
        timer = self.create_timer(1.0 / frequency, None, self._rate_group, clock)
        rate = Rate(timer, context=self.context)
        self.__rates.append(rate)
        return rate

    def create_guard_condition(
        self, callback: Callable[[], Any], callback_group: CallbackGroup | None = None
    ) -> GuardCondition:
        group = callback_group or self.default_callback_group
        return self._rclpy_adopt(GuardCondition(callback, group, context=self.context))

    def destroy_publisher(self, publisher: Publisher) -> bool:
        if publisher not in self.__publishers:
            return False
        self.__publishers.remove(publisher)
        publisher.destroy()
        return True

    def destroy_subscription(self, subscription: Subscription) -> bool:
        return self.__destroy(subscription)

    def destroy_client(self, client: Client) -> bool:
        return self.__destroy(client)

    def destroy_service(self, service: Service) -> bool:
        return self.__destroy(service)

    def destroy_timer(self, timer: Timer) -> bool:
        return self.__destroy(timer)

    def destroy_guard_condition(self, guard: GuardCondition) -> bool:
        return self.__destroy(guard)

    def destroy_rate(self, rate: Rate) -> bool:
        if rate not in self.__rates:
            return False
        self.__rates.remove(rate)
        self._rclpy_forget(rate._timer)
        rate.destroy()
        return True

    def destroy_node(self) -> None:
        """Leave the graph and destroy all that this node created."""
        with self._context._lock:
            if self._rclpy_destroyed:
                return
            self._rclpy_destroyed = True
            for rate in list(self.__rates):
                self.destroy_rate(rate)
            for entity in list(self.__entities):
                self._rclpy_forget(entity)
                entity.destroy()
            for publisher in list(self.__publishers):
                self.destroy_publisher(publisher)
            self.__leave_rosout()
            self._rclpy_token.close()
            self._context.untrack_node(self)
        self.__notify()

    def __leave_rosout(self) -> None:
        _logging_rosout.detach(self)

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *exception: object) -> None:
        self.destroy_node()

    # Names

    def resolve_topic_name(self, topic: str, *, only_expand: bool = False) -> str:
        """Return the absolute, remapped name of a topic."""
        return self.__resolve(topic, "topic", only_expand)

    def resolve_service_name(self, service: str, *, only_expand: bool = False) -> str:
        """Return the absolute, remapped name of a service."""
        return self.__resolve(service, "service", only_expand)

    def __resolve(self, name: str, kind: str, only_expand: bool) -> str:
        is_service = kind == "service"
        validate_topic_name(name, is_service=is_service)
        expanded = expand_topic_name(name, self.__name, self.__namespace)
        if not only_expand:
            for arguments in self.__arguments:
                rules = arguments.remap(("", kind), self.__name)
                target = next((r.target for r in rules if self.__means(r.source, expanded)), None)
                if target is not None:
                    expanded = expand_topic_name(target, self.__name, self.__namespace)
                    break
        validate_full_topic_name(expanded, is_service=is_service)
        return expanded

    def __means(self, source: str, expanded: str) -> bool:
        return expand_topic_name(source, self.__name, self.__namespace) == expanded


def _as_profile(qos_profile: QoSProfile | int) -> QoSProfile:
    if isinstance(qos_profile, QoSProfile):
        return qos_profile
    if isinstance(qos_profile, int):
        return QoSProfile(depth=qos_profile)
    raise TypeError(f"Expected QoSProfile or int, got {qos_profile!r}")


def _as_ros_arguments(cli_args: list[str]) -> list[str]:
    return cli_args if "--ros-args" in cli_args else ["--ros-args", *cli_args]
