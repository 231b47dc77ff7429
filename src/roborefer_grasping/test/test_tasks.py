# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
from drawn import box, pixel_of, view_of
from roborefer_grasping.core.columns import columns_around
from roborefer_grasping.core.grasps import Grasp, propose_grasps
from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.kinematics import forward
from roborefer_grasping.core.occupancy import (
    SHADOW,
    SUPPORT,
    TARGET,
    OccupancySettings,
    obstacles_from_depth,
)
from roborefer_grasping.core.placing import footprint_of, propose_placements
from roborefer_grasping.core.planning import verify
from roborefer_grasping.core.planning.collision import CollisionChecker
from roborefer_grasping.core.planning.embedded import EmbeddedPlanner
from roborefer_grasping.core.robot import robot_named
from roborefer_grasping.core.segment import segment_at
from roborefer_grasping.core.tasks import (
    Failure,
    NoPlan,
    TaskPlan,
    TaskPlanner,
    TaskSettings,
    held_by,
    without,
)
from roborefer_grasping.core.world import Held, Obstacle, Shape, World

ROBOT, GRIPPER = robot_named("ur5"), Gripper()
HOME = np.array([0.0, -2.23, 1.585, -0.93, -1.5708, -1.5708])
LIMITS = ROBOT.limits.scaled(0.5, 0.5)
BLOCK, OTHER = box((0.05, 0.05, 0.06), 0.45, 0.1), box((0.06, 0.06, 0.10), 0.55, -0.1)


class Desk:
    """A block and another thing, seen and understood."""

    def __init__(self, things=(BLOCK, OTHER), at=(0.45, 0.1, 0.06), place=(0.40, -0.12)):
        self.view = view_of(things)
        self.mask = segment_at(self.view, *pixel_of(self.view, *at), 0.0)
        self.world = World(obstacles_from_depth(self.view, 0.0, OccupancySettings(), self.mask))
        self.grasps = propose_grasps(columns_around(self.view, self.mask, 0.0), GRIPPER)
        points = self.view.surface(self.mask)
        low, high = points.min(axis=0), points.max(axis=0)
        low[2] = 0.006
        pose = np.eye(4)
        pose[:3, 3] = (low + high) / 2
        self.held = Held("held", (Obstacle("held", Shape.BOX, high - low - 0.004, pose),))
        self.placements = propose_placements(
            self.view,
            np.array([*place, 0.0]),
            footprint_of(self.view, self.mask, 0.0),
            ignored=self.mask,
        )


@pytest.fixture(scope="module")
def desk():
    return Desk()


def planner(**settings):
    return TaskPlanner(
        ROBOT, GRIPPER, EmbeddedPlanner(ROBOT, GRIPPER), LIMITS, TaskSettings(**settings)
    )


def tcp(joints):
    return forward(ROBOT, joints) @ GRIPPER.t_tool_tcp


@pytest.fixture(scope="module")
def picked(desk):
    tasks = planner()
    suits = tasks.placeable(desk.placements, desk.world, desk.held)
    plan = tasks.plan_pick(HOME, desk.grasps, desk.world, desk.held, suits)
    assert isinstance(plan, TaskPlan), plan
    return plan


def motions(plan):
    return (plan.free, plan.approach, plan.depart)


def test_a_pick_is_three_motions_that_join_and_end_at_the_grasp(picked):
    for earlier, later in zip(motions(picked), motions(picked)[1:], strict=False):
        np.testing.assert_allclose(earlier.positions[-1], later.positions[0], atol=1e-6)
    np.testing.assert_allclose(picked.free.positions[0], HOME, atol=1e-9)
    reached = tcp(picked.approach.positions[-1])
    np.testing.assert_allclose(reached, picked.grasp.pose, atol=1e-4)
    lifted = tcp(picked.depart.positions[-1])[:3, 3] - reached[:3, 3]
    assert lifted[2] > 0.03
    assert np.abs(lifted[:2]).max() < 1e-3


def test_each_motion_is_free_in_its_world(picked):
    for motion, world in zip(motions(picked), picked.worlds, strict=True):
        checker = CollisionChecker(ROBOT, GRIPPER, world)
        assert verify.check(motion, checker, LIMITS, motion.positions[0]) == []


def test_target_and_shadow_are_in_the_way_until_the_end(picked):
    before, closing, carried = picked.worlds
    assert not before.touchable
    assert {TARGET, SHADOW, SUPPORT} <= closing.touchable
    assert TARGET not in {o.name for o in carried.obstacles}
    assert carried.held is not None
    assert carried.jaw == picked.grasp.width


def test_straight_ways_are_slow(picked):
    for motion in (picked.approach, picked.depart):
        share = np.abs(motion.velocities).max(axis=0) / LIMITS.velocity
        assert share.max() <= 0.3 + 1e-6


def test_what_was_picked_can_be_placed(desk, picked):
    world = replace(
        without(desk.world, TARGET, SHADOW),
        held=held_by(desk.held, picked.grasp),
        jaw=picked.grasp.width,
    )
    start = picked.depart.positions[-1]
    plan = planner().plan_place(start, picked.grasp, desk.placements, world)
    assert isinstance(plan, TaskPlan), plan
    np.testing.assert_allclose(
        tcp(plan.approach.positions[-1]), plan.placement.motion @ picked.grasp.pose, atol=1e-4
    )
    assert plan.worlds[1].held is not None
    assert plan.worlds[2].held is None
    assert world.jaw < plan.worlds[2].jaw <= GRIPPER.opening


def test_no_grasps_no_placements(desk, picked):
    answer = planner().plan_pick(HOME, [], desk.world)
    assert isinstance(answer, NoPlan)
    assert answer.failure is Failure.NO_GRASP
    answer = planner().plan_place(HOME, picked.grasp, [], World())
    assert isinstance(answer, NoPlan)
    assert answer.failure is Failure.NO_PLACE


def from_above(x, y, z):
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[:3, 3] = x, y, z
    return Grasp(pose, 0.04, 0.06, 1.0)


def test_out_of_reach_is_said(desk):
    answer = planner().plan_pick(HOME, [from_above(1.4, 0.0, 0.1)], World())
    assert isinstance(answer, NoPlan)
    assert answer.failure is Failure.UNREACHABLE


def test_a_grasp_that_cannot_place_is_no_grasp(desk):
    answer = planner().plan_pick(HOME, desk.grasps, desk.world, desk.held, lambda grasp: False)
    assert isinstance(answer, NoPlan)
    assert answer.failure is Failure.UNREACHABLE


def test_placeable_refuses_what_would_not_fit(desk):
    grasp = desk.grasps[0]
    free = planner().placeable(desk.placements, desk.world, desk.held)
    assert free(grasp)
    pose = np.eye(4)
    pose[:3, 3] = (0.40, -0.12, 0.1)
    pillar = Obstacle("pillar", Shape.BOX, np.array([0.15, 0.15, 0.2]), pose)
    blocked = replace(desk.world, obstacles=(*desk.world.obstacles, pillar))
    assert not planner().placeable(desk.placements, blocked, desk.held)(grasp)
    assert not planner().placeable([], desk.world, desk.held)(grasp)


def test_time_is_limited(desk):
    answer = planner(deadline_s=1e-9).plan_pick(HOME, desk.grasps, desk.world, desk.held)
    assert isinstance(answer, NoPlan)
    assert answer.failure is Failure.TIMEOUT


def test_a_start_beyond_the_limits_is_said(desk):
    start = HOME + np.array([0.0, 0.0, 4.0, 0.0, 0.0, 0.0])
    answer = planner().plan_pick(start, desk.grasps, World(), desk.held)
    assert isinstance(answer, NoPlan)
    assert answer.failure is Failure.START_OUTSIDE_LIMITS


def test_held_solids_move_with_the_grasp():
    assert held_by(None, from_above(0.4, 0.0, 0.1)) is None
    pose = np.eye(4)
    pose[:3, 3] = (0.4, 0.0, 0.05)
    held = Held("held", (Obstacle("held", Shape.SPHERE, np.full(3, 0.05), pose),))
    (part,) = held_by(held, from_above(0.4, 0.0, 0.1)).parts
    np.testing.assert_allclose(part.pose[:3, 3], [0.0, 0.0, 0.05], atol=1e-12)


def test_without_takes_names_away_everywhere(desk):
    world = desk.world.allowing(TARGET)
    left = without(world, TARGET, "no such thing")
    assert TARGET not in {o.name for o in left.obstacles}
    assert not left.touchable
