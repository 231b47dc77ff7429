# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Actions that start nodes, and what is common to several nodes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import launch.logging
import yaml
from launch import Action, EventHandler, LaunchContext, SomeSubstitutionsType
from launch.actions import ExecuteProcess
from launch.event_handlers import OnShutdown
from launch.events import matches_action
from launch.substitution import as_pairs, as_text
from pocket_ros2.subset import unsupported

from launch_ros import _scratch
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState, StateTransition
from launch_ros.parameter_descriptions import (
    Parameter,
    ParameterFile,
    evaluate_dict,
    evaluate_value,
)
from launch_ros.substitutions import ExecutableInPackage


def _append(context: LaunchContext, key: str, value: Any) -> None:
    """Add to a list in the configurations without changing the list of an outer scope."""
    known = context.launch_configurations.get(key, [])
    context.launch_configurations[key] = [*known, value]


def _joined_namespace(base: str, namespace: str) -> str:
    """Return a namespace below the base, or itself when it is absolute; empty for the root."""
    joined = namespace if namespace.startswith("/") else f"{base.rstrip('/')}/{namespace}"
    return joined.rstrip("/")


@dataclass(eq=False)
class PushROSNamespace(Action):
    namespace: SomeSubstitutionsType

    def execute(self, context: LaunchContext) -> None:
        base = context.launch_configurations.get("ros_namespace", "")
        namespace = _joined_namespace(base, as_text(context, self.namespace))
        context.launch_configurations["ros_namespace"] = namespace


PushRosNamespace = PushROSNamespace


@dataclass(eq=False)
class SetParameter(Action):
    name: SomeSubstitutionsType
    value: Any

    def execute(self, context: LaunchContext) -> None:
        value = evaluate_value(context, self.value)
        _append(context, "global_params", {as_text(context, self.name): value})


class SetUseSimTime(SetParameter):
    def __init__(self, value: Any, **kwargs: Any) -> None:
        super().__init__("use_sim_time", value, **kwargs)


@dataclass(eq=False)
class SetParametersFromFile(Action):
    filename: SomeSubstitutionsType
    node_name: str | None = None

    def execute(self, context: LaunchContext) -> None:
        if self.node_name is not None:
            raise unsupported("launch_ros.actions.SetParametersFromFile(node_name=)")
        _append(context, "global_params", ParameterFile(as_text(context, self.filename)))


@dataclass(eq=False)
class SetRemap(Action):
    src: SomeSubstitutionsType
    dst: SomeSubstitutionsType

    def execute(self, context: LaunchContext) -> None:
        rule = (as_text(context, self.src), as_text(context, self.dst))
        _append(context, "ros_remaps", rule)


@dataclass(kw_only=True, eq=False)
class Node(ExecuteProcess):
    """Runs a node; without a name or a namespace those of the executable hold."""

    executable: SomeSubstitutionsType
    package: SomeSubstitutionsType | None = None
    namespace: SomeSubstitutionsType | None = None
    exec_name: SomeSubstitutionsType | None = None
    parameters: Iterable[Any] | None = None
    remappings: Iterable[tuple[Any, Any]] | None = None
    ros_arguments: Iterable[SomeSubstitutionsType] | None = None
    arguments: Iterable[SomeSubstitutionsType] | None = None
    cmd: Iterable[SomeSubstitutionsType] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.parameters is not None and isinstance(self.parameters, str | Mapping):
            raise TypeError(f"parameters of a Node is a list, not {self.parameters!r}")
        self._final_namespace = ""
        self._final_name = "<node_name_unspecified>"

    @property
    def node_package(self) -> Any:
        return self.package

    @property
    def node_executable(self) -> Any:
        return self.executable

    @property
    def node_name(self) -> str:
        """The full name; known once the action is executed."""
        if not self.final_name:
            raise RuntimeError("cannot access 'node_name' before executing action")
        return f"{self._final_namespace}/{self._final_name}"

    def is_node_name_fully_specified(self) -> bool:
        return self.name is not None

    def _label(self, context: LaunchContext) -> str:
        return as_text(context, self.exec_name or "")

    def _prepare(self, context: LaunchContext) -> list[str]:
        program = self.executable
        if self.package is not None:
            program = ExecutableInPackage(package=self.package, executable=program)
        arguments = (as_text(context, argument) for argument in self.arguments or ())
        ros = [as_text(context, argument) for argument in self.ros_arguments or ()]
        if self.name is not None:
            self._final_name = as_text(context, self.name)
            ros += ["-r", f"__node:={self._final_name}"]
        base = context.launch_configurations.get("ros_namespace", "")
        if self.namespace is not None or base:
            namespace = as_text(context, self.namespace or "")
            self._final_namespace = _joined_namespace(base, namespace)
            if self._final_namespace:
                ros += ["-r", f"__ns:={self._final_namespace}"]
        shared = context.launch_configurations.get("global_params", ())
        for parameters in (*shared, *(self.parameters or ())):
            ros += ["--params-file", self._parameters_file(context, parameters)]
        remaps = context.launch_configurations.get("ros_remaps", ())
        for source, target in (*remaps, *as_pairs(self.remappings)):
            ros += ["-r", f"{as_text(context, source)}:={as_text(context, target)}"]
        return [as_text(context, program), *arguments, "--ros-args", *ros]

    def _parameters_file(self, context: LaunchContext, parameters: Any) -> str:
        if isinstance(parameters, Parameter):
            parameters = dict([parameters.evaluate(context)])
        if isinstance(parameters, Mapping):
            values = {"/**": {"ros__parameters": evaluate_dict(context, parameters)}}
            return str(_scratch.write("launch_params.yaml", yaml.safe_dump(values)))
        if not isinstance(parameters, ParameterFile):
            parameters = ParameterFile(parameters)
        path = parameters.evaluate(context)
        if not path.is_file():
            launch.logging.get_logger("launch_ros").warning(
                f"Parameter file path is not a file: {path}"
            )
        return str(path)


def _ros_node(context: LaunchContext) -> Any:
    """Return the node of the launch itself; it spins in a thread until the launch shuts down."""
    node = context.get_locals_as_dict().get("launch_ros_node")
    if node is not None:
        return node
    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.parameter import Parameter
    from rclpy.signals import SignalHandlerOptions

    ros = rclpy.Context()
    rclpy.init(args=[], context=ros, signal_handler_options=SignalHandlerOptions.NO)
    overrides = [
        Parameter("use_sim_time", value=parameters["use_sim_time"])
        for parameters in context.launch_configurations.get("global_params", ())
        if isinstance(parameters, dict) and "use_sim_time" in parameters
    ]
    name = f"launch_ros_{os.getpid()}"
    node = rclpy.create_node(name, context=ros, parameter_overrides=overrides)
    executor = SingleThreadedExecutor(context=ros)
    executor.add_node(node)

    def spin() -> None:
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()

    def stop(event: Any, context: LaunchContext) -> None:
        ros.try_shutdown()
        thread.join(5.0)
        node.destroy_node()

    context.register_event_handler(OnShutdown(on_shutdown=stop), append=True)
    context.extend_globals({"launch_ros_node": node})
    return node


@dataclass(kw_only=True, eq=False)
class LifecycleNode(Node):
    """Runs a managed node: emits StateTransition, obeys ChangeState events."""

    name: SomeSubstitutionsType
    namespace: SomeSubstitutionsType
    autostart: bool = False

    def execute(self, context: LaunchContext) -> None:
        super().execute(context)
        if context.is_shutdown:
            return
        from lifecycle_msgs.msg import Transition, TransitionEvent
        from lifecycle_msgs.srv import ChangeState as ChangeStateService

        node = _ros_node(context)
        client = node.create_client(ChangeStateService, f"{self.node_name}/change_state")

        def on_transition(message: Any) -> None:
            event = StateTransition(action=self, msg=message)
            context.asyncio_loop.call_soon_threadsafe(context.emit_event_sync, event)

        def on_change_state(event: ChangeState, context: LaunchContext) -> None:
            request = ChangeStateService.Request()
            request.transition.id = event.transition_id
            task = context.asyncio_loop.create_task(self._call(client, request, context))
            context.add_completion_future(task)

        def ask(transition: int) -> None:
            chosen = matches_action(self)
            context.emit_event_sync(
                ChangeState(lifecycle_node_matcher=chosen, transition_id=transition)
            )

        node.create_subscription(
            TransitionEvent, f"{self.node_name}/transition_event", on_transition, 10
        )
        context.register_event_handler(
            EventHandler(
                matcher=lambda e: isinstance(e, ChangeState) and e.lifecycle_node_matcher(self),
                entities=on_change_state,
            )
        )
        if self.autostart:
            context.register_event_handler(
                OnStateTransition(
                    target_lifecycle_node=self,
                    start_state="configuring",
                    goal_state="inactive",
                    entities=lambda event, context: ask(Transition.TRANSITION_ACTIVATE),
                )
            )
            ask(Transition.TRANSITION_CONFIGURE)

    async def _call(self, client: Any, request: Any, context: LaunchContext) -> None:
        """Ask for a transition once the node is there, unless it ends or the launch does."""
        answer = None
        while answer is None or not answer.done():
            if context.is_shutdown or self.get_asyncio_future().done():
                return
            if answer is None and client.service_is_ready():
                answer = client.call_async(request)
            await asyncio.sleep(0.02)
        if answer.exception() is not None or not answer.result().success:
            launch.logging.get_logger(self.final_name).error(
                f"Failed to make transition {request.transition.id} of '{self.node_name}'"
            )
