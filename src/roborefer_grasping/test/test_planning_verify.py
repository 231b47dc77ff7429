# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Each rule of the verifier is broken once, alone, and found alone."""

from dataclasses import replace
from math import pi

import numpy as np
import pytest
from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.kinematics import forward
from roborefer_grasping.core.planning.collision import CollisionChecker
from roborefer_grasping.core.planning.interface import Status, Trajectory
from roborefer_grasping.core.planning.timing import rest_to_rest
from roborefer_grasping.core.planning.verify import Rule, check, start_refused
from roborefer_grasping.core.robot import robot_named
from roborefer_grasping.core.world import Obstacle, Shape, World

ROBOT, GRIPPER = robot_named("ur5"), Gripper()
LIMITS = ROBOT.limits
START = np.array([0.8, -1.5, 1.6, -1.67, -pi / 2, 0.3])
END = START - np.array([1.6, 0, 0, 0, 0, 0])
ROOM = (np.array([-1.0, -1.0, 0.0]), np.array([1.0, 1.0, 1.0]))


@pytest.fixture
def motion():
    return rest_to_rest(START, END, LIMITS)


def broken_by(trajectory, *obstacles, start=START, room=ROOM, limits=LIMITS):
    world = World(obstacles, workspace=room)
    return check(trajectory, CollisionChecker(ROBOT, GRIPPER, world), limits, start)


def wall(width=0.02):
    pose = np.eye(4)
    pose[:3, 3] = (0.55, 0.0, 0.5)
    return Obstacle("wall", Shape.BOX, np.array([0.4, width, 1.0]), pose)


def only(found, rule):
    assert [v.rule for v in found] == [rule]
    return found[0]


def test_a_good_motion_breaks_nothing(motion):
    assert broken_by(motion) == []


def test_a_start_elsewhere_is_found(motion):
    found = only(broken_by(motion, start=START + 0.04), Rule.START)

    assert "0.040 rad" in found.message


def test_a_motion_that_does_not_end_at_rest_is_found(motion):
    velocities = motion.velocities.copy()
    velocities[-1, 0] = 0.01

    only(broken_by(replace(motion, velocities=velocities)), Rule.REST)


def test_a_joint_beyond_its_limit_is_found(motion):
    lower = LIMITS.lower.copy()
    lower[0] = -0.5

    found = only(broken_by(motion, limits=replace(LIMITS, lower=lower)), Rule.POSITION)

    assert "joint 1" in found.message
    assert found.time_s == pytest.approx(motion.duration)


def test_a_limit_passed_between_two_points_is_found(motion):
    upper = LIMITS.upper.copy()
    upper[0] = START[0] + 0.005
    velocities = np.zeros((3, 6))
    velocities[1, 0] = 0.3
    swing = Trajectory(
        np.array([0.0, 0.5, 1.0]), np.tile(START, (3, 1)), velocities, np.zeros((3, 6))
    )

    found = broken_by(swing, limits=replace(LIMITS, upper=upper))

    assert Rule.POSITION in [v.rule for v in found]


def test_a_motion_that_is_too_fast_is_found(motion):
    slower = replace(LIMITS, velocity=LIMITS.velocity * 0.3)

    found = only(broken_by(motion, limits=slower), Rule.VELOCITY)

    assert "joint 1" in found.message


def test_a_motion_that_pulls_too_hard_is_found(motion):
    softer = replace(LIMITS, acceleration=LIMITS.acceleration * 0.5)

    only(broken_by(motion, limits=softer), Rule.ACCELERATION)


def test_speed_between_points_counts():
    positions = np.stack([START, START + 0.4, START + 0.8])
    rests = Trajectory(np.array([0.0, 0.15, 0.3]), positions, np.zeros((3, 6)), np.zeros((3, 6)))

    rules = {v.rule for v in broken_by(rests)}

    assert {Rule.VELOCITY, Rule.ACCELERATION} <= rules


def test_a_wall_in_the_way_is_found_and_named(motion):
    found = only(broken_by(motion, wall()), Rule.COLLISION)

    assert "wall" in found.message
    assert 0 < found.time_s < motion.duration


def test_a_wall_thinner_than_the_way_between_two_points_is_found():
    velocities = np.zeros((2, 6))
    coarse = Trajectory(np.array([0.0, 4.0]), np.stack([START, END]), velocities, np.zeros((2, 6)))

    only(broken_by(coarse, wall(0.002)), Rule.COLLISION)


def test_a_tool_that_leaves_the_workspace_is_found(motion):
    tcp = (forward(ROBOT, START) @ GRIPPER.t_tool_tcp)[:3, 3]
    narrow = (ROOM[0], np.array([tcp[0] + 0.05, 1.0, 1.0]))

    found = only(broken_by(motion, room=narrow), Rule.WORKSPACE)

    assert "leaves the workspace" in found.message


def test_a_start_outside_the_workspace_may_lead_inside(motion):
    tcp = forward(ROBOT, START) @ GRIPPER.t_tool_tcp
    beyond_start = (ROOM[0], np.array([1.0, tcp[1, 3] - 0.01, 1.0]))

    assert broken_by(motion, room=beyond_start) == []


def test_a_motion_that_never_gets_inside_is_found(motion):
    elsewhere = (np.array([-1.0, -1.0, 0.9]), np.array([1.0, 1.0, 1.0]))

    only(broken_by(motion, room=elsewhere), Rule.WORKSPACE)


def test_several_faults_are_all_told(motion):
    velocities = motion.velocities.copy()
    velocities[0, 0] = 0.01

    rules = [
        v.rule for v in broken_by(replace(motion, velocities=velocities), wall(), start=START + 1)
    ]

    assert {Rule.START, Rule.REST, Rule.COLLISION} == set(rules)


def test_a_start_within_a_thing_is_refused_and_one_beside_it_is_not():
    tips = forward(ROBOT, START)[2, 3] - GRIPPER.tcp_offset - GRIPPER.finger_reach
    pose = np.eye(4)

    def floor(gap):
        pose[:3, 3] = (*forward(ROBOT, START)[:2, 3], tips - gap - 0.01)
        thing = Obstacle("floor", Shape.BOX, np.array([0.2, 0.2, 0.02]), pose.copy())
        return CollisionChecker(ROBOT, GRIPPER, World((thing,), padding=0.005))

    assert start_refused(floor(0.001), LIMITS, START)[0] is Status.START_IN_COLLISION
    assert start_refused(floor(0.003), LIMITS, START) is None
    assert start_refused(floor(0.01), LIMITS, START) is None
    status, message = start_refused(floor(0.01), LIMITS, START + 6.5)
    assert status is Status.START_OUTSIDE_LIMITS
    assert "joint 3 stands at 8.100" in message
