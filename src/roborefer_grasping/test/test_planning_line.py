# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from math import pi

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.kinematics import forward
from roborefer_grasping.core.planning.line import (
    LARGEST_JUMP_RAD,
    STEP_M,
    follow_line,
    poses_between,
    ways_along,
)
from roborefer_grasping.core.robot import robot_named
from scipy.spatial.transform import Rotation

ROBOT, GRIPPER = robot_named("ur5"), Gripper()
READY = np.array([0.3, -1.5, 1.6, -1.67, -pi / 2, 0.3])


def tcp(joints):
    return forward(ROBOT, joints) @ GRIPPER.t_tool_tcp


def moved(pose, *by):
    goal = pose.copy()
    goal[:3, 3] += by
    return goal


def test_poses_between_are_close_straight_and_turn_evenly():
    first = tcp(READY)
    last = moved(first, 0.1, 0, -0.05)
    last[:3, :3] = first[:3, :3] @ Rotation.from_rotvec([0, 0, 0.6]).as_matrix()

    poses = poses_between(first, last)

    np.testing.assert_allclose(poses[[0, -1]], [first, last], atol=1e-9)
    steps = np.diff(poses[:, :3, 3], axis=0)
    assert np.linalg.norm(steps, axis=1).max() <= STEP_M + 1e-9
    np.testing.assert_allclose(steps, steps[:1].repeat(len(steps), 0), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1), st.floats(-0.1, 0.1))
def test_the_tool_follows_the_line(x, y, z):
    start = tcp(READY)
    goal = moved(start, x, y, z)

    path = follow_line(ROBOT, GRIPPER, READY, goal[None])

    poses = tcp(path)
    np.testing.assert_allclose(poses[-1], goal, atol=1e-6)
    np.testing.assert_array_equal(path[0], READY)
    assert np.abs(np.diff(path, axis=0)).max() <= LARGEST_JUMP_RAD
    away = poses[:, :3, 3] - start[:3, 3]
    along = goal[:3, 3] - start[:3, 3]
    assert np.linalg.norm(np.cross(away, along), axis=1).max() <= 1e-6
    np.testing.assert_allclose(
        poses[:, :3, :3], start[None, :3, :3].repeat(len(path), 0), atol=1e-6
    )


def test_a_line_may_have_corners():
    start = tcp(READY)
    goals = np.stack([moved(start, 0, 0, 0.08), moved(start, 0, 0.08, 0.08)])

    path = follow_line(ROBOT, GRIPPER, READY, goals)

    near_corner = np.linalg.norm(tcp(path)[:, :3, 3] - goals[0, :3, 3], axis=1).min()
    assert near_corner < 1e-6


def test_whole_turns_of_the_start_are_kept():
    turned = READY + np.array([0, 0, 0, 2 * pi, 0, -2 * pi])

    path = follow_line(ROBOT, GRIPPER, turned, moved(tcp(READY), 0, 0, 0.05)[None])

    assert np.abs(path - turned).max() < 0.5


def test_a_line_out_of_reach_is_refused():
    why = follow_line(ROBOT, GRIPPER, READY, moved(tcp(READY), 1.5, 0, 0)[None])

    assert "cannot reach" in why


def test_a_line_past_the_shoulder_is_refused_for_its_swing():
    across = moved(tcp(READY), 0, 0, 0)
    across[:2, 3] = -across[:2, 3]

    why = follow_line(ROBOT, GRIPPER, READY, across[None])

    assert isinstance(why, str)


def test_a_line_that_leaves_joint_limits_is_refused():
    near_limit = READY.copy()
    near_limit[5] = ROBOT.limits.upper[5] - 0.05
    start = tcp(near_limit)
    goal = start.copy()
    for sign in (1, -1):
        goal[:3, :3] = start[:3, :3] @ Rotation.from_rotvec([0, 0, sign * 0.3]).as_matrix()
        why = follow_line(ROBOT, GRIPPER, near_limit, goal[None])
        if isinstance(why, str):
            break

    assert why == "a joint would leave its limits on the straight line"


def test_every_branch_that_can_follow_does():
    start = tcp(READY)
    poses = poses_between(start, moved(start, 0, 0, 0.1))

    ways = ways_along(ROBOT, GRIPPER, poses)

    assert len(ways) >= 4
    assert any(np.abs(way[0] - READY).max() < 1e-6 for way in ways)
    for way in ways:
        np.testing.assert_allclose(tcp(way), poses, atol=1e-6)
        assert np.abs(np.diff(way, axis=0)).max() <= LARGEST_JUMP_RAD


def test_no_branch_follows_out_of_reach():
    start = tcp(READY)

    assert ways_along(ROBOT, GRIPPER, poses_between(start, moved(start, 1.5, 0, 0))) == []
