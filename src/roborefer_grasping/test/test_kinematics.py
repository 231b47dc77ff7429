# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from math import pi

import numpy as np
import pytest
from roborefer_grasping.core.kinematics import forward, inverse, with_full_turns
from roborefer_grasping.core.robot import ROBOTS, Limits, robot_named
from roborefer_grasping.exceptions import RobotError


@pytest.fixture(params=sorted(ROBOTS))
def robot(request):
    return ROBOTS[request.param]


def test_zero_joints_give_the_sum_of_the_links():
    pose = forward(robot_named("ur5"), np.zeros(6))

    np.testing.assert_allclose(pose[:3, 3], [0.81725, 0.19145, -0.005491], atol=1e-9)


def test_every_branch_reaches_its_pose(robot):
    joints = np.random.default_rng(0).uniform(-pi, pi, (2000, 6))
    poses = forward(robot, joints)

    branches = inverse(robot, poses)

    exists = np.isfinite(branches).all(axis=-1)
    reached = forward(robot, branches[exists])
    wanted = np.repeat(poses, exists.sum(axis=1), axis=0)
    assert exists.any(axis=1).all()
    np.testing.assert_allclose(reached, wanted, atol=1e-9)


def test_the_configuration_that_made_the_pose_is_among_the_branches(robot):
    joints = np.random.default_rng(1).uniform(-pi, pi, (2000, 6))

    branches = inverse(robot, forward(robot, joints))

    off = np.abs(np.remainder(branches - joints[:, None] + pi, 2 * pi) - pi).max(axis=-1)
    assert np.nanmin(off, axis=1).max() < 1e-5


def test_branches_differ(robot):
    joints = np.array([[0.3, -1.2, 1.4, -1.0, -1.3, 0.5]])

    (branches,) = inverse(robot, forward(robot, joints))

    assert np.isfinite(branches).all()
    assert len(np.unique(branches.round(6), axis=0)) == 8


def test_poses_out_of_reach_have_no_branch(robot):
    far = np.eye(4)
    far[:3, 3] = [1.5, 0, 0.3]
    inside = np.eye(4)
    inside[:3, 3] = [0, 0, robot.d[0]]

    assert np.isnan(inverse(robot, np.stack([far, inside]))).all()


def test_a_singular_wrist_still_has_its_branches(robot):
    joints = np.array([[0.2, -1.0, 1.2, -0.4, 0.0, 0.7]])

    branches = inverse(robot, forward(robot, joints), free_joint_6=0.7)

    off = np.abs(branches[0] - joints).max(axis=-1)
    assert np.nanmin(off) < 1e-4


def test_full_turns_stay_within_limits_and_come_nearest_first(robot):
    here = np.array([3.0, -1.0, 1.0, 0.0, 0.0, -3.0])

    turned = with_full_turns(robot, np.array([[-3.0, -1.0, 1.0, 0.0, 0.0, 3.0]]), here)

    assert (turned >= robot.limits.lower).all()
    assert (turned <= robot.limits.upper).all()
    distances = np.abs(turned - here).max(axis=1)
    assert (np.diff(distances) >= 0).all()
    np.testing.assert_allclose(turned[0], [2 * pi - 3, -1, 1, 0, 0, 3 - 2 * pi])


def test_limits_can_only_be_lowered(robot):
    slow = robot.limits.scaled(0.5, 0.25)

    np.testing.assert_allclose(slow.velocity, robot.limits.velocity / 2)
    np.testing.assert_allclose(slow.acceleration, robot.limits.acceleration / 4)
    for factor in (0.0, 1.01, -1.0, float("nan")):
        with pytest.raises(RobotError, match="scaling is"):
            robot.limits.scaled(velocity=factor)


def test_impossible_descriptions_are_refused():
    six = np.ones(6)

    with pytest.raises(RobotError, match="no robot 'ur7'; known are ur5, ur5e"):
        robot_named("ur7")
    with pytest.raises(RobotError, match="lower"):
        Limits(six, six, six, six, six)
    with pytest.raises(RobotError, match="velocity is"):
        Limits(-six, six, six * 0, six, six)
    with pytest.raises(RobotError, match="jerk is"):
        Limits(-six, six, six, six, np.full(6, np.nan))
