# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the node publishes: pictures, joints, clock, frames, faults."""

import threading
from pathlib import Path

import mujoco
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.parameter import Parameter
from roborefer_sim.core.arm import ARM_JOINTS, FINGER_JOINTS
from roborefer_sim.core.cell import CameraPlace
from roborefer_sim.nodes import parameters
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from simulation_interfaces.srv import GetEntitiesStates

COLOR = "camera/color/image_raw"
DEPTH = "camera/aligned_depth_to_color/image_raw"
INFO = "camera/color/camera_info"


@pytest.fixture(scope="module")
def bench(start, small):
    with start(**small, **{"scene.things": 3, "scene.seed": 4}) as bench:
        yield bench


def set_parameter(bench, name, value):
    parameter = Parameter(name, value=value).to_parameter_msg()
    answer = bench.call(SetParameters, "simulator/set_parameters", parameters=[parameter])
    return answer.results[0]


def test_the_three_of_a_picture_have_the_very_same_stamp(bench):
    found = {name: {} for name in (COLOR, DEPTH, INFO)}
    complete = threading.Event()

    def take(name, message):
        found[name][bench.stamp(message)] = message
        if len(set.intersection(*(set(messages) for messages in found.values()))) >= 3:
            complete.set()

    subscriptions = [
        bench.client.create_subscription(kind, name, lambda m, name=name: take(name, m), 10)
        for name, kind in ((COLOR, Image), (DEPTH, Image), (INFO, CameraInfo))
    ]
    assert complete.wait(10.0)
    for subscription in subscriptions:
        bench.client.destroy_subscription(subscription)

    common = set.intersection(*(set(messages) for messages in found.values()))
    color, depth, info = (found[name][min(common)] for name in (COLOR, DEPTH, INFO))
    assert {m.header.frame_id for m in (color, depth, info)} == {"camera_color_optical_frame"}
    assert (color.encoding, depth.encoding) == ("rgb8", "16UC1")
    assert {(m.width, m.height) for m in (color, depth, info)} == {(160, 120)}
    assert (color.step, depth.step) == (480, 320)
    assert info.distortion_model == "plumb_bob"
    assert list(info.d) == [0.0] * 5
    np.testing.assert_allclose(info.k, [154, 0, 79.5, 0, 154, 59.5, 0, 0, 1])


def test_pictures_come_at_their_rate_of_simulated_time(bench):
    # Pictures begin with the first subscription, which may be heard of late.
    infos = bench.several(CameraInfo, INFO, 6)[1:]

    times = np.array([sec + nanosec * 1e-9 for sec, nanosec in map(bench.stamp, infos)])
    np.testing.assert_allclose(np.diff(times), 0.1, atol=1e-9)


def test_depth_is_that_of_the_table_in_millimetres(bench):
    depth = bench.pixels(bench.first(Image, DEPTH))

    # The optical axis meets the table near the target of the camera.
    place = CameraPlace()
    ahead = place.t_world_optical[:3, 2]
    expected = -place.position[2] / ahead[2]
    assert np.median(depth[58:62, 78:82]) == pytest.approx(expected * 1000, rel=0.1)


def test_joint_states_have_arm_and_gripper_at_their_rate(bench):
    states = bench.several(JointState, "joint_states", 5)

    assert tuple(states[0].name) == (*ARM_JOINTS, *FINGER_JOINTS)
    for field in ("position", "velocity", "effort"):
        assert len(getattr(states[0], field)) == 8
    times = np.array([sec + nanosec * 1e-9 for sec, nanosec in map(bench.stamp, states)])
    np.testing.assert_allclose(np.diff(times), 0.008, atol=1e-9)


def test_clock_goes_on(bench):
    clocks = bench.several(Clock, "/clock", 5)

    times = [message.clock.sec + message.clock.nanosec * 1e-9 for message in clocks]
    assert times == sorted(times)
    assert times[-1] > times[0]


def test_frames_lead_from_world_to_camera_and_tool(bench):
    camera = bench.transform("world", "camera_color_optical_frame")
    tool = bench.transform("world", "tool0")
    tcp = bench.transform("tool0", "tcp")

    place = CameraPlace()
    at = camera.translation
    np.testing.assert_allclose([at.x, at.y, at.z], place.position, atol=1e-9)
    cell = bench.node._simulation.cell
    at = tool.translation
    np.testing.assert_allclose([at.x, at.y, at.z], cell.data.body("tool0").xpos, atol=1e-4)
    np.testing.assert_allclose([tcp.translation.z, tcp.rotation.w], [0.1285, 1.0], atol=1e-9)


def test_things_are_seen_where_the_truth_and_the_frames_say(bench):
    states = bench.call(GetEntitiesStates, "get_entities_states")
    depth, info = bench.first(Image, DEPTH), bench.first(CameraInfo, INFO)
    measured = bench.pixels(depth)[..., 0] / 1000.0

    pose = CameraPlace().t_world_optical
    for name, state in zip(states.entities, states.states, strict=True):
        if name == "ur5":
            continue
        at = state.pose.position
        x, y, z = pose[:3, :3].T @ (np.array([at.x, at.y, at.z + 0.01]) - pose[:3, 3])
        u, v = info.k[0] * x / z + info.k[2], info.k[4] * y / z + info.k[5]
        patch = measured[int(v) - 6 : int(v) + 4, int(u) - 3 : int(u) + 4]
        # What stands there is nearer than the point on the table below it, and not by much; a
        # camera of so few pixels measures with a deviation of several millimetres.
        assert -0.05 < z - np.median(patch[patch > 0]) < 0.25, name


def test_frozen_camera_repeats_its_picture_with_new_stamps(bench):
    assert set_parameter(bench, "fault.camera", "frozen").successful
    bench.several(Image, COLOR, 2)

    first, *rest = bench.several(Image, COLOR, 4)

    assert set_parameter(bench, "fault.camera", "none").successful
    assert all(message.data == first.data for message in rest)
    assert bench.stamp(rest[-1]) > bench.stamp(first)
    # A live picture has noise, so it never repeats.
    first, *rest = bench.several(Image, COLOR, 4)[1:]
    assert all(message.data != first.data for message in rest)


def test_lost_camera_is_silent_while_joints_go_on(bench):
    heard = []
    assert set_parameter(bench, "fault.camera", "lost").successful
    bench.several(JointState, "joint_states", 100)

    subscription = bench.client.create_subscription(Image, COLOR, heard.append, 10)
    bench.several(JointState, "joint_states", 200)

    bench.client.destroy_subscription(subscription)
    assert set_parameter(bench, "fault.camera", "none").successful
    assert not heard
    assert bench.first(Image, COLOR)


def test_faults_are_told_in_diagnostics(bench):
    def broken(message):
        return "fault.gripper_limp" in message.status[0].message

    assert set_parameter(bench, "fault.gripper_limp", True).successful
    told = bench.first(DiagnosticArray, "diagnostics", broken)
    assert set_parameter(bench, "fault.gripper_limp", False).successful

    assert told.status[0].level == told.status[0].WARN
    assert {"real_time_factor", "pictures"} <= {pair.key for pair in told.status[0].values}


@pytest.mark.parametrize(
    ("name", "value"),
    [("fault.camera", "melted"), ("scene.seed", 7), ("sensor.strength", 99.0)],
)
def test_wrong_or_fixed_parameters_are_refused(bench, name, value):
    result = set_parameter(bench, name, value)

    assert not result.successful
    assert result.reason


def test_every_parameter_is_described_with_its_range(bench):
    names = [row.name for row in parameters.TABLE]

    answer = bench.call(DescribeParameters, "simulator/describe_parameters", names=names)

    for row, descriptor in zip(parameters.TABLE, answer.descriptors, strict=True):
        assert row.description in descriptor.description
        assert descriptor.read_only == row.fixed
        ranges = len(descriptor.integer_range) + len(descriptor.floating_point_range)
        assert ranges == (row.low is not None)


def test_warnings_of_physics_go_to_the_log(bench, capfd):
    ball = "<body><freejoint/><geom size='1'/></body>"
    model = mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{ball}</worldbody></mujoco>")
    data = mujoco.MjData(model)
    data.qpos[0] = 1e12

    mujoco.mj_step(model, data)

    assert "MuJoCo: Nan, Inf or huge value in QPOS" in capfd.readouterr().err
    assert not Path("MUJOCO_LOG.TXT").exists()
