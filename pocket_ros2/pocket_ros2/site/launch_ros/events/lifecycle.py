# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Transitions of managed nodes: asked for, and done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from launch import Event


@dataclass(kw_only=True, eq=False)
class ChangeState(Event):
    lifecycle_node_matcher: Callable[[Any], bool]
    transition_id: int


@dataclass(kw_only=True, eq=False)
class StateTransition(Event):
    action: Any
    msg: Any

    @property
    def start_state(self) -> str:
        return self.msg.start_state.label

    @property
    def goal_state(self) -> str:
        return self.msg.goal_state.label


def matches_node_name(node_name: str) -> Callable[[Any], bool]:
    full = node_name if node_name.startswith("/") else f"/{node_name}"
    return lambda action: getattr(action, "node_name", None) == full
