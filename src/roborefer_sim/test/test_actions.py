# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The action servers of the arm and the gripper, as their clients see them."""

import threading

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Duration, Time
from control_msgs.action import FollowJointTrajectory, GripperCommand, ParallelGripperCommand
from control_msgs.msg import JointTolerance
from rclpy.action import ActionClient
from rclpy.callback_groups import ReentrantCallbackGroup
from roborefer_sim.core.arm import ARM_JOINTS, FINGER_JOINTS, HOME, OPEN_M
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

FOLLOW = "joint_trajectory_controller/follow_joint_trajectory"
CODES = FollowJointTrajectory.Result


@pytest.fixture(scope="module")
def bench(start):
    with start() as bench:
        yield bench


def client(bench, kind, name):
    made = ActionClient(bench.client, kind, name, callback_group=ReentrantCallbackGroup())
    assert made.wait_for_server(10.0)
    return made


def trajectory(target, seconds, joints=ARM_JOINTS, **fields):
    point = JointTrajectoryPoint(
        positions=[float(x) for x in target],
        velocities=[0.0] * len(target),
        time_from_start=duration(seconds),
    )
    goal = FollowJointTrajectory.Goal(**fields)
    goal.trajectory = JointTrajectory(joint_names=list(joints), points=[point])
    return goal


def duration(seconds):
    whole = int(seconds)
    return Duration(sec=whole, nanosec=int((seconds - whole) * 1e9))


def send(bench, kind, name, goal, feedback=None):
    handle = bench.wait(client(bench, kind, name).send_goal_async(goal, feedback))
    return handle


def follow(bench, goal):
    handle = send(bench, FollowJointTrajectory, FOLLOW, goal)
    assert handle.accepted
    return bench.wait(handle.get_result_async())


def joints(bench):
    state = bench.first(JointState, "joint_states")
    return dict(zip(state.name, state.position, strict=True))


def moved(**changes):
    target = dict(zip(ARM_JOINTS, HOME, strict=True))
    return [target[name] + changes.get(name, 0.0) for name in ARM_JOINTS]


def test_trajectory_ends_where_it_should_whatever_the_order_of_joints(bench):
    target = moved(shoulder_pan_joint=0.5, wrist_3_joint=-0.4)

    done = follow(bench, trajectory(target[::-1], 1.5, ARM_JOINTS[::-1]))

    assert done.status == GoalStatus.STATUS_SUCCEEDED
    assert done.result.error_code == CODES.SUCCESSFUL
    now = joints(bench)
    # The default goal tolerance is 0.1 rad; the servo does better.
    np.testing.assert_allclose([now[name] for name in ARM_JOINTS], target, atol=0.005)


def test_feedback_tells_desired_actual_and_error(bench):
    told, enough = [], threading.Event()

    def listen(message):
        told.append(message.feedback)
        enough.set()

    handle = send(
        bench, FollowJointTrajectory, FOLLOW, trajectory(moved(elbow_joint=0.2), 20.0), listen
    )
    assert enough.wait(10.0)
    bench.wait(handle.cancel_goal_async())
    bench.wait(handle.get_result_async())

    feedback = told[0]
    assert tuple(feedback.joint_names) == ARM_JOINTS
    np.testing.assert_allclose(
        np.array(feedback.desired.positions) - feedback.actual.positions,
        feedback.error.positions,
        atol=1e-12,
    )


@pytest.mark.parametrize(
    ("goal", "code", "words"),
    [
        (trajectory([0.0], 1.0, ["elbow_joint"]), CODES.INVALID_JOINTS, "lacks shoulder_pan"),
        (
            trajectory([0.0] * 6, 1.0, [*ARM_JOINTS[:5], "tail_joint"]),
            CODES.INVALID_JOINTS,
            "names tail_joint",
        ),
        (
            FollowJointTrajectory.Goal(trajectory=JointTrajectory(joint_names=list(ARM_JOINTS))),
            CODES.INVALID_GOAL,
            "no points",
        ),
        (trajectory([float("nan")] * 6, 1.0), CODES.INVALID_GOAL, "finite"),
    ],
)
def test_goals_that_cannot_be_are_aborted_with_a_code_and_the_arm_stays(bench, goal, code, words):
    before = joints(bench)

    done = follow(bench, goal)

    assert done.status == GoalStatus.STATUS_ABORTED
    assert done.result.error_code == code
    assert words in done.result.error_string
    after = joints(bench)
    assert max(abs(after[name] - before[name]) for name in ARM_JOINTS) < 1e-3


def test_goal_that_ended_in_the_past_has_an_old_header(bench):
    bench.first(JointState, "joint_states", lambda state: state.header.stamp.sec >= 2)
    goal = trajectory(moved(), 0.5)
    goal.trajectory.header.stamp = Time(sec=0, nanosec=1)

    done = follow(bench, goal)

    assert done.result.error_code == CODES.OLD_HEADER_TIMESTAMP


def test_jump_violates_the_path_tolerance_and_is_not_carried_out(bench):
    before = joints(bench)

    done = follow(bench, trajectory(moved(shoulder_pan_joint=2.5), 0.0))

    assert done.status == GoalStatus.STATUS_ABORTED
    assert done.result.error_code == CODES.PATH_TOLERANCE_VIOLATED
    assert "shoulder_pan_joint" in done.result.error_string
    after = joints(bench)
    assert max(abs(after[name] - before[name]) for name in ARM_JOINTS) < 0.01


def test_goal_tolerance_that_cannot_be_met_ends_the_goal_after_its_time(bench):
    tolerance = [JointTolerance(name=ARM_JOINTS[0], position=1e-9)]
    goal = trajectory(
        moved(shoulder_pan_joint=0.2),
        0.5,
        goal_tolerance=tolerance,
        goal_time_tolerance=duration(0.2),
    )

    done = follow(bench, goal)

    assert done.result.error_code == CODES.GOAL_TOLERANCE_VIOLATED


def test_cancel_leaves_the_arm_still(bench):
    follow(bench, trajectory(moved(), 2.0))
    goal = trajectory(moved(shoulder_pan_joint=1.2), 100.0)
    handle = send(bench, FollowJointTrajectory, FOLLOW, goal)
    pan = ARM_JOINTS.index("shoulder_pan_joint")
    bench.first(JointState, "joint_states", lambda state: abs(state.velocity[pan]) > 0.004)

    bench.wait(handle.cancel_goal_async())
    done = bench.wait(handle.get_result_async())

    assert done.status == GoalStatus.STATUS_CANCELED
    state = bench.first(JointState, "joint_states")
    assert np.abs(state.velocity).max() < 0.003


def test_new_goal_replaces_the_old_one(bench):
    old = send(bench, FollowJointTrajectory, FOLLOW, trajectory(moved(elbow_joint=0.3), 500.0))

    new = follow(bench, trajectory(moved(), 2.0))
    ended = bench.wait(old.get_result_async())

    assert new.status == GoalStatus.STATUS_SUCCEEDED
    assert ended.status == GoalStatus.STATUS_ABORTED
    assert "newer goal" in ended.result.error_string


def test_gripper_reaches_its_goal_when_nothing_is_in_its_way(bench):
    goal = ParallelGripperCommand.Goal(
        command=JointState(name=[FINGER_JOINTS[0]], position=[0.01], effort=[20.0])
    )
    handle = send(bench, ParallelGripperCommand, "gripper_controller/gripper_cmd", goal)
    closed = bench.wait(handle.get_result_async())
    back = GripperCommand.Goal()
    back.command.position = OPEN_M
    handle = send(bench, GripperCommand, "gripper_action_controller/gripper_cmd", back)
    opened = bench.wait(handle.get_result_async())

    assert closed.status == opened.status == GoalStatus.STATUS_SUCCEEDED
    assert closed.result.reached_goal
    assert not closed.result.stalled
    assert closed.result.state.position[0] == pytest.approx(0.01, abs=0.0011)
    assert opened.result.reached_goal
    assert opened.result.position == pytest.approx(OPEN_M, abs=0.0011)


@pytest.mark.parametrize("position", [-0.01, 0.2, float("nan")])
def test_gripper_refuses_what_it_cannot_reach(bench, position):
    goal = GripperCommand.Goal()
    goal.command.position = position
    handle = send(bench, GripperCommand, "gripper_action_controller/gripper_cmd", goal)

    done = bench.wait(handle.get_result_async())

    assert done.status == GoalStatus.STATUS_ABORTED
    assert not done.result.reached_goal
