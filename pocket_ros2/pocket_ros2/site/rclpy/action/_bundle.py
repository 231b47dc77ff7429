# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""An action endpoint is several services and topics that the executor sees as one waitable."""

from __future__ import annotations

from typing import Any

from rclpy._entity import Entity


class Bundle(Entity):
    """Runs everything its parts have ready in one go, in the order of the parts."""

    kind = Entity.WAITABLE

    def __init__(self, node, callback_group):
        super().__init__(callback_group or node.default_callback_group)
        node._rclpy_check_creation()
        self._node = node
        self._parts: list[Entity] = []

    def _assemble(self, *parts: Entity) -> None:
        self._parts = list(parts)
        for part in parts:
            part._wake = self.notify
        self._node._rclpy_adopt(self)

    def ready(self) -> bool:
        return any(part.ready() for part in self._parts)

    def take(self) -> Any:
        taken = ((part, part.take()) for part in self._parts if part.ready())
        return [(part, item) for part, item in taken if item is not None] or None

    async def execute(self, taken: Any) -> None:
        for part, item in taken:
            await part.execute(item)

    def destroy(self) -> None:
        """Remove this endpoint from the graph; nothing of it is called afterwards."""
        self._node._rclpy_forget(self)
        for part in self._parts:
            part.destroy()
        super().destroy()


def resolved_names(node, action_type, action_name: str) -> dict[str, str]:
    """Return the resolved name of every service and topic of an action, by its last part."""
    if not hasattr(action_type, "Impl"):
        raise TypeError(f"{action_type!r} is not an action class such as pkg.action.Name")
    stem = f"{action_name}/_action/"
    names = {key: node.resolve_topic_name(stem + key) for key in ("feedback", "status")}
    for key in ("send_goal", "cancel_goal", "get_result"):
        names[key] = node.resolve_service_name(stem + key)
    return names
