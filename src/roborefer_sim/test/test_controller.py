# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The semantics of joint_trajectory_controller, with an arm that follows exactly or not at all."""

import numpy as np
import pytest
from roborefer_sim.core.controller import Outcome, TrajectoryController
from roborefer_sim.core.goals import Goal, GoalPoint, Tolerances
from roborefer_sim.core.trajectory import Code, GoalRefusedError

JOINTS = ("a", "b")
STEP_S = 0.01


class Arm:
    """A controller and joints that do at once what they are told, until they are stuck."""

    def __init__(self, **tolerances):
        self.controller = TrajectoryController(JOINTS, np.zeros(2), Tolerances(**tolerances))
        self.now_s, self.stuck = 1.0, False
        self.position, self.velocity = np.zeros(2), np.zeros(2)
        self.speeds = []

    def follow(self, goal):
        return self.controller.accept(goal, self.now_s)

    def run(self, seconds):
        for _ in range(round(seconds / STEP_S)):
            self.now_s += STEP_S
            desired = self.controller.update(self.now_s, self.position, self.velocity)
            if self.stuck:
                self.velocity = np.zeros(2)
            else:
                self.position, self.velocity = desired.position, desired.velocity
            self.speeds.append(np.abs(self.velocity).max())


def goal(*positions, seconds=1.0, joints=JOINTS, **fields):
    points = tuple(
        GoalPoint(seconds * (index + 1), tuple(map(float, at)), (0.0,) * len(at))
        for index, at in enumerate(positions)
    )
    return Goal(joints, points, **fields)


def test_reaches_the_goal_and_says_so():
    arm = Arm()
    execution = arm.follow(goal((1, 2)))

    arm.run(0.5)
    assert not execution.done.is_set()
    arm.run(0.6)

    assert execution.outcome is Outcome.SUCCEEDED
    np.testing.assert_allclose(arm.position, [1, 2])


def test_joints_may_come_in_any_order():
    arm = Arm()
    arm.follow(goal((1, 2), joints=("b", "a")))

    arm.run(1.1)

    np.testing.assert_allclose(arm.position, [2, 1])


def test_a_stamp_in_the_future_delays_the_motion():
    arm = Arm()
    arm.follow(goal((1, 2), seconds=0.1, stamp_s=3.0))

    arm.run(2.0)
    assert arm.position[0] < 1
    arm.run(0.2)

    np.testing.assert_allclose(arm.position, [1, 2])


@pytest.mark.parametrize(
    ("bad", "code", "words"),
    [
        (goal((1,), joints=("a",)), Code.INVALID_JOINTS, "lacks b"),
        (goal((1, 2), joints=("a", "c")), Code.INVALID_JOINTS, "names c, .* and lacks b"),
        (goal((1, 2, 3), joints=("a", "b", "a")), Code.INVALID_JOINTS, "has a joint twice"),
        (goal(), Code.INVALID_GOAL, "no points"),
        (goal((1, 2), (3, 4), seconds=0.0), Code.INVALID_GOAL, "times must increase"),
        (goal((1, 2), seconds=-1.0), Code.INVALID_GOAL, "must not be negative"),
        (goal((1, float("inf"))), Code.INVALID_GOAL, "2 finite numbers"),
        (goal((1,)), Code.INVALID_GOAL, "2 finite numbers"),
        (
            Goal(JOINTS, (GoalPoint(1.0, (1, 2), (0.0, 0.5)),)),
            Code.INVALID_GOAL,
            "all must be 0",
        ),
        (goal((1, 2), stamp_s=float("nan")), Code.INVALID_GOAL, "not finite"),
        (goal((1, 2), stamp_s=1e-3, seconds=0.5), Code.OLD_HEADER_TIMESTAMP, "ended at 0.501"),
        (goal((1, 2), path_tolerance={"c": (1, 0)}), Code.INVALID_JOINTS, "path_tolerance"),
        (
            goal((1, 2), goal_tolerance={"a": (float("nan"), 0)}),
            Code.INVALID_GOAL,
            "goal_tolerance of a",
        ),
    ],
)
def test_bad_goals_are_refused_and_disturb_nothing(bad, code, words):
    arm = Arm()
    running = arm.follow(goal((1, 2)))
    arm.run(0.2)

    with pytest.raises(GoalRefusedError, match=words) as refusal:
        arm.follow(bad)

    assert refusal.value.code is code
    arm.run(1.0)
    assert running.outcome is Outcome.SUCCEEDED


def test_a_stuck_arm_violates_the_path_tolerance_and_is_not_pushed_on():
    arm = Arm(path=0.1)
    execution = arm.follow(goal((1, 0)))
    arm.run(0.3)
    arm.stuck = True

    arm.run(0.5)

    assert execution.outcome is Outcome.ABORTED
    assert execution.code is Code.PATH_TOLERANCE_VIOLATED
    assert "a is 0.1" in execution.text
    desired = arm.controller.update(arm.now_s, arm.position, arm.velocity)
    np.testing.assert_allclose(desired.position, arm.position, atol=0.06)
    assert not desired.velocity.any()


def test_tolerances_of_the_goal_win_and_a_negative_one_is_none():
    loose, tight = Arm(path=0.1), Arm(path=0.1)
    free = loose.follow(goal((1, 0), path_tolerance={"a": (-1.0, 0.0)}))
    strict = tight.follow(goal((1, 0), path_tolerance={"a": (0.01, 0.0)}))
    loose.stuck = tight.stuck = True

    loose.run(0.9)
    tight.run(0.2)

    assert not free.done.is_set()
    assert strict.code is Code.PATH_TOLERANCE_VIOLATED


def test_goal_that_is_not_reached_in_time_violates_its_tolerance():
    arm = Arm(path=0.0, goal=0.05, goal_time_s=0.3)
    arm.stuck = True
    execution = arm.follow(goal((1, 0)))

    arm.run(1.2)
    assert not execution.done.is_set()
    arm.run(0.2)

    assert execution.outcome is Outcome.ABORTED
    assert execution.code is Code.GOAL_TOLERANCE_VIOLATED
    assert "not reached" in execution.text


def test_goal_time_of_zero_waits_for_ever():
    arm = Arm(path=0.0, goal_time_s=0.0)
    arm.stuck = True
    execution = arm.follow(goal((1, 0)))

    arm.run(30.0)

    assert not execution.done.is_set()


def test_jump_is_no_goal():
    arm = Arm()
    execution = arm.follow(goal((2, 0), seconds=0.0))

    arm.run(0.1)

    assert execution.code is Code.PATH_TOLERANCE_VIOLATED
    np.testing.assert_allclose(arm.position, 0, atol=1e-9)


def test_cancel_slows_down_and_is_reported_when_the_arm_stands():
    arm = Arm()
    execution = arm.follow(goal((3, 0), seconds=3.0))
    arm.run(1.5)
    cruising = arm.velocity[0]

    arm.controller.cancel(execution, arm.now_s)
    arm.run(0.05)
    assert not execution.done.is_set()
    assert 0 < arm.velocity[0] < cruising
    arm.run(0.5)

    assert execution.outcome is Outcome.CANCELED
    assert not arm.velocity.any()
    decelerations = -np.diff(arm.speeds[-60:]) / STEP_S
    assert decelerations.max() <= 10.0 * 1.01


def test_cancel_of_a_goal_that_is_over_disturbs_nothing():
    arm = Arm()
    first = arm.follow(goal((1, 0)))
    second = arm.follow(goal((0, 1)))

    arm.controller.cancel(first, arm.now_s)
    arm.run(1.2)

    assert first.outcome is Outcome.ABORTED
    assert second.outcome is Outcome.SUCCEEDED


def test_new_goal_takes_over_without_a_jump():
    arm = Arm()
    old = arm.follow(goal((3, 0), seconds=3.0))
    arm.run(1.5)
    before = arm.velocity[0]

    new = arm.follow(goal((0, 0), seconds=2.0))
    arm.run(STEP_S)

    assert old.outcome is Outcome.ABORTED
    assert "newer goal" in old.text
    assert arm.velocity[0] == pytest.approx(before, abs=0.1)
    arm.run(2.1)
    assert new.outcome is Outcome.SUCCEEDED
