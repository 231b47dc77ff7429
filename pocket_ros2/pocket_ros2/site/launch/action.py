# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a launch description can hold; the base of all actions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from launch.conditions import Condition
from launch.events import ExecutionComplete

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class LaunchDescriptionEntity:
    def visit(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        """Do the work of the entity; return the entities to visit next."""
        raise NotImplementedError(f"{type(self).__name__} does not define visit()")

    def get_asyncio_future(self) -> asyncio.Future | None:
        """Return what ends when the entity is done; None when it is done after visit()."""
        return None

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        return []

    def describe_conditional_sub_entities(self) -> Conditional:
        return []


SomeEntitiesType = LaunchDescriptionEntity | Iterable[LaunchDescriptionEntity]
Conditional = list[tuple[str, list[LaunchDescriptionEntity]]]


@dataclass(eq=False)
class Action(LaunchDescriptionEntity):
    condition: Condition | None = field(default=None, kw_only=True)

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        return []

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        return [] if self.condition is not None else self.get_sub_entities()

    def describe_conditional_sub_entities(self) -> Conditional:
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


def as_entities(entities: Any) -> list[LaunchDescriptionEntity]:
    """Return None, one entity or several as a list."""
    if entities is None:
        return []
    found = [entities] if isinstance(entities, LaunchDescriptionEntity) else list(entities)
    for entity in found:
        if not isinstance(entity, LaunchDescriptionEntity):
            raise TypeError(f"expected a launch description entity, not {entity!r}")
    return found
