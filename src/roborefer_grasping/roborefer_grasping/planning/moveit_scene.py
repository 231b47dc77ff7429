# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A World as MoveIt's planning scene, and nothing else.

The hand is sent along as objects attached to the flange, so that a bare arm description such as
that of ur_moveit_config is enough and both engines plan with the same gripper.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from moveit_msgs.msg import (
    AllowedCollisionEntry,
    AllowedCollisionMatrix,
    AttachedCollisionObject,
    CollisionObject,
    LinkPadding,
    PlanningScene,
)
from shape_msgs.msg import SolidPrimitive

from roborefer_grasping.conversions import pose_to_msg
from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.planning.arm_shapes import gripper_solids
from roborefer_grasping.core.robot import Array, Robot
from roborefer_grasping.core.world import Obstacle, Shape, World

HAND_PREFIX = "hand_"
HELD_PREFIX = "held_"
LINKS = (
    "shoulder_link",
    "upper_arm_link",
    "forearm_link",
    "wrist_1_link",
    "wrist_2_link",
    "wrist_3_link",
)
# What the hand is mounted on, or folds against, in any configuration.
_BESIDE_HAND = ("wrist_1_link", "wrist_2_link", "wrist_3_link", "flange", "tool0")
_ADD, _REMOVE = CollisionObject.ADD, CollisionObject.REMOVE
Allowed = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Names:
    """Frames and links with their prefix."""

    prefix: str = ""

    @property
    def base(self) -> str:
        """Frame of all obstacles."""
        return f"{self.prefix}base_link"

    @property
    def flange(self) -> str:
        """Link that carries the hand."""
        return f"{self.prefix}tool0"

    def with_prefix(self, names: Iterable[str]) -> list[str]:
        """Put the prefix before each name."""
        return [f"{self.prefix}{name}" for name in names]


def scene_of(
    world: World, robot: Robot, gripper: Gripper, names: Names, matrix: AllowedCollisionMatrix
) -> PlanningScene:
    """The difference that makes MoveIt's scene show this world.

    Args:
        world: What to show.
        robot: The arm, for the length from its flange.
        gripper: The hand.
        names: Frames.
        matrix: MoveIt's own allowed collisions, which stay.
    """
    scene = PlanningScene(is_diff=True)
    scene.robot_state.is_diff = True
    together: dict[str, list[Obstacle]] = {}
    for obstacle in world.obstacles:
        together.setdefault(obstacle.name, []).append(obstacle)
    scene.world.collision_objects = [
        _object(name, names.base, parts) for name, parts in together.items()
    ]
    hand = _hand(robot, gripper, world.jaw)
    beside = names.with_prefix(_BESIDE_HAND)
    attached = [(name, [part]) for name, part in hand.items()]
    if world.held:
        parts = [_moved(part, gripper.t_tool_tcp @ part.pose) for part in world.held.parts]
        attached.append((HELD_PREFIX + world.held.name, parts))
    scene.robot_state.attached_collision_objects = [
        AttachedCollisionObject(
            link_name=names.flange,
            object=_object(name, names.flange, parts),
            touch_links=beside,
        )
        for name, parts in attached
    ]
    scene.link_padding = [
        LinkPadding(link_name=link, padding=world.padding) for link in names.with_prefix(LINKS)
    ]
    allowed = allowed_pairs(world, list(hand), [name for name, _ in attached])
    scene.allowed_collision_matrix = widened(matrix, allowed)
    return scene


def removal_of(
    world_ids: Iterable[str], attached_ids: Iterable[str], names: Names
) -> PlanningScene:
    """The difference that takes things away again.

    MoveIt puts what is detached back into the world, so that is taken from there, too.
    """
    scene = PlanningScene(is_diff=True)
    scene.robot_state.is_diff = True
    attached_ids = list(attached_ids)
    scene.robot_state.attached_collision_objects = [
        AttachedCollisionObject(
            link_name=names.flange, object=CollisionObject(id=name, operation=_REMOVE)
        )
        for name in attached_ids
    ]
    scene.world.collision_objects = [
        CollisionObject(id=name, operation=_REMOVE) for name in [*attached_ids, *world_ids]
    ]
    for each in scene.world.collision_objects:
        each.header.frame_id = names.base
    return scene


def allowed_pairs(world: World, hand: Sequence[str], attached: Sequence[str]) -> Allowed:
    """Which attached things may touch what: each other, and what fingers and held thing may."""
    pairs = {(a, b) for a in attached for b in attached if a < b}
    touching = [name for name in attached if name not in hand or "finger" in name]
    pairs |= {(name, touchable) for name in touching for touchable in world.touchable}
    return frozenset(pairs)


def widened(matrix: AllowedCollisionMatrix, allowed: Allowed) -> AllowedCollisionMatrix:
    """Allow more pairs; MoveIt takes a matrix as a whole, so the old entries are repeated."""
    names = list(matrix.entry_names)
    names += sorted({name for pair in allowed for name in pair} - set(names))
    index = {name: i for i, name in enumerate(names)}
    table = np.zeros((len(names), len(names)), bool)
    for row, entry in enumerate(matrix.entry_values):
        table[row, : len(entry.enabled)] = entry.enabled
    for first, second in allowed:
        table[index[first], index[second]] = table[index[second], index[first]] = True
    return AllowedCollisionMatrix(
        entry_names=names,
        entry_values=[AllowedCollisionEntry(enabled=row.tolist()) for row in table],
        default_entry_names=matrix.default_entry_names,
        default_entry_values=matrix.default_entry_values,
    )


def _hand(robot: Robot, gripper: Gripper, jaw: float) -> dict[str, Obstacle]:
    """Palm and fingers in the frame of the flange, with the jaw this far open."""
    parts = {}
    for solid in gripper_solids(robot, gripper):
        pose = solid.pose.copy()
        pose[:3, 3] += (0.0, solid.finger * jaw / 2, -float(robot.d[5]))
        name = HAND_PREFIX + solid.name
        parts[name] = Obstacle(name, Shape.BOX, 2 * solid.half, pose)
    return parts


def _moved(part: Obstacle, pose: Array) -> Obstacle:
    return Obstacle(part.name, part.shape, part.size, pose)


def _object(name: str, frame: str, parts: Sequence[Obstacle]) -> CollisionObject:
    message = CollisionObject(id=name, operation=_ADD)
    message.header.frame_id = frame
    message.pose.orientation.w = 1.0
    message.primitives = [_primitive(part) for part in parts]
    message.primitive_poses = [pose_to_msg(part.pose) for part in parts]
    return message


def _primitive(part: Obstacle) -> SolidPrimitive:
    x, y, z = (float(value) for value in part.size)
    if part.shape == Shape.BOX:
        return SolidPrimitive(type=SolidPrimitive.BOX, dimensions=[x, y, z])
    if part.shape == Shape.CYLINDER:
        return SolidPrimitive(type=SolidPrimitive.CYLINDER, dimensions=[z, x / 2])
    return SolidPrimitive(type=SolidPrimitive.SPHERE, dimensions=[x / 2])
