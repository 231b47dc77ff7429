# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A context: one participant in the ROS network, alive from init to shutdown."""

from __future__ import annotations

import atexit
import inspect
import os
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pocket_ros2.wire import Session
from pocket_ros2.wire.memory import keep_big_blocks

from rclpy._arguments import RosArguments
from rclpy._rclpy_pybind11 import RCLError

if TYPE_CHECKING:
    from rclpy.node import Node

g_contexts: weakref.WeakSet[Context] = weakref.WeakSet()


@atexit.register
def _leave() -> None:
    # A thread that is still at work in zenoh when the interpreter ends would abort the process.
    for context in list(g_contexts):
        context.try_shutdown()


class Context:
    def __init__(self) -> None:
        self._session: Session | None = None
        self._arguments = RosArguments()
        self._domain_id = 0
        self._ok = False
        self._left = False
        self._lock = threading.RLock()
        self._on_shutdown: list[Callable[[], Callable[[], Any] | None]] = []
        self._nodes: weakref.WeakSet[Node] = weakref.WeakSet()

    def init(
        self,
        args: list[str] | None = None,
        *,
        initialize_logging: bool = True,
        domain_id: int | None = None,
    ) -> None:
        """Join the network; ROS arguments come from sys.argv when args is None."""
        with self._lock:
            if self._session is not None:
                raise RuntimeError("Context.init() must only be called once")
            self._arguments = RosArguments.parse(sys.argv if args is None else args)
            self._domain_id = _domain_id(domain_id)
            if initialize_logging:
                self._arguments.configure_logging()
            keep_big_blocks()
            self._session = Session.open(self._domain_id, self._arguments.enclave)
            self._ok = True
        g_contexts.add(self)

    def ok(self) -> bool:
        return self._ok

    def get_domain_id(self) -> int:
        if self._session is None:
            raise RuntimeError("Context must be initialized before it can have a domain id")
        return self._domain_id

    def shutdown(self) -> None:
        """Leave the network.

        Raises:
            RuntimeError: It was not initialized, or was shut down before.
        """
        if self._session is None:
            raise RuntimeError("Context must be initialized before it can be shutdown")
        if not self._ok:
            raise RCLError("failed to shutdown: rcl_shutdown already called on the given context")
        self._shut_down()

    def try_shutdown(self) -> None:
        """Leave the network, unless that has happened."""
        if self._session is not None:
            self._shut_down()

    def _shut_down(self) -> None:
        with self._lock:
            if self._left:
                return
            self._ok = False
            self._left = True
            callbacks, self._on_shutdown = self._on_shutdown, []
            for reference in callbacks:
                callback = reference()
                if callback is not None:
                    callback()
            self._session.close()

    def on_shutdown(self, callback: Callable[[], Any]) -> None:
        """Call back at shutdown; a bound method does not keep its object alive."""
        if not callable(callback):
            raise TypeError(f"a shutdown callback must be callable, not {callback!r}")
        with self._lock:
            if not self._ok:
                callback()
            elif inspect.ismethod(callback):
                self._on_shutdown.append(weakref.WeakMethod(callback, self._forget))
            else:
                self._on_shutdown.append(lambda: callback)

    def _forget(self, reference: Any) -> None:
        with suppress(ValueError):
            self._on_shutdown.remove(reference)

    def track_node(self, node: Node) -> None:
        self._nodes.add(node)

    def untrack_node(self, node: Node) -> None:
        self._nodes.discard(node)

    def destroy(self) -> None:
        self.try_shutdown()

    def __enter__(self) -> Context:
        if self._session is None:
            self.init()
        return self

    def __exit__(self, *exception: object) -> None:
        self.try_shutdown()


def _domain_id(requested: int | None) -> int:
    text = os.environ.get("ROS_DOMAIN_ID") or "0"
    domain_id: Any = text if requested is None else requested
    try:
        number = int(domain_id)
    except ValueError:
        number = -1
    if not 0 <= number <= 232:
        raise RuntimeError(f"domain id {domain_id!r} is not a number from 0 to 232")
    return number
