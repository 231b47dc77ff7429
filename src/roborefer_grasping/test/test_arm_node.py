# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The node against the simulator: actions, refusals, cancel and stop in motion, lifecycle."""

import threading
from time import monotonic

import numpy as np
import pytest
from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import DurabilityPolicy, QoSProfile
from roborefer_grasping.core.planning.interface import Trajectory
from std_msgs.msg import Bool
from visualization_msgs.msg import MarkerArray

from roborefer_msgs.action import Pick, Place
from roborefer_msgs.msg import ErrorCode, HeldObject, Phase

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
BLOCK_AT = (0.45, 0.05, 0.045)
# From the moment of asking until the arm is at rest, seconds of the robot's time: a ramp of 0.25,
# and the messages on a machine that does other things too.
REST_S = 0.4


@pytest.fixture(scope="module")
def running(start):
    # The clock of the simulation begins at zero, so old references must be young.
    with start({"reference.max_age_s": 2.0, "robot.program_topic": "program_running"}) as bench:
        bench.spawn("library:block?color=red", "block", *BLOCK_AT[:2])
        assert bench.transition("configure")
        assert bench.transition("activate")
        bench.wait_for_time(4.0)
        yield bench


@pytest.fixture
def bench(running):
    yield running
    running.client.create_publisher(Bool, "stop", LATCHED).publish(Bool(data=False))
    running.client.create_publisher(Bool, "program_running", LATCHED).publish(Bool(data=True))


def pick(bench, *place, **fields):
    return Pick.Goal(reference=bench.reference(*(place or BLOCK_AT)), **fields)


def watch_until_rest(bench, since_s):
    """Wait for rest; return how long it took in the simulation's time, and the way there."""
    way = []
    limit = monotonic() + 10
    while monotonic() < limit:
        way.append(bench.simulator._simulation.joints().position[:6])
        if bench.speed() < 0.02:
            return bench.simulator._simulation.now_s - since_s, np.array(way)
    raise AssertionError("the arm did not come to rest")


def distance_from(trajectory, way):
    """Greatest distance of a joint from the planned path, wherever on it, radians."""
    times = np.array(
        [p.time_from_start.sec + p.time_from_start.nanosec * 1e-9 for p in trajectory]
    )
    rows = [
        np.array([getattr(p, name) for p in trajectory]) for name in ("positions", "velocities")
    ]
    planned = Trajectory(times, *rows, np.zeros_like(rows[0]))
    path = planned.sample(np.arange(0, planned.duration, 0.004))
    return max(float(np.abs(path - joints).max(axis=1).min()) for joints in way)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda g: setattr(g.reference.header.stamp, "sec", 0), ErrorCode.ARM_REFERENCE_STALE),
        (lambda g: setattr(g.reference.header.stamp, "sec", 10**6), ErrorCode.ARM_REFERENCE_STALE),
        (
            lambda g: setattr(g.reference.pose.pose.pose.position, "x", float("nan")),
            ErrorCode.INVALID_GOAL,
        ),
        (
            lambda g: setattr(g.reference.pose.header, "frame_id", "moon"),
            ErrorCode.UNKNOWN_FRAME,
        ),
        (
            lambda g: setattr(g.reference.pose.pose.pose.position, "x", 3.0),
            ErrorCode.ARM_OUTSIDE_WORKSPACE,
        ),
        (lambda g: setattr(g, "velocity_scaling", 1.5), ErrorCode.INVALID_GOAL),
        (lambda g: setattr(g, "acceleration_scaling", float("nan")), ErrorCode.INVALID_GOAL),
        (lambda g: setattr(g, "grip_force", -1.0), ErrorCode.INVALID_GOAL),
        (lambda g: setattr(g, "deadline", Duration(sec=-1)), ErrorCode.INVALID_GOAL),
        (lambda g: setattr(g, "deadline", Duration(nanosec=1000)), ErrorCode.TIMEOUT),
    ],
)
def test_goals_that_cannot_be_used_are_refused_with_the_arm_still(bench, change, code):
    goal = pick(bench)
    change(goal)
    before = bench.simulator._simulation.joints().position[:6]

    result = bench.send("pick", goal).result()

    assert result.error_code == code, result.error_msg
    assert result.error_msg
    assert not result.held_object.held
    np.testing.assert_allclose(
        bench.simulator._simulation.joints().position[:6], before, atol=1e-3
    )


def test_an_empty_gripper_cannot_place(bench):
    result = bench.send("place", Place.Goal(reference=bench.reference(0.5, -0.15, 0.0))).result()

    assert result.error_code == ErrorCode.ARM_GRIPPER_EMPTY
    assert result.phase == Phase.CHECKING


def test_plan_only_shows_the_scene_and_moves_nothing(bench):
    scenes, shown = [], threading.Event()
    subscription = bench.client.create_subscription(
        MarkerArray, "planning_scene_markers", lambda m: (scenes.append(m), shown.set()), LATCHED
    )

    result = bench.send("pick", pick(bench, plan_only=True)).result()

    assert result.error_code == ErrorCode.SUCCESS, result.error_msg
    assert len(result.trajectory.points) > 50
    assert result.trajectory.joint_names[0] == "shoulder_pan_joint"
    assert result.grasp_pose.header.frame_id == "base_link"
    assert result.grasp_quality > 0.3
    assert result.attempts == 0
    assert shown.wait(5)
    assert {"target", "support"} <= {m.ns for m in scenes[-1].markers}
    bench.client.destroy_subscription(subscription)


def test_a_second_goal_is_told_that_the_arm_is_busy(bench):
    first = bench.send("pick", pick(bench, plan_only=True))

    second = bench.send("pick", pick(bench, plan_only=True)).result()

    assert second.error_code == ErrorCode.BUSY
    assert first.result().error_code == ErrorCode.SUCCESS


@pytest.mark.parametrize("how", ["cancel", "stop"])
def test_a_moving_arm_comes_to_rest_on_its_path(bench, how):
    moving = threading.Event()
    sent = bench.send("pick", pick(bench), lambda phase: phase == Phase.MOVING and moving.set())
    assert moving.wait(30)
    limit = monotonic() + 10
    while bench.speed() < 0.4 and monotonic() < limit:
        pass
    assert bench.speed() >= 0.4
    since = bench.simulator._simulation.now_s

    if how == "cancel":
        sent.cancel()
    else:
        publisher = bench.client.create_publisher(Bool, "stop", LATCHED)
        publisher.publish(Bool(data=True))
    took, way = watch_until_rest(bench, since)
    result = sent.result()

    assert took < REST_S
    assert distance_from(result.trajectory.points, way) < 0.01
    expected = ErrorCode.CANCELED if how == "cancel" else ErrorCode.STOPPED
    assert result.error_code == expected, result.error_msg
    assert not result.held_object.held
    if how == "stop":
        assert bench.send("pick", pick(bench)).result().error_code == ErrorCode.STOPPED


def test_a_robot_that_its_driver_has_stopped_does_not_move_until_it_is_released(bench):
    sent = bench.send(
        "pick",
        pick(bench),
        lambda phase: (
            phase == Phase.MOVING
            and bench.client.create_publisher(Bool, "program_running", LATCHED).publish(Bool())
        ),
    )

    result = sent.result()

    assert result.error_code == ErrorCode.ARM_PROTECTIVE_STOP, result.error_msg
    assert "program_running" in result.error_msg
    assert bench.speed() < 0.02
    again = bench.send("pick", pick(bench)).result()
    assert again.error_code == ErrorCode.ARM_PROTECTIVE_STOP


@pytest.mark.slow
@pytest.mark.parametrize(
    "phase",
    [
        Phase.CHECKING,
        Phase.CHOOSING,
        Phase.PLANNING,
        Phase.APPROACHING,
        Phase.GRASPING,
        Phase.LIFTING,
        Phase.VERIFYING,
    ],
)
def test_a_cancel_in_any_phase_leaves_the_arm_still_and_drops_nothing(bench, phase):
    reached = threading.Event()
    sent = bench.send("pick", pick(bench), lambda now: now == phase and reached.set())
    assert reached.wait(60)

    sent.cancel()
    result = sent.result()

    assert result.error_code == ErrorCode.CANCELED, result.error_msg
    assert bench.speed() < 0.02
    lifted = bench.where("block")[2] > 0.02
    assert result.held_object.held >= lifted
    if result.held_object.held:
        # What is held stays held, and can be placed afterwards.
        back = Place.Goal(reference=bench.reference(*BLOCK_AT[:2], 0.0))
        placed = bench.send("place", back).result()
        assert placed.error_code == ErrorCode.SUCCESS, placed.error_msg
    bench.put("block", *BLOCK_AT[:2])


@pytest.mark.slow
@pytest.mark.parametrize("phase", [Phase.MOVING, Phase.APPROACHING, Phase.RETREATING])
def test_a_stop_while_placing_never_drops_what_is_held(bench, phase):
    picked = bench.send("pick", pick(bench)).result()
    assert picked.error_code == ErrorCode.SUCCESS, picked.error_msg
    publisher = bench.client.create_publisher(Bool, "stop", LATCHED)
    goal = Place.Goal(reference=bench.reference(0.5, -0.15, 0.0))

    stopped = bench.send(
        "place", goal, lambda now: now == phase and publisher.publish(Bool(data=True))
    ).result()

    assert stopped.error_code == ErrorCode.STOPPED, stopped.error_msg
    assert bench.speed() < 0.02
    assert stopped.held_object.held is (phase != Phase.RETREATING)
    publisher.publish(Bool(data=False))
    if stopped.held_object.held:
        assert bench.where("block")[2] > 0.0 or phase == Phase.APPROACHING
        again = Place.Goal(reference=bench.reference(0.5, -0.15, 0.0))
        placed = bench.send("place", again).result()
        assert placed.error_code == ErrorCode.SUCCESS, placed.error_msg
    bench.put("block", *BLOCK_AT[:2])


@pytest.mark.slow
def test_a_gripper_without_force_loses_the_thing_and_says_so(bench):
    picked = bench.send("pick", pick(bench)).result()
    assert picked.error_code == ErrorCode.SUCCESS, picked.error_msg

    def limp(phase):
        if phase == Phase.MOVING:
            threading.Thread(
                target=bench.set_parameter, args=("simulator", "fault.gripper_limp", True)
            ).start()

    try:
        goal = Place.Goal(reference=bench.reference(0.5, -0.15, 0.0))
        result = bench.send("place", goal, limp).result()
    finally:
        bench.set_parameter("simulator", "fault.gripper_limp", False)
    bench.put("block", *BLOCK_AT[:2])

    assert result.error_code in (ErrorCode.ARM_OBJECT_LOST, ErrorCode.ARM_PLACE_MISSED)
    assert not result.held_object.held


def test_a_controller_that_gives_up_leaves_the_arm_still(bench):
    bench.set_parameter("simulator", "fault.controller_abort", True)
    try:
        result = bench.send("pick", pick(bench)).result()
    finally:
        bench.set_parameter("simulator", "fault.controller_abort", False)

    assert result.error_code in (
        ErrorCode.ARM_EXECUTION_ABORTED,
        ErrorCode.ARM_TRAJECTORY_REJECTED,
    ), result.error_msg
    assert bench.speed() < 0.02


def test_without_a_camera_there_is_no_scene(bench):
    bench.set_parameter("simulator", "fault.camera", "lost")
    try:
        result = bench.send("pick", pick(bench)).result()
    finally:
        bench.set_parameter("simulator", "fault.camera", "none")

    assert result.error_code == ErrorCode.ARM_NO_DEPTH
    assert "camera" in result.error_msg


def test_a_camera_lost_in_motion_stops_the_arm(bench):
    def lose(phase):
        if phase == Phase.MOVING:
            threading.Thread(
                target=bench.set_parameter, args=("simulator", "fault.camera", "lost")
            ).start()

    try:
        result = bench.send("pick", pick(bench), lose).result()
    finally:
        bench.set_parameter("simulator", "fault.camera", "none")

    assert result.error_code == ErrorCode.ARM_NO_DEPTH
    assert result.phase in (Phase.MOVING, Phase.APPROACHING)
    assert bench.speed() < 0.02


def test_an_inactive_node_refuses_and_an_active_one_reports(bench):
    assert bench.transition("deactivate")
    refused = bench.send("pick", pick(bench)).result()
    assert bench.transition("activate")
    heard, ready = [], threading.Event()

    def take(message):
        for status in message.status:
            if status.name == "arm: readiness":
                heard.append({v.key: v.value for v in status.values} | {"m": status.message})
                ready.set()

    subscription = bench.client.create_subscription(DiagnosticArray, "diagnostics", take, 10)
    assert ready.wait(10)
    bench.client.destroy_subscription(subscription)

    assert refused.error_code == ErrorCode.NOT_ACTIVE
    assert heard[0]["planner"] == "embedded"
    assert heard[0]["active"] == "True"


@pytest.mark.slow
def test_deactivation_brings_a_moving_arm_to_rest(bench):
    moving = threading.Event()
    sent = bench.send("pick", pick(bench), lambda phase: phase == Phase.MOVING and moving.set())
    assert moving.wait(30)
    limit = monotonic() + 10
    while bench.speed() < 0.3 and monotonic() < limit:
        pass

    assert bench.transition("deactivate")

    assert bench.speed() < 0.02
    result = sent.result()
    assert result.error_code == ErrorCode.NOT_ACTIVE, result.error_msg
    assert bench.transition("cleanup")
    assert bench.transition("configure")
    assert bench.transition("activate")


def test_a_block_is_picked_and_placed_end_to_end(bench):
    held, known = [], threading.Event()
    subscription = bench.client.create_subscription(
        HeldObject, "held_object", lambda m: (held.append(m), m.held and known.set()), LATCHED
    )

    picked = bench.send("pick", pick(bench))
    result = picked.result()

    assert result.error_code == ErrorCode.SUCCESS, result.error_msg
    assert result.held_object.held
    assert 0.03 < result.held_object.width_m < 0.065
    assert bench.where("block")[2] > 0.1
    order = [Phase.PLANNING, Phase.MOVING, Phase.APPROACHING, Phase.LIFTING]
    # An arm that stands elsewhere goes home first, which is checked, too.
    after = picked.phases[picked.phases.index(Phase.CHOOSING) :]
    assert [phase for phase in after if phase in order] == order
    assert known.wait(5)
    assert held[-1].label == "thing"
    full = bench.send("pick", pick(bench)).result()
    assert full.error_code == ErrorCode.ARM_GRIPPER_FULL
    placed = bench.send("place", Place.Goal(reference=bench.reference(0.5, -0.15, 0.0))).result()
    assert placed.error_code == ErrorCode.SUCCESS, placed.error_msg
    assert not placed.held_object.held
    assert placed.position_error < 0.02
    assert np.hypot(*(bench.where("block")[:2] - [0.5, -0.15])) < 0.02
    bench.client.destroy_subscription(subscription)
