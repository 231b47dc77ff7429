# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Lists of entities, and the arguments they declare."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import launch.logging
from launch.action import LaunchDescriptionEntity
from launch.launch_context import LaunchContext

if TYPE_CHECKING:
    from launch.actions import Action, DeclareLaunchArgument, IncludeLaunchDescription

    _Declared = tuple[DeclareLaunchArgument, list[IncludeLaunchDescription]]


class LaunchDescription(LaunchDescriptionEntity):
    def __init__(
        self,
        initial_entities: Iterable[LaunchDescriptionEntity] | None = None,
        *,
        deprecated_reason: str | None = None,
    ) -> None:
        self.entities = list(initial_entities or [])
        self.deprecated_reason = deprecated_reason

    @property
    def deprecated(self) -> bool:
        return self.deprecated_reason is not None

    def visit(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        if self.deprecated:
            launch.logging.get_logger("launch").warning(
                f"this launch description is deprecated: {self.deprecated_reason}"
            )
        return self.entities

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        return self.entities

    def add_entity(self, entity: LaunchDescriptionEntity) -> None:
        self.entities.append(entity)

    def add_action(self, action: Action) -> None:
        self.add_entity(action)

    def get_launch_arguments(
        self, conditional_inclusion: bool = False
    ) -> list[DeclareLaunchArgument]:
        """Return the declared arguments, those of included descriptions too, each name once."""
        return [argument for argument, _ in self._declared(conditional_inclusion)]

    def get_launch_arguments_with_include_launch_description_actions(
        self, conditional_inclusion: bool = False
    ) -> list[_Declared]:
        from launch.actions import (
            DeclareLaunchArgument,
            IncludeLaunchDescription,
            ResetLaunchConfigurations,
        )

        found: dict[str, _Declared] = {}

        def walk(
            entities: Iterable[LaunchDescriptionEntity],
            conditional: bool,
            includes: list[IncludeLaunchDescription],
        ) -> None:
            for entity in entities:
                if isinstance(entity, ResetLaunchConfigurations):
                    return
                if isinstance(entity, DeclareLaunchArgument) and entity.name not in found:
                    entity._conditionally_included = conditional or entity.condition is not None
                    found[entity.name] = (entity, includes)
                inner = includes
                if isinstance(entity, IncludeLaunchDescription):
                    inner = [*includes, entity]
                walk(entity.describe_sub_entities(), conditional, inner)
                for _, entities_if in entity.describe_conditional_sub_entities():
                    walk(entities_if, True, inner)

        walk(self.entities, conditional_inclusion, [])
        return list(found.values())

    _declared = get_launch_arguments_with_include_launch_description_actions
