# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Transforms for point clouds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tf2_ros
from geometry_msgs.msg import Transform, TransformStamped
from sensor_msgs.msg import PointCloud2
from sensor_msgs_py.point_cloud2 import create_cloud, read_points
from tf2_geometry_msgs.tf2_geometry_msgs import _matrix, _rigid, from_msg_msg, to_msg_msg

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def transform_points(
    point_cloud: ArrayLike, transform: Transform | TransformStamped
) -> NDArray[np.float64]:
    """Return an n x 3 array of points in the frame that the transform leads to."""
    if isinstance(transform, Transform):
        transform = TransformStamped(transform=transform)
    rigid = _rigid(transform)
    return np.asarray(point_cloud) @ _matrix(rigid).T + np.array(rigid[:3])


def do_transform_cloud(cloud: PointCloud2, transform: TransformStamped) -> PointCloud2:
    """Return the cloud with x, y and z moved, and all other fields as they are."""
    points = read_points(cloud).copy()
    names = ["x", "y", "z"]
    moved = transform_points(np.stack([points[name] for name in names], axis=-1), transform)
    for index, name in enumerate(names):
        points[name] = moved[:, index]
    result = create_cloud(transform.header, cloud.fields, points, cloud.point_step)
    result.height, result.width = cloud.height, cloud.width
    result.row_step, result.is_dense = cloud.width * cloud.point_step, cloud.is_dense
    return result


tf2_ros.TransformRegistration().add(PointCloud2, do_transform_cloud)
tf2_ros.ConvertRegistration().add_to_msg(PointCloud2, to_msg_msg)
tf2_ros.ConvertRegistration().add_from_msg(PointCloud2, from_msg_msg)
