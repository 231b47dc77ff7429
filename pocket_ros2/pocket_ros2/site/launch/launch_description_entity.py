# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Anything that a launch description can hold."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


_Conditional = list[tuple[str, list["LaunchDescriptionEntity"]]]


class LaunchDescriptionEntity:
    def visit(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        """Do the work of the entity; return the entities to visit next."""
        raise NotImplementedError(f"{type(self).__name__} does not define visit()")

    def get_asyncio_future(self) -> asyncio.Future | None:
        """Return what ends when the entity is done; None when it is done after visit()."""
        return None

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        return []

    def describe_conditional_sub_entities(self) -> _Conditional:
        return []


SomeEntitiesType = LaunchDescriptionEntity | Iterable[LaunchDescriptionEntity]
