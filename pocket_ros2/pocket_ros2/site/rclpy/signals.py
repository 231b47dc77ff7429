# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Handlers that shut all contexts down on SIGINT and SIGTERM."""

from __future__ import annotations

import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from enum import IntFlag
from typing import Any

from rclpy.context import g_contexts


class SignalHandlerOptions(IntFlag):
    NO = 0
    SIGINT = 1
    SIGTERM = 2
    ALL = 3


_SIGNALS = {
    SignalHandlerOptions.SIGINT: signal.SIGINT,
    SignalHandlerOptions.SIGTERM: signal.SIGTERM,
}
_HERE = ("rclpy.", "pocket_ros2.wire.", "pocket_ros2.idl.")
_WAIT = threading.Condition.wait.__code__
_RETRY_S = 0.001
_previous: dict[int, Any] = {}
_todo: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
_worker: list[threading.Thread] = []


def install_signal_handlers(options: SignalHandlerOptions = SignalHandlerOptions.ALL) -> None:
    """Install handlers, in the main thread only: Python allows no other."""
    if threading.current_thread() is not threading.main_thread():
        return
    for option, number in _SIGNALS.items():
        if option in options and number not in _previous:
            _previous[number] = signal.signal(number, _on_signal)
    if _previous and not _worker:
        _worker.append(threading.Thread(target=_work, daemon=True))
        _worker[0].start()


def get_current_signal_handlers_options() -> SignalHandlerOptions:
    return SignalHandlerOptions(
        sum(option for option, number in _SIGNALS.items() if number in _previous)
    )


def uninstall_signal_handlers() -> None:
    """Restore the handlers from before."""
    if threading.current_thread() is threading.main_thread():
        while _previous:
            signal.signal(*_previous.popitem())


def _on_signal(number: int, frame: Any) -> None:
    if number == signal.SIGINT and _is_inside(frame):
        _todo.put(_interrupt_again)
        return
    # The interrupted code may hold any lock, so another thread does all that needs one.
    for context in list(g_contexts):
        context._ok = False
    _todo.put(_shut_down_contexts)
    previous = _previous.get(number)
    if callable(previous):
        previous(number, frame)


def _is_inside(frame: Any) -> bool:
    """Tell whether this library was interrupted in the middle of something.

    A KeyboardInterrupt must not hit it there: a lock could stay locked for ever, and zenoh, or
    Python in a destructor, would swallow the exception.
    """
    while frame is not None and frame.f_code is not _WAIT:
        module = f"{frame.f_globals.get('__name__')}."
        if module.startswith(_HERE):
            return True
        package = module.partition(".")[0]
        if package not in sys.stdlib_module_names and not package.startswith("namedtuple_"):
            return False
        frame = frame.f_back
    return False


def _interrupt_again() -> None:
    time.sleep(_RETRY_S)
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


def _shut_down_contexts() -> None:
    for context in list(g_contexts):
        if not context.ok():
            context.try_shutdown()


def _work() -> None:
    while True:
        _todo.get()()
