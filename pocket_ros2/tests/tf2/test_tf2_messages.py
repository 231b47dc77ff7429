# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages in other frames: geometry and point clouds, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import tf2_geometry_msgs
import tf2_sensor_msgs
from geometry_msgs.msg import (
    Point32,
    PointStamped,
    PolygonStamped,
    PoseStamped,
    PoseWithCovarianceStamped,
    TransformStamped,
    Vector3Stamped,
)
from rclpy.duration import Duration
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header
from tf2_ros import Buffer, TypeException, convert

# A quarter turn about Z, then one about X: (x, y, z) -> (-y, -z, x).
HALF = 0.5
TURN = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
MOVE = np.array([1.0, 2.0, 3.0])


@pytest.fixture
def buffer():
    message = TransformStamped(child_frame_id="camera")
    message.header.frame_id = "map"
    message.header.stamp.sec = 5
    move, turn = message.transform.translation, message.transform.rotation
    move.x, move.y, move.z = MOVE.tolist()
    turn.x, turn.y, turn.z, turn.w = HALF, -HALF, HALF, HALF
    buffer = Buffer()
    buffer.set_transform_static(message, "test")
    return buffer


def header():
    made = Header(frame_id="camera")
    made.stamp.sec = 5
    return made


def xyz(item):
    return np.array([item.x, item.y, item.z])


def test_the_turn_of_these_tests_is_what_it_says(buffer):
    point = PointStamped(header=header())
    point.point.x = 1.0

    assert xyz(buffer.transform(point, "map").point) == pytest.approx(MOVE + TURN[:, 0])


def test_points_move_and_directions_only_turn(buffer):
    point, arrow = PointStamped(header=header()), Vector3Stamped(header=header())
    for item in (point.point, arrow.vector):
        item.x, item.y, item.z = 4.0, 5.0, 6.0
    expected = TURN @ [4, 5, 6]

    moved = buffer.transform(point, "map", Duration(seconds=1))

    assert xyz(moved.point) == pytest.approx(expected + MOVE)
    assert moved.header.frame_id == "map"
    assert moved.header.stamp.sec == 5
    assert xyz(buffer.transform(arrow, "map").vector) == pytest.approx(expected)


def test_poses_turn_with_the_frame(buffer):
    pose = PoseStamped(header=header())
    pose.pose.position.x = 2.0
    pose.pose.orientation.z, pose.pose.orientation.w = 1.0, 0.0

    moved = buffer.transform(pose, "map").pose

    assert xyz(moved.position) == pytest.approx(TURN @ [2, 0, 0] + MOVE)
    tip = TransformStamped()
    tip.transform.rotation = moved.orientation
    seen = tf2_geometry_msgs.tf2_geometry_msgs._matrix(
        tf2_geometry_msgs.tf2_geometry_msgs._rigid(tip)
    )
    assert seen == pytest.approx(TURN @ np.diag([-1.0, -1.0, 1.0]))


def test_covariance_turns_block_by_block(buffer):
    pose = PoseWithCovarianceStamped(header=header())
    square = np.random.default_rng(3).normal(size=(6, 6))
    covariance = square @ square.T
    pose.pose.covariance = covariance.reshape(36)

    moved = buffer.transform(pose, "map")

    both = np.kron(np.eye(2), TURN)
    seen = np.array(moved.pose.covariance).reshape(6, 6)
    assert seen == pytest.approx(both @ covariance @ both.T)


def test_polygons_move_point_by_point(buffer):
    polygon = PolygonStamped(header=header())
    polygon.polygon.points = [Point32(x=1.0), Point32(y=1.0)]

    moved = buffer.transform(polygon, "map").polygon.points

    assert [xyz(p) for p in moved] == [
        pytest.approx(TURN[:, 0] + MOVE),
        pytest.approx(TURN[:, 1] + MOVE),
    ]


def test_clouds_move_and_keep_their_other_fields(buffer):
    fields = [
        *point_cloud2.create_cloud_xyz32(Header(), [(0, 0, 0)]).fields,
        point_cloud2.PointField(name="intensity", offset=16, datatype=4, count=1),
    ]
    points = [(1, 2, 3, 77), (4, 5, 6, 88)]
    cloud = point_cloud2.create_cloud(header(), fields, points, 20)
    cloud.height, cloud.width, cloud.row_step = 2, 1, 20

    moved = buffer.transform(cloud, "map")

    seen = point_cloud2.read_points(moved)
    expected = np.array([p[:3] for p in points]) @ TURN.T + MOVE
    assert np.stack([seen[n] for n in "xyz"], 1) == pytest.approx(expected)
    assert seen["intensity"].tolist() == [77, 88]
    assert (moved.height, moved.width, moved.header.frame_id) == (2, 1, "map")
    assert point_cloud2.read_points(cloud)["x"].tolist() == [1, 4]


def test_points_of_an_array_move_alike(buffer):
    transform = buffer.lookup_transform("map", "camera", header().stamp)

    moved = tf2_sensor_msgs.transform_points([[1, 2, 3]], transform.transform)

    assert moved[0] == pytest.approx(TURN @ [1, 2, 3] + MOVE)


def test_an_unregistered_type_is_refused_by_name(buffer):
    with pytest.raises(TypeException, match="Header"):
        buffer.transform(header(), "map")


def test_converting_to_the_same_type_copies():
    point = PointStamped(header=header())

    copy = convert(point, PointStamped)

    assert copy == point
    assert copy is not point
