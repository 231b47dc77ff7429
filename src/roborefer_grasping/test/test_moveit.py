# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The MoveIt engine against a stand-in of move_group that answers, lies, dies or keeps silent."""

import contextlib
import threading
from time import monotonic

import numpy as np
import pytest
from roborefer_grasping.core.kinematics import forward
from roborefer_grasping.core.planning.interface import PlanRequest, Status
from roborefer_grasping.core.world import Held, Obstacle, Shape, World

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("moveit_msgs.msg")

from fake_move_group import GRIPPER, ROBOT, FakeMoveGroup, at  # noqa: E402
from moveit_msgs.msg import CollisionObject, MoveItErrorCodes  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.exceptions import InvalidHandle  # noqa: E402
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor  # noqa: E402
from roborefer_grasping.planning.moveit import MoveItPlanner  # noqa: E402
from roborefer_grasping.planning.moveit_answer import status_of  # noqa: E402

START = np.array([-0.8, -1.4, 1.5, -1.8, -1.57, 0.0])
GOAL = START + np.array([1.6, 0, 0, 0, 0, 0])
PREFIX = "left_"


WALL = Obstacle("wall", Shape.BOX, np.array([0.4, 0.05, 0.8]), at(0.5, 0, 0.4))


@pytest.fixture
def cell(domain):
    """A planner and the move_group it asks, both spun in the background."""
    context = Context()
    rclpy.init(context=context)
    fake = FakeMoveGroup(context, PREFIX)
    node = rclpy.create_node("planning", context=context)
    executor = MultiThreadedExecutor(num_threads=4, context=context)
    for each in (fake.node, node):
        executor.add_node(each)

    def spin():
        # A service that was destroyed while it was asked has nowhere to answer to.
        with contextlib.suppress(ExternalShutdownException, InvalidHandle):
            executor.spin()

    thread = threading.Thread(target=spin)
    thread.start()
    planner = MoveItPlanner(node, ROBOT, GRIPPER, PREFIX)
    yield planner, fake
    fake.released.set()
    planner.close()
    planner.close()
    executor.shutdown()
    rclpy.try_shutdown(context=context)
    thread.join(10)
    assert not thread.is_alive()


def show(cell, *obstacles, **changes):
    planner, fake = cell
    world = World(obstacles, **changes)
    fake.world = world
    planner.set_world(world)
    return planner


def test_a_motion_to_joints_comes_back_verified(cell):
    planner = show(cell, WALL)

    result = planner.plan(PlanRequest(START, joints=np.array([GOAL + 0.3, GOAL])))

    assert result.status is Status.OK, result.message
    assert result.engine == "moveit"
    reached = [GOAL + 0.3, GOAL][result.goal]
    np.testing.assert_allclose(result.trajectory.positions[-1], reached, atol=1e-6)
    assert {"scene", "search", "verify"} <= set(result.stages_s)


def test_a_motion_to_poses_ends_at_one_of_them(cell):
    planner = show(cell, WALL)
    goals = forward(ROBOT, np.array([GOAL])) @ GRIPPER.t_tool_tcp

    result = planner.plan(PlanRequest(START, poses=goals))

    assert result.status is Status.OK, result.message
    assert result.goal == 0


def test_a_straight_line_is_followed(cell):
    planner = show(cell)
    up = forward(ROBOT, START) @ GRIPPER.t_tool_tcp
    up[2, 3] += 0.08
    limits = ROBOT.limits.scaled(0.3, 0.3)

    result = planner.plan(PlanRequest(START, line=up[None], limits=limits))

    assert result.status is Status.OK, result.message
    assert np.abs(result.trajectory.velocities).max() <= limits.velocity.max()


def test_a_line_that_ends_early_is_blocked(cell):
    planner = show(cell)
    cell[1].fraction = 0.6
    up = forward(ROBOT, START) @ GRIPPER.t_tool_tcp
    up[2, 3] += 0.08

    result = planner.plan(PlanRequest(START, line=up[None]))

    assert result.status is Status.LINE_BLOCKED
    assert "60%" in result.message


def test_joints_may_come_in_any_order(cell):
    planner = show(cell)
    cell[1].mode = "unordered"

    result = planner.plan(PlanRequest(START, joints=GOAL[None]))

    assert result.status is Status.OK, result.message


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("through", "wall"),
        ("fast", "its limit is"),
        ("aside", "none of the goals"),
        ("nameless", "says nothing of left_shoulder_pan_joint"),
        ("empty", "has 0 points"),
    ],
)
def test_lies_are_found_before_anything_is_sent(cell, mode, says):
    planner = show(cell, WALL)
    cell[1].mode = mode

    result = planner.plan(PlanRequest(START, joints=GOAL[None]))

    assert result.status is Status.UNSAFE
    assert result.trajectory is None
    assert says in result.message


def test_a_line_that_is_none_is_unsafe(cell):
    planner = show(cell)
    cell[1].mode = "bent"
    up = forward(ROBOT, START) @ GRIPPER.t_tool_tcp
    up[2, 3] += 0.08

    result = planner.plan(PlanRequest(START, line=up[None]))

    assert result.status is Status.UNSAFE
    assert "leaves the straight line" in result.message


def test_silence_ends_at_the_deadline(cell):
    planner = show(cell)
    cell[1].mode = "silent"
    begin = monotonic()

    result = planner.plan(PlanRequest(START, joints=GOAL[None], deadline_s=1.0))

    assert result.status is Status.TIMEOUT
    assert monotonic() - begin < 2.5


def test_a_move_group_that_dies_is_unavailable(cell):
    planner = show(cell)
    cell[1].mode = "dead"

    result = planner.plan(PlanRequest(START, joints=GOAL[None], deadline_s=1.5))

    assert result.status is Status.ENGINE_UNAVAILABLE
    assert "went away" in result.message


def test_without_move_group_the_message_says_what_to_start(cell):
    planner = show(cell)
    for service in cell[1].services:
        cell[1].node.destroy_service(service)

    result = planner.plan(PlanRequest(START, joints=GOAL[None], deadline_s=0.5))

    assert result.status is Status.ENGINE_UNAVAILABLE
    assert "start move_group" in result.message


def test_a_refused_scene_is_no_ground_to_plan_on(cell):
    planner = show(cell, WALL)
    cell[1].mode = "no_scene"

    result = planner.plan(PlanRequest(START, joints=GOAL[None]))

    assert result.status is Status.ENGINE_UNAVAILABLE
    assert "left_tool0" in result.message


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (MoveItErrorCodes.TIMED_OUT, Status.TIMEOUT),
        (MoveItErrorCodes.PLANNING_FAILED, Status.TIMEOUT),
        (MoveItErrorCodes.START_STATE_IN_COLLISION, Status.START_IN_COLLISION),
        (MoveItErrorCodes.START_STATE_INVALID, Status.START_OUTSIDE_LIMITS),
        (MoveItErrorCodes.GOAL_IN_COLLISION, Status.GOAL_IN_COLLISION),
        (MoveItErrorCodes.NO_IK_SOLUTION, Status.GOAL_UNREACHABLE),
        (MoveItErrorCodes.INVALID_MOTION_PLAN, Status.UNSAFE),
        (MoveItErrorCodes.INVALID_GROUP_NAME, Status.ENGINE_UNAVAILABLE),
        (MoveItErrorCodes.CRASH, Status.ENGINE_UNAVAILABLE),
        (12345, Status.ENGINE_UNAVAILABLE),
    ],
)
def test_error_codes_become_our_status(code, status):
    assert status_of(MoveItErrorCodes(val=code)) is status


def test_an_error_code_reaches_the_caller_with_its_number(cell):
    planner = show(cell)
    cell[1].mode = MoveItErrorCodes.INVALID_GROUP_NAME

    result = planner.plan(PlanRequest(START, joints=GOAL[None]))

    assert result.status is Status.ENGINE_UNAVAILABLE
    assert "-15" in result.message


def test_a_start_outside_limits_never_reaches_move_group(cell):
    planner = show(cell)

    result = planner.plan(PlanRequest(START + 7.5, joints=GOAL[None]))

    assert result.status is Status.START_OUTSIDE_LIMITS
    assert not cell[1].scenes


def test_the_scene_holds_obstacles_hand_held_thing_and_what_may_touch(cell):
    part = Obstacle("mug", Shape.CYLINDER, np.array([0.06, 0.06, 0.1]), np.eye(4))
    table = Obstacle("support", Shape.BOX, np.array([1.0, 1.0, 0.1]), at(0.6, 0, -0.3))
    planner = show(
        cell, WALL, table, held=Held("mug", (part,)), touchable=frozenset({"support"}), jaw=0.06
    )

    planner.plan(PlanRequest(START, joints=GOAL[None]))

    (scene,) = cell[1].scenes
    assert scene.is_diff
    assert scene.robot_state.is_diff
    objects = {o.id: o for o in scene.world.collision_objects}
    assert set(objects) == {"wall", "support"}
    assert objects["wall"].header.frame_id == "left_base_link"
    attached = {a.object.id: a for a in scene.robot_state.attached_collision_objects}
    assert set(attached) == {"hand_palm", "hand_finger_-1", "hand_finger_1", "held_mug"}
    assert attached["held_mug"].link_name == "left_tool0"
    assert list(attached["held_mug"].object.primitives[0].dimensions) == pytest.approx([0.1, 0.03])
    z = attached["held_mug"].object.primitive_poses[0].position.z
    assert z == pytest.approx(GRIPPER.tcp_offset)
    assert {p.padding for p in scene.link_padding} == {0.005}
    assert may_touch(scene, "left_base_link", "left_shoulder_link"), "MoveIt's own entries stay"
    assert may_touch(scene, "held_mug", "support")
    assert may_touch(scene, "hand_finger_1", "support")
    assert may_touch(scene, "held_mug", "hand_finger_1")
    assert not may_touch(scene, "hand_palm", "support")


def may_touch(scene, first, second):
    matrix = scene.allowed_collision_matrix
    names = list(matrix.entry_names)
    assert all(len(row.enabled) == len(names) for row in matrix.entry_values)
    return matrix.entry_values[names.index(first)].enabled[names.index(second)]


def test_what_has_gone_is_taken_out_of_the_scene(cell):
    part = Obstacle("mug", Shape.SPHERE, np.array([0.06, 0.06, 0.06]), np.eye(4))
    show(cell, WALL, held=Held("mug", (part,))).plan(PlanRequest(START, joints=GOAL[None]))
    show(cell).plan(PlanRequest(START, joints=GOAL[None]))

    _, removal, _ = cell[1].scenes
    removed = {o.id for o in removal.world.collision_objects}
    assert removed == {"wall", "held_mug"}
    (detached,) = removal.robot_state.attached_collision_objects
    assert detached.object.id == "held_mug"
    assert detached.object.operation == CollisionObject.REMOVE


def test_an_unchanged_world_is_sent_once(cell):
    planner = show(cell)

    for _ in range(2):
        assert planner.plan(PlanRequest(START, joints=GOAL[None])).status is Status.OK

    assert len(cell[1].scenes) == 1
