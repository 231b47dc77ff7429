# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Tests of systems that a launch description starts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from launch_testing import actions, asserts, markers, util
from launch_testing.io_handler import ActiveIoHandler, ActiveProcInfoHandler

__all__ = ["ActiveIoHandler", "ActiveProcInfoHandler", "actions", "asserts", "markers", "util"]


def post_shutdown_test() -> Callable[[type], type]:
    """Mark a TestCase that runs after all processes have ended."""
    return markers._marking("__post_shutdown_test__", True)


def ready_to_test_action_timeout(timeout: float) -> Callable[..., Any]:
    """Set how many seconds the launch may take until the tests begin (15 by default)."""
    return markers._marking("__ready_to_test_action_timeout__", timeout)


def parametrize(argnames: str | Iterable[str], argvalues: Iterable[Any]) -> Callable[..., Any]:
    """Run the launch and its tests once per value; several marks are combined."""
    names = [n.strip() for n in argnames.split(",")] if isinstance(argnames, str) else [*argnames]
    sets = [
        dict(zip(names, value if len(names) > 1 else (value,), strict=True)) for value in argvalues
    ]

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        known = getattr(function, "__parametrized__", [{}])
        function.__parametrized__ = [{**a, **b} for a, b in itertools.product(known, sets)]
        return function

    return mark
