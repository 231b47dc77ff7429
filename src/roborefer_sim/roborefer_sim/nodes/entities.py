# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Services of simulation_interfaces: the truth about things, for tests and their preparation.

Nothing of the product may use them: a real table has no such services.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from simulation_interfaces.msg import (
    Bounds,
    EntityCategory,
    EntityFilters,
    EntityInfo,
    EntityState,
    Result,
    SimulatorFeatures,
    Spawnable,
    TagsFilter,
)
from simulation_interfaces.srv import (
    DeleteEntity,
    GetEntities,
    GetEntitiesStates,
    GetEntityBounds,
    GetEntityInfo,
    GetEntityState,
    GetSimulatorFeatures,
    GetSpawnables,
    SetEntityState,
    SpawnEntity,
)

from roborefer_sim.conversions import (
    bounds_to_msg,
    entity_state_to_msg,
    pose_from_msg,
    twist_from_msg,
)
from roborefer_sim.core.catalogue import SCHEME, free_name, make_from_uri, tags_of, valid_name
from roborefer_sim.core.cell import Placed
from roborefer_sim.core.library import standard_library
from roborefer_sim.core.loop import Loop
from roborefer_sim.core.simulation import Simulation
from roborefer_sim.exceptions import LibraryError, SceneError, SimulationError

ROBOT = "ur5"
FEATURES = (
    SimulatorFeatures.SPAWNING,
    SimulatorFeatures.DELETING,
    SimulatorFeatures.ENTITY_TAGS,
    SimulatorFeatures.ENTITY_BOUNDS,
    SimulatorFeatures.ENTITY_BOUNDS_BOX,
    SimulatorFeatures.ENTITY_CATEGORIES,
    SimulatorFeatures.ENTITY_STATE_GETTING,
    SimulatorFeatures.ENTITY_STATE_SETTING,
    SimulatorFeatures.ENTITY_INFO_GETTING,
    SimulatorFeatures.SPAWNABLES,
    SimulatorFeatures.SIMULATION_RESET,
    SimulatorFeatures.SIMULATION_RESET_TIME,
    SimulatorFeatures.SIMULATION_RESET_STATE,
    SimulatorFeatures.SIMULATION_RESET_SPAWNED,
    SimulatorFeatures.SIMULATION_STATE_GETTING,
    SimulatorFeatures.SIMULATION_STATE_SETTING,
    SimulatorFeatures.SIMULATION_STATE_PAUSE,
    SimulatorFeatures.STEP_SIMULATION_SINGLE,
    SimulatorFeatures.STEP_SIMULATION_MULTIPLE,
)


def refuse(response: Any, code: int, text: str) -> Any:
    """Fill in the result of a response that something is wrong with."""
    response.result = Result(result=code, error_message=text)
    return response


def succeed(response: Any) -> Any:
    """Fill in the result of a response that all is well with."""
    response.result = Result(result=Result.RESULT_OK)
    return response


class EntityServices:
    """Spawns and deletes things, and tells and sets their states.

    Entities are the things on the table and the robot, whose state is that of its base.
    """

    def __init__(
        self, node: Node, simulation: Simulation, loop: Loop, base_link: str, group: CallbackGroup
    ) -> None:
        self._simulation, self._loop = simulation, loop
        self._frames = {"", "world", base_link}
        services: dict[str, tuple[Any, Callable[[Any, Any], Any]]] = {
            "get_simulator_features": (GetSimulatorFeatures, self._features),
            "get_spawnables": (GetSpawnables, self._spawnables),
            "spawn_entity": (SpawnEntity, self._spawn),
            "delete_entity": (DeleteEntity, self._delete),
            "get_entities": (GetEntities, self._list),
            "get_entities_states": (GetEntitiesStates, self._states),
            "get_entity_state": (GetEntityState, self._state),
            "set_entity_state": (SetEntityState, self._set_state),
            "get_entity_info": (GetEntityInfo, self._info),
            "get_entity_bounds": (GetEntityBounds, self._bounds),
        }
        for name, (kind, answer) in services.items():
            node.create_service(kind, name, partial(self._answer, answer), callback_group=group)

    def _answer(self, answer: Callable[[Any, Any], Any], request: Any, response: Any) -> Any:
        """Answer in the physics thread, between two steps."""
        try:
            return self._loop.call(lambda: answer(request, response))
        except SceneError as error:
            return refuse(response, Result.RESULT_NOT_FOUND, str(error))
        except SimulationError as error:
            return refuse(response, Result.RESULT_OPERATION_FAILED, str(error))

    def _features(self, request: Any, response: Any) -> Any:
        response.features = SimulatorFeatures(
            features=list(FEATURES), custom_info=f"things by uri, such as {SCHEME}:mug?color=red"
        )
        return response

    def _spawnables(self, request: Any, response: Any) -> Any:
        library = standard_library()
        response.spawnables = [
            Spawnable(
                uri=f"{SCHEME}:{key}",
                description=f"{thing.noun}; colours {', '.join(thing.colors)}; scales"
                f" {', '.join(map(str, thing.scales))}",
                spawn_bounds=bounds_to_msg(*library.make(key).bounds),
            )
            for key, thing in library.things.items()
        ]
        return succeed(response)

    def _spawn(self, request: Any, response: Any) -> Any:
        kinds = SpawnEntity.Response
        if request.resource_string or not request.uri:
            text = f"things are spawned by uri, such as '{SCHEME}:mug?color=red&scale=0.9'"
            return refuse(response, kinds.NO_RESOURCE, text)
        try:
            make = make_from_uri(standard_library(), request.uri)
        except LibraryError as error:
            return refuse(response, kinds.RESOURCE_PARSE_ERROR, str(error))
        frame = request.initial_pose.header.frame_id
        if frame not in self._frames:
            text = f"the initial pose is in '{frame}'; only 'world' is known here"
            return refuse(response, kinds.INVALID_POSE, text)
        try:
            pose = pose_from_msg(request.initial_pose.pose)
        except SceneError as error:
            return refuse(response, kinds.INVALID_POSE, str(error))
        taken = {body.name for body in self._simulation.cell.spec.bodies} | {ROBOT}
        name = request.name or f"{make.color}_{make.thing.key}_1"
        if not valid_name(name):
            text = f"the name '{name}' must be letters, digits and underscores after a letter"
            return refuse(response, kinds.NAME_INVALID, text)
        if name in taken and not request.allow_renaming and request.name:
            text = f"there is a '{name}' already; choose another name, or allow renaming"
            return refuse(response, kinds.NAME_NOT_UNIQUE, text)
        response.entity_name = free_name(name, taken)
        x, y, z = pose[:3, 3].tolist()
        self._simulation.add(Placed(response.entity_name, make, (x, y, z)), pose)
        return succeed(response)

    def _delete(self, request: Any, response: Any) -> Any:
        if request.entity == ROBOT:
            text = "the robot cannot be deleted"
            return refuse(response, Result.RESULT_FEATURE_UNSUPPORTED, text)
        self._simulation.remove(request.entity)
        return succeed(response)

    def _list(self, request: Any, response: Any) -> Any:
        response.entities = self._matching(request.filters)
        return succeed(response)

    def _states(self, request: Any, response: Any) -> Any:
        response.entities = self._matching(request.filters)
        response.states = [self._state_of(name) for name in response.entities]
        return succeed(response)

    def _state(self, request: Any, response: Any) -> Any:
        response.state = self._state_of(request.entity)
        return succeed(response)

    def _set_state(self, request: Any, response: Any) -> Any:
        if request.entity == ROBOT:
            text = "the robot moves by its actions only"
            return refuse(response, Result.RESULT_FEATURE_UNSUPPORTED, text)
        self._simulation.thing(request.entity)
        frame = request.state.header.frame_id
        if frame not in self._frames:
            text = f"the state is in '{frame}'; only 'world' is known here"
            return refuse(response, Result.RESULT_OPERATION_FAILED, text)
        try:
            pose, twist = pose_from_msg(request.state.pose), twist_from_msg(request.state.twist)
            self._simulation.place(request.entity, pose, twist)
        except SceneError as error:
            return refuse(response, Result.RESULT_OPERATION_FAILED, str(error))
        return succeed(response)

    def _info(self, request: Any, response: Any) -> Any:
        response.info = self._info_of(request.entity)
        return succeed(response)

    def _bounds(self, request: Any, response: Any) -> Any:
        if request.entity == ROBOT:
            text = "the robot has no bounds"
            return refuse(response, Result.RESULT_FEATURE_UNSUPPORTED, text)
        make = self._simulation.thing(request.entity).make
        response.bounds = bounds_to_msg(*make.bounds)
        return succeed(response)

    def _state_of(self, name: str) -> EntityState:
        simulation = self._simulation
        if name == ROBOT:
            return entity_state_to_msg(np.eye(4), np.zeros(6), simulation.steps)
        pose = simulation.pose_of(name)
        return entity_state_to_msg(pose, simulation.twist_of(name), simulation.steps)

    def _info_of(self, name: str) -> EntityInfo:
        if name == ROBOT:
            category = EntityCategory(category=EntityCategory.CATEGORY_ROBOT)
            return EntityInfo(category=category, description="UR5 with a parallel-jaw gripper")
        make = self._simulation.thing(name).make
        category = EntityCategory(category=EntityCategory.CATEGORY_DYNAMIC_OBJECT)
        return EntityInfo(category=category, description=make.phrase, tags=list(tags_of(make)))

    def _matching(self, filters: EntityFilters) -> list[str]:
        """Names that pass all filters.

        Raises:
            SimulationError: A filter cannot be understood.
        """
        try:
            pattern = re.compile(filters.filter)
        except re.error as error:
            raise SimulationError(
                f"the filter '{filters.filter}' is no expression: {error}"
            ) from (error)
        bounds = filters.bounds
        if bounds.type not in (Bounds.TYPE_EMPTY, Bounds.TYPE_BOX):
            raise SimulationError("entities can be filtered by bounds of TYPE_BOX only")
        if bounds.type == Bounds.TYPE_BOX and len(bounds.points) != 2:
            raise SimulationError(f"a box has 2 points, this one has {len(bounds.points)}")
        categories = {category.category for category in filters.categories}
        names = [thing.name for thing in self._simulation.cell.placed] + [ROBOT]
        return [
            name
            for name in names
            if pattern.search(name) and self._passes(name, filters, categories)
        ]

    def _passes(self, name: str, filters: EntityFilters, categories: set[int]) -> bool:
        info, wanted = self._info_of(name), set(filters.tags.tags)
        if categories and info.category.category not in categories:
            return False
        common = wanted & set(info.tags)
        enough = wanted if filters.tags.filter_mode == TagsFilter.FILTER_MODE_ALL else common
        if wanted and (not common or common != enough):
            return False
        if filters.bounds.type == Bounds.TYPE_BOX:
            corners = [[p.x, p.y, p.z] for p in filters.bounds.points]
            at = self._state_of(name).pose.position
            low, high = np.min(corners, axis=0), np.max(corners, axis=0)
            return bool((low <= [at.x, at.y, at.z]).all() and (high >= [at.x, at.y, at.z]).all())
        return True
