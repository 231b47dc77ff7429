# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Handlers of events about nodes."""

from __future__ import annotations

from typing import Any

from launch import Event, EventHandler

from launch_ros.events.lifecycle import StateTransition


class OnStateTransition(EventHandler):
    """Reacts to transitions of a managed node; states are given by label."""

    def __init__(
        self,
        *,
        entities: Any,
        target_lifecycle_node: Any = None,
        transition: str | None = None,
        start_state: str | None = None,
        goal_state: str | None = None,
        **kwargs: Any,
    ) -> None:
        def matches(event: Event) -> bool:
            return isinstance(event, StateTransition) and all(
                wanted is None or wanted == found
                for wanted, found in (
                    (target_lifecycle_node, event.action),
                    (transition, event.msg.transition.label),
                    (start_state, event.start_state),
                    (goal_state, event.goal_state),
                )
            )

        super().__init__(matcher=matches, entities=entities, **kwargs)
