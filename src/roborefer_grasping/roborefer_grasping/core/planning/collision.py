# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Tells whether a configuration of the arm touches anything, by MuJoCo's collision detection.

A model that is for planning only: no dynamics, every solid padded, compiled anew for each world.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import mujoco
import numpy as np

from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.planning.arm_shapes import LinkSolid, arm_solids, gripper_solids
from roborefer_grasping.core.robot import Array, Robot
from roborefer_grasping.core.world import Obstacle, Shape, World

# Who collides with whom: a pair is checked when one's type meets the other's affinity. Fingers
# and the held thing have a bit of their own, because they may touch what the arm may not.
_ARM, _HAND, _STATIC, _TOUCHABLE = 1, 2, 4, 8
# Links whose solids overlap by construction wherever the joints stand.
_NEIGHBOURS = ((0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (3, 5), (4, 5), (4, 6), (5, 6))
# Every part that moves has this much of padding, metres; MuJoCo adds up that of both sides. So the
# arm keeps twice as much from itself, which is little: its shape is known better than the world's.
_OWN_PADDING = 0.001
# Distances are needed to a tenth of a millimetre, not to MuJoCo's 1e-6 m; this halves the time of
# a check. With 10 steps verdicts still are the same, with 6 some are not.
_DISTANCE_TOLERANCE = 1e-4
_DISTANCE_STEPS = 20
# Share of the padding below which a configuration counts as touching: where a motion may begin
# and what a verified motion may come to.
LEAST_SHARE = 0.5
# Share of the padding that a motion keeps between the places at which it was searched.
CURVE_SHARE = 0.7
_GEOMS = {
    Shape.BOX: mujoco.mjtGeom.mjGEOM_BOX,
    Shape.CYLINDER: mujoco.mjtGeom.mjGEOM_CYLINDER,
    Shape.SPHERE: mujoco.mjtGeom.mjGEOM_SPHERE,
}


@dataclass(frozen=True)
class Touch:
    """Two solids that come closer than allowed.

    Attributes:
        first: Name of a part of the arm, the gripper or the held thing.
        second: Name of what it touches.
        distance: Between them, metres; negative when they overlap.
    """

    first: str
    second: str
    distance: float


class CollisionChecker:
    """Checks configurations of one arm in one world; not for several threads at once."""

    def __init__(self, robot: Robot, gripper: Gripper, world: World) -> None:
        self.robot, self.gripper, self.world = robot, gripper, world
        self._names: dict[int, str] = {}
        self._model = _compile(robot, gripper, world)
        self._data = mujoco.MjData(self._model)
        self._names = {
            i: self._model.geom(i).name.rpartition("#")[0] for i in range(self._model.ngeom)
        }

    def is_free(self, joints: Array, share: float = 1.0) -> bool:
        """Tell whether a configuration keeps this share of the padding from everything.

        A path is searched with the whole padding and verified, at finer steps, with less of it;
        else what is found between two steps would be refused for a hair's breadth.
        """
        self._update(joints)
        if not self._data.ncon:
            return True
        contact = self._data.contact
        return share < 1 and bool((contact.dist >= share * contact.includemargin).all())

    def share_from(self, start: Array) -> float:
        """Share of the padding that a motion from here can keep: less when it starts too close."""
        return CURVE_SHARE if self.is_free(start, CURVE_SHARE) else LEAST_SHARE

    def first_touch(self, joints: Array) -> Touch | None:
        """Return the closest pair of a configuration that is not free, or None."""
        self._update(joints)
        if not self._data.ncon:
            return None
        worst = int(self._data.contact.dist.argmin())
        first, second = (self._names[int(g)] for g in self._data.contact.geom[worst])
        return Touch(first, second, float(self._data.contact.dist[worst]))

    def first_blocked(self, path: Array, share: float = 1.0) -> int:
        """Index of the first configuration of a path, shape (N, 6), that is not free, or -1."""
        for index, joints in enumerate(path):
            if not self.is_free(joints, share):
                return index
        return -1

    def edge_is_free(self, start: Array, end: Array, step: float, share: float = 1.0) -> bool:
        """Check the straight line between two configurations, ends excluded, middle first.

        Args:
            start: Radians, shape (6,).
            end: Radians, shape (6,).
            step: Largest change of a joint between two checks, radians.
            share: Of the padding that is kept.
        """
        count = int(np.ceil(np.abs(end - start).max() / step))
        if count < 2:
            return True
        parts = _bisection_order(count)
        return all(self.is_free(start + part * (end - start), share) for part in parts)

    def _update(self, joints: Array) -> None:
        self._data.qpos[:] = joints
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_collision(self._model, self._data)


_ORDERS: dict[int, list[float]] = {}


def _bisection_order(count: int) -> list[float]:
    """Shares 1/count to (count - 1)/count, the middle first: a blocked edge shows soon."""
    if count not in _ORDERS:
        order: list[int] = []
        pending = [(0, count)]
        while pending:
            low, high = pending.pop(0)
            middle = (low + high) // 2
            if middle > low:
                order.append(middle)
                pending += [(low, middle), (middle, high)]
        _ORDERS[count] = [index / count for index in order]
    return _ORDERS[count]


def _compile(robot: Robot, gripper: Gripper, world: World) -> mujoco.MjModel:
    spec = mujoco.MjSpec()
    spec.compiler.autolimits = False
    spec.option.ccd_tolerance = _DISTANCE_TOLERANCE
    spec.option.ccd_iterations = _DISTANCE_STEPS
    # Contacts beyond this distance are none; padding comes in as a margin of each geom.
    links = _add_links(spec, robot)
    for number, solid in enumerate(arm_solids(robot)):
        _add_solid(links[solid.link], solid, f"{solid.name}#{number}", world.jaw, _ARM)
    for number, solid in enumerate(gripper_solids(robot, gripper)):
        kind = _HAND if solid.finger else _ARM
        name = f"{solid.name}#hand{number}"
        geom = _add_solid(links[6], solid, name, world.jaw, kind)
        _make_hull(spec, geom, solid.half)
    if world.held:
        flange = np.eye(4)
        flange[2, 3] = float(robot.d[5]) + gripper.tcp_offset
        for number, part in enumerate(world.held.parts):
            name = f"{part.name}#held{number}"
            geom = _add_obstacle(links[6], part, flange @ part.pose, name, _HAND)
            geom.margin = _OWN_PADDING
            if part.shape is Shape.BOX:
                _make_hull(spec, geom, part.size / 2)
    for number, obstacle in enumerate(world.obstacles):
        kind = _TOUCHABLE if obstacle.name in world.touchable else _STATIC
        name = f"{obstacle.name}#{number}"
        geom = _add_obstacle(spec.worldbody, obstacle, obstacle.pose, name, kind)
        geom.margin = max(0.0, world.padding - _OWN_PADDING)
    for first, second in _NEIGHBOURS:
        spec.add_exclude(bodyname1=f"link_{first}", bodyname2=f"link_{second}")
    return spec.compile()


def _add_links(spec: mujoco.MjSpec, robot: Robot) -> list[mujoco.MjsBody]:
    # The frame of the DH table is base_link, turned half around z.
    base = spec.worldbody.add_body(name="link_0", quat=(0, 0, 0, 1))
    links = [base]
    parent, pose = base, np.eye(4)
    for index in range(6):
        body = parent.add_body(name=f"link_{index + 1}", pos=pose[:3, 3], quat=_quat(pose))
        body.add_joint(type=mujoco.mjtJoint.mjJNT_HINGE, axis=(0, 0, 1))
        # Kinematics needs no inertia, the compiler wants one.
        body.mass, body.inertia, body.explicitinertial = 1.0, (1, 1, 1), True
        links.append(body)
        parent, pose = body, _link_step(robot, index)
    return links


def _link_step(robot: Robot, index: int) -> Array:
    """From the turned frame of joint index + 1 to the frame of the next joint."""
    c, s = np.cos(robot.alpha[index]), np.sin(robot.alpha[index])
    pose = np.eye(4)
    pose[1:3, 1:3] = [[c, -s], [s, c]]
    pose[:3, 3] = (robot.a[index], 0.0, robot.d[index])
    return pose


def _make_hull(spec: mujoco.MjSpec, geom: mujoco.MjsGeom, half: Array) -> None:
    """Turn a box into the hull of its corners.

    MuJoCo finds contacts of two boxes by a method of its own, which may tell of none where edges
    come closer than the margin without overlapping; hulls are compared by their true distance.
    """
    corners = half * np.array(list(product((-1.0, 1.0), repeat=3)))
    spec.add_mesh(name=geom.name, uservert=corners.reshape(-1))
    geom.type, geom.meshname = mujoco.mjtGeom.mjGEOM_MESH, geom.name


def _add_solid(
    body: mujoco.MjsBody, solid: LinkSolid, name: str, jaw: float, kind: int
) -> mujoco.MjsGeom:
    position = solid.pose[:3, 3] + [0.0, solid.finger * jaw / 2, 0.0]
    shape = mujoco.mjtGeom.mjGEOM_BOX if solid.is_box else mujoco.mjtGeom.mjGEOM_CYLINDER
    size = solid.half if solid.is_box else (solid.half[0], solid.half[2], 0.0)
    # The base stands on what it stands on.
    around = _STATIC | (0 if solid.finger else _TOUCHABLE) if solid.link else 0
    return body.add_geom(
        name=name, type=shape, size=size, pos=position, quat=_quat(solid.pose), contype=kind,
        conaffinity=_ARM | around, margin=_OWN_PADDING,
    )  # fmt: skip


def _add_obstacle(
    body: mujoco.MjsBody, obstacle: Obstacle, pose: Array, name: str, kind: int
) -> mujoco.MjsGeom:
    x, _, z = half = obstacle.size / 2
    size = {Shape.BOX: half, Shape.CYLINDER: (x, z, 0.0), Shape.SPHERE: (x, 0.0, 0.0)}
    meets = _ARM | _STATIC if kind == _HAND else 0
    return body.add_geom(
        name=name, type=_GEOMS[obstacle.shape], size=size[obstacle.shape], pos=pose[:3, 3],
        quat=_quat(pose), contype=kind, conaffinity=meets, margin=0.0,
    )  # fmt: skip


def _quat(pose: Array) -> Array:
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(pose[:3, :3]).reshape(-1))
    return quaternion
