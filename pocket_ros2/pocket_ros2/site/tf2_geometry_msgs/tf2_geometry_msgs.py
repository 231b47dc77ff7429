# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Transforms for the stamped messages of geometry_msgs."""

from __future__ import annotations

from typing import Any

import numpy as np
import tf2_ros
from geometry_msgs.msg import (
    Point32,
    PointStamped,
    PolygonStamped,
    Pose,
    PoseStamped,
    PoseWithCovarianceStamped,
    TransformStamped,
    Vector3Stamped,
)
from numpy.typing import ArrayLike, NDArray
from tf2_py._rigid import IDENTITY, Rigid, canonical, compose


def to_msg_msg(msg: Any) -> Any:
    return msg


def from_msg_msg(msg: Any) -> Any:
    return msg


def transform_covariance(cov_in: ArrayLike, transform: TransformStamped) -> NDArray[np.float64]:
    """Return a 6x6 covariance (36 numbers, position then rotation) turned by a transform."""
    rotation = np.kron(np.eye(2), _matrix(_rigid(transform)))
    return (rotation @ np.asarray(cov_in).reshape(6, 6) @ rotation.T).reshape(36)


def do_transform_point(point: PointStamped, transform: TransformStamped) -> PointStamped:
    moved = PointStamped(header=transform.header)
    _move(_rigid(transform), point.point, moved.point)
    return moved


def do_transform_vector3(vector3: Vector3Stamped, transform: TransformStamped) -> Vector3Stamped:
    """Turn a direction; directions do not move with the origin."""
    moved = Vector3Stamped(header=transform.header)
    _move((0.0, 0.0, 0.0, *_rigid(transform)[3:]), vector3.vector, moved.vector)
    return moved


def do_transform_pose(pose: Pose, transform: TransformStamped) -> Pose:
    moved = Pose()
    at, turn = moved.position, moved.orientation
    rigid = _unit(compose(_rigid(transform), _values(pose.position, pose.orientation)))
    at.x, at.y, at.z, turn.x, turn.y, turn.z, turn.w = rigid
    return moved


def do_transform_pose_stamped(pose: PoseStamped, transform: TransformStamped) -> PoseStamped:
    return PoseStamped(header=transform.header, pose=do_transform_pose(pose.pose, transform))


def do_transform_pose_with_covariance_stamped(
    pose: PoseWithCovarianceStamped, transform: TransformStamped
) -> PoseWithCovarianceStamped:
    moved = PoseWithCovarianceStamped(header=transform.header)
    moved.pose.pose = do_transform_pose(pose.pose.pose, transform)
    moved.pose.covariance = transform_covariance(pose.pose.covariance, transform)
    return moved


def do_transform_polygon_stamped(
    polygon: PolygonStamped, transform: TransformStamped
) -> PolygonStamped:
    moved = PolygonStamped(header=transform.header)
    rigid = _rigid(transform)
    moved.polygon.points = [_move(rigid, point, Point32()) for point in polygon.polygon.points]
    return moved


def _values(position: Any, orientation: Any) -> Rigid:
    turn = (orientation.x, orientation.y, orientation.z, orientation.w)
    return _unit((position.x, position.y, position.z, *turn))


def _unit(rigid: Rigid) -> Rigid:
    """Return a pose with a unit quaternion; no quaternion at all means no rotation."""
    return canonical(rigid if any(rigid[3:]) else (*rigid[:3], *IDENTITY[3:]))


def _rigid(transform: TransformStamped) -> Rigid:
    return _values(transform.transform.translation, transform.transform.rotation)


def _move(rigid: Rigid, source: Any, result: Any) -> Any:
    at = (source.x, source.y, source.z, *IDENTITY[3:])
    result.x, result.y, result.z = compose(rigid, at)[:3]
    return result


def _matrix(rigid: Rigid) -> NDArray[np.float64]:
    turn = (0.0, 0.0, 0.0, *rigid[3:])
    axes = ((*axis, *IDENTITY[3:]) for axis in np.eye(3).tolist())
    return np.array([compose(turn, axis)[:3] for axis in axes]).T


for _type, _function in (
    (PointStamped, do_transform_point),
    (Vector3Stamped, do_transform_vector3),
    (PoseStamped, do_transform_pose_stamped),
    (PoseWithCovarianceStamped, do_transform_pose_with_covariance_stamped),
    (PolygonStamped, do_transform_polygon_stamped),
):
    tf2_ros.TransformRegistration().add(_type, _function)
    tf2_ros.ConvertRegistration().add_to_msg(_type, to_msg_msg)
    tf2_ros.ConvertRegistration().add_from_msg(_type, from_msg_msg)
