# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Markers of generate_test_description."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _marking(name: str, value: Any) -> Callable[..., Any]:
    def mark(marked: Any) -> Any:
        setattr(marked, name, value)
        return marked

    return mark


def keep_alive(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let the tests go on although all processes have ended."""
    return _marking("__keep_alive__", True)(function)
