# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Markers of generate_test_description."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def keep_alive(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let the tests go on although all processes have ended."""
    function.__markers__ = {**getattr(function, "__markers__", {}), "keep_alive": True}
    return function
