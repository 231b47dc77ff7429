# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
from itertools import pairwise
from math import pi
from time import monotonic

import numpy as np
import pytest
from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.kinematics import forward
from roborefer_grasping.core.planning import embedded, search
from roborefer_grasping.core.planning.embedded import EmbeddedPlanner
from roborefer_grasping.core.planning.interface import PlanRequest, Status
from roborefer_grasping.core.planning.search import find_paths
from roborefer_grasping.core.robot import robot_named
from roborefer_grasping.core.world import Obstacle, Shape, World
from roborefer_grasping.exceptions import PlanningError

ROBOT, GRIPPER = robot_named("ur5"), Gripper()
START = np.array([-0.8, -1.4, 1.5, -0.1 - pi / 2, -pi / 2, 0.0])
GOAL = START + 1.6 * np.eye(6)[0]


def box(name, size, *place):
    pose = np.eye(4)
    pose[:3, 3] = place
    return Obstacle(name, Shape.BOX, np.array(size, float), pose)


WALL = box("wall", (0.4, 0.05, 0.8), 0.5, 0, 0.4)


def planner(*obstacles, **changes):
    return EmbeddedPlanner(ROBOT, GRIPPER, World(obstacles, **changes))


def tcp(joints):
    return forward(ROBOT, joints) @ GRIPPER.t_tool_tcp


def raised(by):
    pose = tcp(START)
    pose[2, 3] += by
    return pose[None]


def test_a_way_around_a_wall_is_found():
    result = planner(WALL).plan(PlanRequest(START, joints=GOAL[None]))

    assert result.status is Status.OK
    np.testing.assert_allclose(result.trajectory.positions[[0, -1]], [START, GOAL], atol=1e-9)
    assert set(result.stages_s) == {"goals", "search", "timing", "verify"}


def test_attempts_may_go_on_for_as_long_as_there_is_time():
    checker = planner().checker
    until = monotonic() + 20.0

    path = search._attempt(checker, START, GOAL[None], 1.0, 5000, until)

    np.testing.assert_allclose(path[[0, -1]], [START, GOAL], atol=1e-6)


def test_the_answer_tells_which_goal_it_reaches():
    inside = START + 0.8 * np.eye(6)[0]
    engine = planner(WALL)
    assert not engine.checker.is_free(inside)

    result = engine.plan(PlanRequest(START, joints=np.stack([inside, GOAL])))

    assert result.goal == 1


def test_a_pose_is_reached_by_any_branch():
    result = planner(WALL).plan(PlanRequest(START, poses=tcp(GOAL)[None]))

    assert result.status is Status.OK
    np.testing.assert_allclose(tcp(result.trajectory.positions[-1]), tcp(GOAL), atol=1e-6)


def test_joints_are_taken_at_their_word_unless_whole_turns_are_allowed():
    turned = START + np.array([0.3, 0, 0, 0, 0, 2 * pi - 0.1])

    literal = planner().plan(PlanRequest(START, joints=turned[None]))
    nearest = planner().plan(PlanRequest(START, joints=turned[None], whole_turns=True))

    np.testing.assert_allclose(literal.trajectory.positions[-1], turned, atol=1e-9)
    np.testing.assert_allclose(nearest.trajectory.positions[-1, 5], START[5] - 0.1, atol=1e-9)
    assert nearest.trajectory.duration < literal.trajectory.duration


def test_a_straight_line_ends_at_its_last_pose():
    result = planner().plan(PlanRequest(START, line=raised(0.1)))

    assert result.status is Status.OK
    assert result.goal == 0
    np.testing.assert_allclose(tcp(result.trajectory.positions[-1]), raised(0.1)[0], atol=1e-5)


def test_requested_limits_hold():
    limits = ROBOT.limits.scaled(0.2, 0.3)

    result = planner(WALL).plan(PlanRequest(START, joints=GOAL[None], limits=limits))

    assert (np.abs(result.trajectory.velocities) <= limits.velocity).all()


@pytest.mark.parametrize(
    ("obstacles", "request_", "status"),
    [
        ((), PlanRequest(START + 7.5, joints=GOAL[None]), Status.START_OUTSIDE_LIMITS),
        (
            (box("rock", (0.3, 0.3, 0.3), *tcp(START)[:3, 3]),),
            PlanRequest(START, joints=GOAL[None]),
            Status.START_IN_COLLISION,
        ),
        ((), PlanRequest(START, joints=GOAL[None] + 7.5), Status.GOAL_UNREACHABLE),
        ((), PlanRequest(START, poses=raised(2.0)), Status.GOAL_UNREACHABLE),
        (
            (box("rock", (0.1, 0.1, 0.1), *tcp(GOAL)[:3, 3]),),
            PlanRequest(START, joints=GOAL[None]),
            Status.GOAL_IN_COLLISION,
        ),
        ((), PlanRequest(START, line=raised(2.0)), Status.LINE_BLOCKED),
        (
            (box("shelf", (0.3, 0.3, 0.02), *tcp(START)[:2, 3], 0.9),),
            PlanRequest(START, line=raised(0.35)),
            Status.LINE_BLOCKED,
        ),
    ],
)
def test_each_hopeless_wish_has_its_status(obstacles, request_, status):
    result = planner(*obstacles).plan(request_)

    assert result.status is status
    assert result.trajectory is None
    assert result.goal == -1
    assert result.message


def test_no_way_ends_at_the_deadline():
    folded = np.array([pi / 2, -pi / 2, 0.0, 0.0, 0.0, 0.0])
    wall = box("wall", (3.0, 0.02, 3.0), 0, 0.15, 1.5)
    lid = box("ring", (3.0, 0.02, 3.0), 0, -0.15, 1.5)
    engine = planner(wall, lid)
    left = np.array([0.0, -pi / 4, 0.3, 0.0, 0.0, 0.0])
    if not engine.checker.is_free(left):
        left = folded
    begin = monotonic()

    result = engine.plan(
        PlanRequest(left, joints=(left + pi * np.eye(6)[0])[None], deadline_s=0.4)
    )

    assert result.status in (Status.TIMEOUT, Status.GOAL_IN_COLLISION, Status.START_IN_COLLISION)
    assert monotonic() - begin < 1.5


def test_what_cannot_be_timed_says_so(monkeypatch):
    monkeypatch.setattr(embedded, "time_path", lambda *_, **__: None)

    result = planner().plan(PlanRequest(START, joints=GOAL[None], deadline_s=0.3))

    assert result.status is Status.TIMING_FAILED


def test_what_the_verifier_refuses_is_not_handed_out(monkeypatch):
    through = planner().plan(PlanRequest(START, joints=GOAL[None])).trajectory
    monkeypatch.setattr(embedded, "time_path", lambda *_, **__: through)

    result = planner(WALL).plan(PlanRequest(START, joints=GOAL[None], deadline_s=0.3))

    assert result.status is Status.UNSAFE
    assert result.trajectory is None
    assert "wall" in result.message


def test_an_arm_that_stands_in_the_padding_finds_its_way_out():
    tips = tcp(START)[2, 3] - GRIPPER.finger_reach
    engine = planner(WALL, box("floor", (0.2, 0.2, 0.02), *tcp(START)[:2, 3], tips - 0.0136))
    assert not engine.checker.is_free(START)

    result = engine.plan(PlanRequest(START, joints=GOAL[None]))

    assert result.status is Status.OK, result.message


def test_an_arm_that_stands_in_the_padding_can_go_straight_up():
    tips = tcp(START)[2, 3] - GRIPPER.finger_reach
    engine = planner(box("floor", (0.2, 0.2, 0.02), *tcp(START)[:2, 3], tips - 0.0128))
    assert not engine.checker.is_free(START)

    result = engine.plan(PlanRequest(START, line=raised(0.1)))

    assert result.status is Status.OK, result.message


def test_the_same_wish_has_the_same_answer():
    one, two = (planner(WALL).plan(PlanRequest(START, joints=GOAL[None])) for _ in range(2))

    np.testing.assert_array_equal(one.trajectory.positions, two.trajectory.positions)


SCRIPT = """
import hashlib
from test_planning_embedded import *
path = planner(WALL).plan(PlanRequest(START, joints=GOAL[None])).trajectory.positions
print(hashlib.sha256(path.tobytes()).hexdigest())
"""


def test_other_processes_answer_the_same_and_end_quietly(request):
    command = [sys.executable, "-c", SCRIPT]
    folder = request.path.parent

    runs = [
        subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
        for _ in range(2)
    ]

    assert runs[0].stdout == runs[1].stdout
    assert len(runs[0].stdout.strip()) == 64
    assert [run.stderr for run in runs] == ["", ""]


def test_random_problems_are_solved_free_of_collisions():
    rng = np.random.default_rng(5)
    for _ in range(25):
        things = [
            box(f"b{i}", rng.uniform(0.05, 0.15, 3), *rng.uniform([0.3, -0.6, 0], [0.8, 0.6, 0.4]))
            for i in range(6)
        ]
        engine = planner(*things)
        ends = [q for q in rng.uniform(-2.5, 2.5, (60, 6)) if engine.checker.is_free(q)][:2]

        result = engine.plan(PlanRequest(ends[0], joints=ends[1][None]))

        assert result.status is Status.OK, result.message
        times = np.arange(0, result.trajectory.duration, 0.002)
        assert engine.checker.first_blocked(result.trajectory.sample(times), 0.4) < 0


def test_a_path_goes_through_free_corners_only():
    engine = planner(WALL)

    path, index = next(find_paths(engine.checker, START, GOAL[None], monotonic() + 5.0))

    assert index == 0
    for first, last in pairwise(path):
        assert engine.checker.edge_is_free(first, last, 0.02)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"joints": GOAL[None], "line": raised(0.1)},
        {"joints": GOAL},
        {"joints": np.empty((0, 6))},
        {"poses": np.full((1, 4, 4), np.nan)},
        {"joints": GOAL[None], "deadline_s": 0.0},
        {"joints": GOAL[None], "deadline_s": float("nan")},
        {"start": START[:5], "joints": GOAL[None]},
        {"start": START * np.nan, "joints": GOAL[None]},
    ],
)
def test_requests_that_make_no_sense_are_refused(changes):
    with pytest.raises(PlanningError):
        PlanRequest(**({"start": START} | changes))
