# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Guard conditions: callbacks that any thread may trigger."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from rclpy._entity import Entity, await_or_execute

if TYPE_CHECKING:
    from rclpy.callback_groups import CallbackGroup
    from rclpy.context import Context


class GuardCondition(Entity):
    kind: ClassVar[int] = Entity.GUARD

    def __init__(
        self,
        callback: Callable[[], Any] | None,
        callback_group: CallbackGroup | None,
        context: Context | None = None,
    ) -> None:
        super().__init__(callback_group)
        self.callback = callback
        self._triggered = False

    def trigger(self) -> None:
        """Have the callback called once, however often this is triggered before."""
        self._triggered = True
        self.notify()

    def ready(self) -> bool:
        return self._triggered

    def take(self) -> bool | None:
        triggered, self._triggered = self._triggered, False
        return triggered or None

    async def execute(self, taken: Any) -> None:
        if self.callback is not None:
            await await_or_execute(self.callback)
