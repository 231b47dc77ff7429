# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Events that do not belong to one process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from launch.action import Action
    from launch.launch_description import LaunchDescription


class Event:
    name = "launch.Event"


@dataclass(kw_only=True, eq=False)
class Shutdown(Event):
    reason: str = "reason not given"
    due_to_sigint: bool = False


@dataclass(kw_only=True, eq=False)
class ExecutionComplete(Event):
    action: Action


@dataclass(eq=False)
class IncludeLaunchDescription(Event):
    launch_description: LaunchDescription


@dataclass(kw_only=True, eq=False)
class TimerEvent(Event):
    timer_action: Any


def matches_action(target_action: Action) -> Callable[[Action], bool]:
    return lambda action: action is target_action
