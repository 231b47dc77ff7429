# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The base of all actions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from launch.conditions import Condition
from launch.events import ExecutionComplete
from launch.launch_description_entity import LaunchDescriptionEntity, _Conditional

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


@dataclass(eq=False)
class Action(LaunchDescriptionEntity):
    condition: Condition | None = field(default=None, kw_only=True)

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        return []

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        return [] if self.condition is not None else self.get_sub_entities()

    def describe_conditional_sub_entities(self) -> _Conditional:
        if self.condition is None:
            return []
        return [("Conditionally included by condition", self.get_sub_entities())]

    def visit(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        if self.condition is not None and not self.condition.evaluate(context):
            return None
        try:
            return self.execute(context)
        finally:
            event = ExecutionComplete(action=self)
            if context.would_handle_event(event):
                future = self.get_asyncio_future()
                if future is None:
                    context.emit_event_sync(event)
                else:
                    future.add_done_callback(lambda _: context.emit_event_sync(event))

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        return None
