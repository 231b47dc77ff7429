# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Sets the table of the demo and tells the truth about it, by services of the simulator."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from math import acos
from typing import Any

from rclpy.node import Node
from simulation_interfaces.msg import EntityState, Result
from simulation_interfaces.srv import DeleteEntity, GetEntities, GetEntitiesStates, SpawnEntity

from roborefer_bringup.demo.story import Pose, Table, Thing

ROBOT = "ur5"


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do."""


def call(node: Node, kind: Any, name: str, request: Any, timeout_s: float = 60.0) -> Any:
    """Call a service of a node that spins in another thread.

    Raises:
        DemoError: It is not there, or does not answer in time.
    """
    client = node.create_client(kind, name)
    try:
        if not client.wait_for_service(timeout_s):
            raise DemoError(f"the service '{name}' did not come up within {timeout_s:g} s")
        done = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: done.set())
        if not done.wait(timeout_s):
            raise DemoError(f"the service '{name}' did not answer within {timeout_s:g} s")
        return future.result()
    finally:
        node.destroy_client(client)


def set_table(node: Node, things: Sequence[Thing]) -> None:
    """Take everything off the table, then put these things on it.

    Raises:
        DemoError: The simulator refuses.
    """
    for name in call(node, GetEntities, "get_entities", GetEntities.Request()).entities:
        if name != ROBOT:
            _check(call(node, DeleteEntity, "delete_entity", DeleteEntity.Request(entity=name)))
    for thing in things:
        request = SpawnEntity.Request(name=_entity(thing.name), uri=thing.uri)
        pose = request.initial_pose.pose
        pose.position.x, pose.position.y = thing.x, thing.y
        q = pose.orientation
        q.x, q.y, q.z, q.w = thing.quaternion
        _check(call(node, SpawnEntity, "spawn_entity", request))


def table(node: Node, things: Sequence[Thing]) -> Table:
    """Return where the things are, by name.

    Raises:
        DemoError: The simulator refuses, or one of them is gone.
    """
    answer = call(node, GetEntitiesStates, "get_entities_states", GetEntitiesStates.Request())
    _check(answer)
    states = dict(zip(answer.entities, answer.states, strict=True))
    missing = [thing.name for thing in things if _entity(thing.name) not in states]
    if missing:
        raise DemoError(f"the simulator does not know {', '.join(missing)} any more")
    return {thing.name: _pose(states[_entity(thing.name)]) for thing in things}


def _entity(name: str) -> str:
    return name.replace(" ", "_")


def _pose(state: EntityState) -> Pose:
    at, q = state.pose.position, state.pose.orientation
    up = 1.0 - 2.0 * (q.x * q.x + q.y * q.y)
    return Pose(at.x, at.y, at.z, acos(max(-1.0, min(1.0, up))))


def _check(answer: Any) -> None:
    if answer.result.result != Result.RESULT_OK:
        raise DemoError(f"the simulator refused: {answer.result.error_message}")
