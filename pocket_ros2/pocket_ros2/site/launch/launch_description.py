# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A list of entities, and the arguments they declare."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from launch.launch_context import LaunchContext
from launch.launch_description_entity import LaunchDescriptionEntity

if TYPE_CHECKING:
    from launch.action import Action
    from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription


class LaunchDescription(LaunchDescriptionEntity):
    def __init__(
        self,
        initial_entities: Iterable[LaunchDescriptionEntity] | None = None,
        *,
        deprecated_reason: str | None = None,
    ) -> None:
        self.deprecated_reason = deprecated_reason
        self.__entities = list(initial_entities or [])

    @property
    def entities(self) -> list[LaunchDescriptionEntity]:
        return self.__entities

    @property
    def deprecated(self) -> bool:
        return self.deprecated_reason is not None

    def visit(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        if self.deprecated_reason is not None:
            from launch.logging import get_logger

            reason = f": {self.deprecated_reason}" if self.deprecated_reason else ""
            get_logger("launch").warning(f"this launch description is deprecated{reason}")
        return self.__entities

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        return self.__entities

    def add_entity(self, entity: LaunchDescriptionEntity) -> None:
        self.__entities.append(entity)

    def add_action(self, action: Action) -> None:
        self.add_entity(action)

    def get_launch_arguments(
        self, conditional_inclusion: bool = False
    ) -> list[DeclareLaunchArgument]:
        """Return the declared arguments, those of included descriptions too, each name once."""
        found = self.get_launch_arguments_with_include_launch_description_actions(
            conditional_inclusion
        )
        return [argument for argument, _ in found]

    def get_launch_arguments_with_include_launch_description_actions(
        self, conditional_inclusion: bool = False
    ) -> list[tuple[DeclareLaunchArgument, list[IncludeLaunchDescription]]]:
        from launch.actions import (
            DeclareLaunchArgument,
            IncludeLaunchDescription,
            ResetLaunchConfigurations,
        )

        found: dict[str, tuple[DeclareLaunchArgument, list[IncludeLaunchDescription]]] = {}

        def walk(
            entities: Iterable[LaunchDescriptionEntity],
            conditional: bool,
            includes: list[IncludeLaunchDescription],
        ) -> None:
            for entity in entities:
                if isinstance(entity, DeclareLaunchArgument):
                    if entity.name not in found:
                        entity._conditionally_included = (
                            conditional or entity.condition is not None
                        )
                        found[entity.name] = (entity, includes)
                elif isinstance(entity, ResetLaunchConfigurations):
                    return
                inner = includes
                if isinstance(entity, IncludeLaunchDescription):
                    inner = [*includes, entity]
                walk(entity.describe_sub_entities(), conditional, inner)
                for _, entities_if in entity.describe_conditional_sub_entities():
                    walk(entities_if, True, inner)

        walk(self.entities, conditional_inclusion, [])
        return list(found.values())
