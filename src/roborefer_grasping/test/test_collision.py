# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import struct
from math import pi

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.kinematics import forward, inverse
from roborefer_grasping.core.planning.arm_shapes import arm_solids
from roborefer_grasping.core.planning.collision import LEAST_SHARE, CollisionChecker
from roborefer_grasping.core.robot import ROBOTS, robot_named
from roborefer_grasping.core.world import Held, Obstacle, Shape, World

ROBOT, GRIPPER = robot_named("ur5"), Gripper()
READY = np.array([0.3, -1.5, 1.6, -1.67, -pi / 2, 0.3])


def at(x, y, z):
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose


def box(name, size, *place):
    return Obstacle(name, Shape.BOX, np.array(size, float), at(*place))


def checker(*obstacles, robot=ROBOT, **changes):
    return CollisionChecker(robot, GRIPPER, World(obstacles, **changes))


def tcp(joints):
    return forward(ROBOT, joints) @ GRIPPER.t_tool_tcp


def down_at(x, y, z):
    """A configuration with the TCP there, pointing down."""
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[:3, 3] = x, y, z
    (branches,) = inverse(ROBOT, pose[None] @ np.linalg.inv(GRIPPER.t_tool_tcp))
    free = [b for b in branches if np.isfinite(b).all() and checker().is_free(b)]
    return free[0]


def vertices(path):
    data = path.read_bytes()
    (count,) = struct.unpack_from("<I", data, 80)
    triangles = np.frombuffer(data, np.dtype([("f", "<f4", 12), ("a", "<u2")]), count, 84)
    return triangles["f"].reshape(-1, 4, 3)[:, 1:].reshape(-1, 3).astype(float)


@pytest.mark.parametrize("robot", ROBOTS.values(), ids=ROBOTS)
def test_an_arm_that_stands_alone_is_free(robot):
    assert checker(robot=robot).is_free(READY)


def test_solids_enclose_the_meshes_of_the_ur5():
    mujoco = pytest.importorskip("mujoco")
    assets = pytest.importorskip("roborefer_sim.core.assets")
    model = mujoco.MjModel.from_xml_path(str(assets.ur5_urdf()))
    data = mujoco.MjData(model)
    joints = np.random.default_rng(3).uniform(-pi, pi, 6)
    data.qpos[:6] = joints
    mujoco.mj_kinematics(model, data)
    ours = CollisionChecker(ROBOT, GRIPPER, World())
    ours.is_free(joints)
    links = {
        "shoulder_link": ("shoulder", 1),
        "upper_arm_link": ("upperarm", 2),
        "forearm_link": ("forearm", 3),
        "wrist_1_link": ("wrist1", 4),
        "wrist_2_link": ("wrist2", 5),
        "wrist_3_link": ("wrist3", 6),
    }

    for name, (mesh, link) in links.items():
        body = data.body(name)
        points = vertices(assets.cache_directory() / f"{mesh}.stl")
        points = points @ body.xmat.reshape(3, 3).T + body.xpos
        mine = ours._data.body(f"link_{link}")
        local = (points - mine.xpos) @ mine.xmat.reshape(3, 3)
        outside = np.min(
            [depth_outside(s, local) for s in arm_solids(ROBOT) if s.link == link], axis=0
        )
        assert outside.max() < 0.004, f"{name} sticks out {outside.max() * 1000:.1f} mm"


def depth_outside(solid, points):
    """How far points lie outside a solid, metres; at most 0 inside."""
    local = (points - solid.pose[:3, 3]) @ solid.pose[:3, :3]
    if solid.is_box:
        return (np.abs(local) - solid.half).max(axis=1)
    across = np.hypot(local[:, 0], local[:, 1]) - solid.half[0]
    return np.maximum(across, np.abs(local[:, 2]) - solid.half[2])


def test_an_arm_folded_into_itself_is_not_free():
    folded = np.array([0.0, -pi / 2, 3.0, 0.0, 0.0, 0.0])

    touch = checker().first_touch(folded)

    assert touch is not None
    assert touch.distance < 0.002


@pytest.mark.parametrize("gap", [0.004, 0.006])
def test_padding_is_kept_to_a_fraction_of_a_millimetre(gap):
    q = down_at(0.5, 0.1, 0.2)
    tips = tcp(q)[2, 3] - GRIPPER.finger_reach

    floor = box("floor", (0.3, 0.3, 0.02), 0.5, 0.1, tips - gap - 0.01)

    assert checker(floor, padding=0.005).is_free(q) == (gap > 0.005)


def test_a_share_of_the_padding_is_enough_where_it_is_asked_for():
    q = down_at(0.5, 0.1, 0.2)
    tips = tcp(q)[2, 3] - GRIPPER.finger_reach
    near = checker(box("floor", (0.3, 0.3, 0.02), 0.5, 0.1, tips - 0.004 - 0.01), padding=0.005)

    assert not near.is_free(q)
    assert near.is_free(q, 0.7)
    assert not near.is_free(q, 0.9)
    assert near.share_from(q) == 0.7


def test_a_touch_names_both_and_tells_the_distance():
    q = down_at(0.5, 0.1, 0.2)
    floor = box("floor", (0.3, 0.3, 0.02), 0.5, 0.1, 0.2 - GRIPPER.finger_reach - 0.003 - 0.01)

    touch = checker(floor).first_touch(q)

    assert touch.second == "floor" or touch.first == "floor"
    assert "finger" in touch.first + touch.second
    assert touch.distance == pytest.approx(0.003, abs=2e-4)


def test_only_fingers_may_touch_the_touchable():
    q = down_at(0.5, 0.1, 0.2)
    between = box("thing", (0.02, 0.095, 0.03), 0.5, 0.1, 0.2)
    under_palm = box("thing", (0.02, 0.02, 0.15), 0.5, 0.1, 0.2)

    assert not checker(between).is_free(q)
    assert checker(between, touchable=frozenset({"thing"})).is_free(q)
    assert not checker(under_palm, touchable=frozenset({"thing"})).is_free(q)


def test_what_is_held_collides_with_obstacles_but_not_with_the_hand():
    q = down_at(0.5, 0.1, 0.2)
    held = Held("rod", (box("rod", (0.02, 0.02, 0.2), 0, 0, 0.05),))
    floor = box("floor", (0.3, 0.3, 0.02), 0.5, 0.1, 0.06)

    assert checker(floor, jaw=0.02).is_free(q)
    assert checker(held=held, jaw=0.02).is_free(q)
    assert not checker(floor, held=held, jaw=0.02).is_free(q)
    landing = checker(floor, held=held, jaw=0.02, touchable=frozenset({"floor"}))
    assert landing.is_free(q)


def test_what_is_held_collides_with_the_arm():
    held = Held("rod", (box("rod", (0.6, 0.02, 0.02), 0, 0, 0),))
    configurations = np.random.default_rng(0).uniform(-pi, pi, (300, 6))
    alone = [q for q in configurations if checker().is_free(q)]
    carrying = checker(held=held)

    touches = [t for t in map(carrying.first_touch, alone) if t]

    assert touches
    assert all("rod" in (t.first, t.second) for t in touches)


def test_a_wider_jaw_needs_more_room():
    q = down_at(0.5, 0.1, 0.2)
    side = box("side", (0.1, 0.01, 0.1), 0.5, 0.1 + 0.05, 0.2)

    assert checker(side, jaw=0.03).is_free(q)
    assert not checker(side, jaw=0.085).is_free(q)


def test_the_base_may_stand_on_a_table():
    assert checker(box("table", (2, 2, 0.1), 0.4, 0, -0.05)).is_free(READY)


def test_an_edge_through_a_wall_is_blocked_though_both_ends_are_free():
    wall = checker(box("wall", (0.4, 0.02, 1.0), 0.55, 0, 0.5))
    left = READY + np.array([0.7, 0, 0, 0, 0, 0])
    right = READY - np.array([1.3, 0, 0, 0, 0, 0])

    assert wall.is_free(left)
    assert wall.is_free(right)
    assert not wall.edge_is_free(left, right, 0.04)
    path = np.linspace(left, right, 60)
    assert 0 < wall.first_blocked(path) < 59


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_less_padding_never_blocks_more(seed):
    rng = np.random.default_rng(seed)
    q = rng.uniform(-pi, pi, 6)
    things = [
        box(f"b{i}", rng.uniform(0.05, 0.2, 3), *rng.uniform([-0.6, -0.6, 0], [0.8, 0.6, 0.6]))
        for i in range(4)
    ]
    cell = checker(*things, padding=0.02)

    if cell.is_free(q):
        assert cell.is_free(q, LEAST_SHARE)
        assert checker(*things, padding=0.001).is_free(q)


def test_no_contact_that_coal_finds_is_missed():
    pytest.importorskip("coal")
    pytest.importorskip("roborefer_sim")
    from independent import CoalCell

    rng = np.random.default_rng(0)
    shapes = list(Shape)
    obstacles = [box("table", (2, 2, 0.1), 0.5, 0, -0.05)]
    for i in range(8):
        size = np.full(3, rng.uniform(0.05, 0.2))
        place = rng.uniform([0.25, -0.6, 0.0], [0.8, 0.6, 0.4])
        obstacles.append(Obstacle(f"thing_{i}", shapes[i % 3], size, at(*place)))
    part = box("held", (0.04, 0.04, 0.1), 0, 0, 0.02)
    world = World(tuple(obstacles), held=Held("held", (part,)), jaw=0.04)
    theirs, ours = CoalCell(GRIPPER, world), CollisionChecker(ROBOT, GRIPPER, world)
    near = READY + rng.normal(0, 0.7, (600, 6))
    configurations = np.concatenate([near, rng.uniform(-pi, pi, (600, 6))])

    free = np.array([ours.is_free(q) for q in configurations])
    contact = np.array([theirs.contact(q) is not None for q in configurations])

    assert not (free & contact).any()
    # Padding and cylinders cost some room, but not much.
    assert (~free & ~contact).mean() < 0.08
    assert free.mean() > 0.1


def test_distances_of_hand_and_boxes_are_those_of_coal():
    coal = pytest.importorskip("coal")
    pytest.importorskip("roborefer_sim")
    from independent import HAND, CoalCell

    rng = np.random.default_rng(1)
    q = down_at(0.5, 0.1, 0.3)
    tips = tcp(q)[:3, 3] - [0, 0, GRIPPER.finger_reach]
    decided = 0
    for _ in range(300):
        turned, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        pose = at(*(tips + rng.uniform([-0.08, -0.08, -0.06], [0.08, 0.08, 0.0])))
        pose[:3, :3] = turned * np.sign(np.linalg.det(turned))
        thing = Obstacle("thing", Shape.BOX, rng.uniform(0.01, 0.06, 3), pose)
        cell = CoalCell(GRIPPER, World((thing,)))
        cell.place(q)
        parts = [body for name, _, body, _ in cell.parts if name in HAND]
        (_, box_body) = cell.obstacles[0]
        distance = min(
            coal.distance(part, box_body, coal.DistanceRequest(), coal.DistanceResult())
            for part in parts
        )
        if distance > 0 and abs(distance - 0.01) > 2e-4:
            decided += 1
            assert checker(thing, padding=0.01).is_free(q) == (distance > 0.01), distance

    assert decided > 100
