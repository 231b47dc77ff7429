# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages to core types and back: units, frames, encodings, codes."""

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, Transform, Vector3
from roborefer_grasping.core.gripper import Gripper
from roborefer_grasping.core.motion import Phase, Reason
from roborefer_grasping.core.planning.interface import Trajectory
from roborefer_grasping.core.rectify import distorted, rectified, undistorted_pixel
from roborefer_grasping.core.world import Obstacle, Shape, World
from roborefer_grasping.exceptions import SceneError
from sensor_msgs.msg import CameraInfo, Image
from visualization_msgs.msg import Marker

from roborefer_grasping import conversions
from roborefer_msgs.msg import ErrorCode, SpatialReference
from roborefer_msgs.msg import Phase as PhaseMsg


def image(pixels, encoding, big=False, padding=0):
    height, width = pixels.shape
    rows = np.zeros((height, width * pixels.dtype.itemsize + padding), np.uint8)
    rows[:, : width * pixels.dtype.itemsize] = pixels.view(np.uint8).reshape(height, -1)
    message = Image(
        height=height, width=width, encoding=encoding, is_bigendian=int(big), step=rows.shape[1]
    )
    message.data = rows.tobytes()
    return message


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("order", ["<", ">"])
def test_millimetres_become_metres_whatever_the_layout(order, padding):
    pixels = np.array([[0, 1000, 65535], [1, 250, 3]], f"{order}u2")

    depth = conversions.depth_from_msg(image(pixels, "16UC1", order == ">", padding))

    np.testing.assert_allclose(depth, [[0, 1.0, 65.535], [0.001, 0.25, 0.003]], rtol=1e-6)
    assert depth.dtype == np.float32


def test_metres_stay_and_what_is_not_finite_is_no_measurement():
    pixels = np.array([[0.5, np.nan], [np.inf, -np.inf]], "<f4")

    depth = conversions.depth_from_msg(image(pixels, "32FC1"))

    np.testing.assert_array_equal(depth, [[0.5, 0.0], [0.0, 0.0]])


def test_what_is_no_depth_image_is_refused():
    good = image(np.ones((2, 2), "<u2"), "16UC1")
    for change in ({"encoding": "rgb8"}, {"step": 1}, {"height": 9}, {"width": 0}):
        wrong = image(np.ones((2, 2), "<u2"), "16UC1")
        for name, value in change.items():
            setattr(wrong, name, value)
        with pytest.raises(SceneError):
            conversions.depth_from_msg(wrong)
    info = CameraInfo(width=3, height=2, k=[1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0])
    with pytest.raises(SceneError, match="3 x 2"):
        conversions.view_from_msgs(good, info, np.eye(4))


def test_every_reason_and_phase_is_a_constant_of_the_messages():
    codes = {conversions.code_of(reason) for reason in Reason}

    assert len(codes) == len(Reason)
    assert conversions.code_of(None) == ErrorCode.SUCCESS
    assert all(code < 100 or 200 <= code < 300 for code in codes)
    assert conversions.phase_code(Phase.LIFTING) == PhaseMsg.LIFTING
    assert len({conversions.phase_code(phase) for phase in Phase}) == len(Phase)


def test_poses_survive_the_way_to_a_message_and_back():
    turn = Quaternion(x=0.5, y=-0.5, z=0.5, w=0.5)
    transform = Transform(translation=Vector3(x=1.0, y=2.0, z=3.0), rotation=turn)

    pose = conversions.pose_from_transform(transform)
    message = conversions.pose_to_msg(pose)

    np.testing.assert_allclose(pose[:3, 3], [1, 2, 3])
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
    again = [getattr(message.orientation, axis) for axis in "xyzw"]
    np.testing.assert_allclose(np.abs(again), 0.5, atol=1e-12)


def test_a_reference_comes_into_the_frame_of_the_base():
    message = SpatialReference(label="mug", image_width=640, image_height=480)
    message.pixel.u, message.pixel.v = 320.5, 100.0
    message.header.stamp = Time(sec=3, nanosec=5)
    message.pose.pose.pose.position.x = 1.0
    message.id.uuid = np.arange(16, dtype=np.uint8)
    quarter = np.eye(4)
    quarter[:2, :2], quarter[:3, 3] = [[0, -1], [1, 0]], (0.5, 0, 0.1)

    reference = conversions.reference_from_msg(message, quarter)
    without = conversions.reference_from_msg(message, None)

    np.testing.assert_allclose(reference.position, [0.5, 1.0, 0.1])
    assert reference.yaw_offset == pytest.approx(np.pi / 2)
    assert reference.stamp_ns == 3_000_000_005
    assert reference.identity == bytes(range(16))
    assert (reference.pixel, reference.size) == ((320.5, 100.0), (640, 480))
    assert without.position is None


def test_trajectories_have_no_accelerations_so_that_controllers_follow_what_was_checked():
    rows = np.arange(18, dtype=float).reshape(3, 6)
    trajectory = Trajectory(np.array([2.0, 2.5, 3.25]), rows, rows / 10, rows / 100)

    message = conversions.trajectory_to_msg(trajectory, list("abcdef"), 1_500_000_000)

    assert list(message.joint_names) == list("abcdef")
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1, 500_000_000)
    starts = [(p.time_from_start.sec, p.time_from_start.nanosec) for p in message.points]
    assert starts == [(0, 0), (0, 500_000_000), (1, 250_000_000)]
    np.testing.assert_allclose(message.points[2].velocities, rows[2] / 10)
    assert not any(len(point.accelerations) for point in message.points)
    assert not conversions.trajectory_to_msg(None, []).points


def test_markers_replace_those_of_before():
    box = Obstacle("target", Shape.BOX, np.array([0.1, 0.2, 0.3]), np.eye(4))
    stamp = Time(sec=1)

    scene = conversions.scene_markers(World([box]), "base_link", stamp)
    grasps = conversions.grasp_markers([np.eye(4)] * 2, Gripper(), "base_link", stamp)

    assert [m.action for m in scene.markers] == [Marker.DELETEALL, Marker.ADD]
    assert (scene.markers[1].ns, scene.markers[1].scale.z) == ("target", 0.3)
    assert [m.action for m in grasps.markers] == [Marker.DELETEALL, Marker.ADD, Marker.ADD]
    assert {m.header.frame_id for m in (*scene.markers, *grasps.markers)} == {"base_link"}


K = (615.0, 0.0, 319.5, 0.0, 615.0, 239.5, 0.0, 0.0, 1.0)
BARREL = (-0.25, 0.08, 0.001, -0.0008, 0.0)


def test_a_rectified_pixel_shows_what_the_lens_showed():
    u, v = 90.0, 60.0
    lens_x, lens_y = distorted(
        np.array([(u - K[2]) / K[0]]), np.array([(v - K[5]) / K[4]]), "plumb_bob", BARREL
    )
    seen = (float(lens_x[0] * K[0] + K[2]), float(lens_y[0] * K[4] + K[5]))
    depth = np.ones((480, 640), np.float32)
    depth[round(seen[1]), round(seen[0])] = 0.5

    result = rectified(depth, K, "plumb_bob", BARREL)

    assert np.hypot(seen[0] - u, seen[1] - v) > 3
    assert result[int(v), int(u)] == 0.5
    np.testing.assert_allclose(undistorted_pixel(*seen, K, "plumb_bob", BARREL), (u, v), atol=1e-6)


def test_an_unknown_lens_is_refused():
    with pytest.raises(SceneError, match="equidistant"):
        rectified(np.ones((4, 4), np.float32), K, "equidistant", (0.1,))
