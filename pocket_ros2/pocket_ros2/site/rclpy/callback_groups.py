# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Which callbacks may run at the same time."""

from __future__ import annotations

import threading
import weakref

from rclpy._entity import Entity


class CallbackGroup:
    def __init__(self) -> None:
        self.entities: weakref.WeakSet[Entity] = weakref.WeakSet()

    def add_entity(self, entity: Entity) -> None:
        self.entities.add(entity)

    def has_entity(self, entity: Entity) -> bool:
        return entity in self.entities

    def can_execute(self, entity: Entity) -> bool:
        raise NotImplementedError

    def beginning_execution(self, entity: Entity) -> bool:
        """Claim the right to run; False when another entity has it."""
        raise NotImplementedError

    def ending_execution(self, entity: Entity) -> None:
        raise NotImplementedError


class ReentrantCallbackGroup(CallbackGroup):
    def can_execute(self, entity: Entity) -> bool:
        return True

    def beginning_execution(self, entity: Entity) -> bool:
        return True

    def ending_execution(self, entity: Entity) -> None:
        pass


class MutuallyExclusiveCallbackGroup(CallbackGroup):
    """Runs one callback at a time; a coroutine that waits keeps its turn."""

    def __init__(self) -> None:
        super().__init__()
        self._active_entity: Entity | None = None
        self._lock = threading.Lock()

    def can_execute(self, entity: Entity) -> bool:
        return self._active_entity is None

    def beginning_execution(self, entity: Entity) -> bool:
        with self._lock:
            if self._active_entity is None:
                self._active_entity = entity
                return True
            return False

    def ending_execution(self, entity: Entity) -> None:
        self._active_entity = None
