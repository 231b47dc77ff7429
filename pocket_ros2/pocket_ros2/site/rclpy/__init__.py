# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""ROS 2 for Python: initialization, nodes and spinning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rclpy import signals as signals
from rclpy.context import Context as Context
from rclpy.parameter import Parameter as Parameter
from rclpy.signals import SignalHandlerOptions as SignalHandlerOptions
from rclpy.signals import install_signal_handlers, uninstall_signal_handlers
from rclpy.task import Future as Future
from rclpy.utilities import get_default_context as get_default_context
from rclpy.utilities import get_rmw_implementation_identifier as get_rmw_implementation_identifier
from rclpy.utilities import ok as ok
from rclpy.utilities import shutdown as _shutdown
from rclpy.utilities import try_shutdown as _try_shutdown

if TYPE_CHECKING:
    from rclpy.executors import Executor
    from rclpy.node import Node

_global_executor: Executor | None = None


class InitContextManager:
    """What init() returns: as a context manager it shuts down at the end."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def __enter__(self) -> InitContextManager:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.context is get_default_context():
            try_shutdown()
        else:
            self.context.try_shutdown()


def init(
    *,
    args: list[str] | None = None,
    context: Context | None = None,
    domain_id: int | None = None,
    signal_handler_options: SignalHandlerOptions | None = None,
) -> InitContextManager:
    """Join the network; for the default context, also handle SIGINT and SIGTERM."""
    if signal_handler_options is None:
        default = context is None
        signal_handler_options = SignalHandlerOptions.ALL if default else SignalHandlerOptions.NO
    context = context or get_default_context()
    context.init(args, domain_id=domain_id)
    install_signal_handlers(signal_handler_options)
    return InitContextManager(context)


def shutdown(*, context: Context | None = None, uninstall_handlers: bool | None = None) -> None:
    """Leave the network; raises RuntimeError when that has happened."""
    try:
        _shutdown(context=context)
    finally:
        _uninstall(context, uninstall_handlers)


def try_shutdown(
    *, context: Context | None = None, uninstall_handlers: bool | None = None
) -> None:
    """Leave the network, unless that has happened."""
    _try_shutdown(context=context)
    _uninstall(context, uninstall_handlers)


def _uninstall(context: Context | None, wanted: bool | None) -> None:
    if wanted or (wanted is None and context is None):
        uninstall_signal_handlers()


def get_global_executor() -> Executor:
    from rclpy.executors import SingleThreadedExecutor

    global _global_executor
    if _global_executor is None:
        _global_executor = SingleThreadedExecutor()
        get_default_context().on_shutdown(_reset_global_executor)
    return _global_executor


def _reset_global_executor() -> None:
    global _global_executor
    executor, _global_executor = _global_executor, None
    if executor is not None:
        executor.shutdown()


def create_node(node_name: str, **kwargs: Any) -> Node:
    """Create a node with the keywords of rclpy.node.Node."""
    from rclpy.node import Node

    return Node(node_name, **kwargs)


def spin(node: Node, executor: Executor | None = None) -> None:
    """Run the node's callbacks until shutdown."""
    executor = executor or get_global_executor()
    try:
        executor.add_node(node)
        while executor.context.ok() and not executor._is_shutdown:
            executor.spin_once()
    finally:
        executor.remove_node(node)


def spin_once(
    node: Node, *, executor: Executor | None = None, timeout_sec: float | None = None
) -> None:
    """Wait for one callback of the node and run it."""
    executor = executor or get_global_executor()
    added = executor.add_node(node)
    try:
        executor.spin_once(timeout_sec=timeout_sec)
    finally:
        if added:
            executor.remove_node(node)


def spin_until_future_complete(
    node: Node,
    future: Future[Any],
    executor: Executor | None = None,
    timeout_sec: float | None = None,
) -> None:
    """Run the node's callbacks until the future is done, or the timeout has passed."""
    executor = executor or get_global_executor()
    added = executor.add_node(node)
    try:
        executor.spin_until_future_complete(future, timeout_sec)
    finally:
        if added:
            executor.remove_node(node)
