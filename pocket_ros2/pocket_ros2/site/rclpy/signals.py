# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Handlers that shut all contexts down on SIGINT and SIGTERM."""

from __future__ import annotations

import queue
import signal
import threading
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
_previous: dict[int, Any] = {}
_arrived: queue.SimpleQueue[int] = queue.SimpleQueue()
_worker: list[threading.Thread] = []


def install_signal_handlers(options: SignalHandlerOptions = SignalHandlerOptions.ALL) -> None:
    """Install handlers, in the main thread only: Python allows no other."""
    if threading.current_thread() is not threading.main_thread():
        return
    for option, number in _SIGNALS.items():
        if option in options and number not in _previous:
            _previous[number] = signal.signal(number, _on_signal)
    if _previous and not _worker:
        _worker.append(threading.Thread(target=_shut_down_contexts, daemon=True))
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
    # The interrupted code may hold any lock, so another thread does all that needs one.
    for context in list(g_contexts):
        context._ok = False
    _arrived.put(number)
    previous = _previous.get(number)
    if number == signal.SIGINT and callable(previous):
        previous(number, frame)


def _shut_down_contexts() -> None:
    while True:
        _arrived.get()
        for context in list(g_contexts):
            if not context.ok():
                context.try_shutdown()
