# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Point clouds to arrays and back."""

from __future__ import annotations

import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

MIXED = [
    PointField(name="x", offset=0, datatype=PointField.FLOAT32, count=1),
    PointField(name="y", offset=4, datatype=PointField.FLOAT32, count=1),
    PointField(name="rgb", offset=12, datatype=PointField.UINT8, count=3),
]


def mixed_cloud():
    return point_cloud2.create_cloud(
        Header(frame_id="camera"), MIXED, [(1, 2, 3, 4, 5), (6, float("nan"), 8, 9, 10)], 16
    )


def test_structured_points_with_gaps_and_repeated_fields_survive():
    cloud = mixed_cloud()

    points = point_cloud2.read_points(cloud)

    assert (cloud.point_step, cloud.row_step, len(cloud.data)) == (16, 32, 32)
    assert points.dtype.names == ("x", "y", "rgb_0", "rgb_1", "rgb_2")
    assert points[0].tolist() == (1.0, 2.0, 3, 4, 5)


def test_nan_is_skipped_only_in_requested_fields_of_clouds_that_are_not_dense():
    cloud = mixed_cloud()

    assert len(point_cloud2.read_points(cloud, ["x", "y"], skip_nans=True)) == 1
    assert len(point_cloud2.read_points(cloud, ["x"], skip_nans=True)) == 2
    cloud.is_dense = True
    assert len(point_cloud2.read_points(cloud, ["x", "y"], skip_nans=True)) == 2


def test_big_endian_data_is_swapped_and_the_message_left_alone():
    cloud = point_cloud2.create_cloud_xyz32(Header(), [(1, 2, 3)])
    cloud.data = np.array([1, 2, 3], ">f4").tobytes()
    cloud.is_bigendian = True

    for _ in range(2):
        assert point_cloud2.read_points_numpy(cloud).tolist() == [[1, 2, 3]]


def test_rows_may_be_padded():
    cloud = point_cloud2.create_cloud_xyz32(Header(), np.arange(12.0).reshape(4, 3))
    row = bytes(cloud.data[:24]), bytes(cloud.data[24:])
    padded = PointCloud2(
        height=2, width=2, fields=cloud.fields, point_step=12, row_step=30,
        data=row[0] + b"\xff" * 6 + row[1],
    )  # fmt: skip

    points = point_cloud2.read_points_numpy(padded)

    assert points.tolist() == np.arange(12.0).reshape(4, 3).tolist()


def test_an_organised_cloud_keeps_the_shape_it_was_made_with():
    fields = point_cloud2.create_cloud_xyz32(Header(), [(0, 0, 0)]).fields
    kind = point_cloud2.dtype_from_fields(fields)
    grid = np.zeros((4, 3), kind)
    grid["x"] = np.arange(12).reshape(4, 3)

    cloud = point_cloud2.create_cloud(Header(), fields, grid)

    assert (cloud.width, cloud.height) == (4, 3)
    seen = point_cloud2.read_points(cloud, reshape_organized_cloud=True)
    np.testing.assert_array_equal(seen, grid)


def test_points_can_be_picked_and_listed():
    cloud = point_cloud2.create_cloud_xyz32(Header(), np.arange(12).reshape(4, 3))

    assert point_cloud2.read_points(cloud, ["z"], uvs=[3, 0])["z"].tolist() == [11, 2]
    listed = point_cloud2.read_points_list(cloud, ["x", "z"])
    assert (listed[1].x, listed[1].z) == (3.0, 5.0)


def test_wrong_clouds_are_refused():
    cloud = mixed_cloud()
    with pytest.raises(AssertionError, match="same datatype"):
        point_cloud2.read_points_numpy(cloud)
    with pytest.raises(AssertionError, match="not in the PointCloud"):
        point_cloud2.read_points(cloud, ["nothing"])
    cloud.width = 3
    with pytest.raises(ValueError, match="32 bytes of data, its sizes ask for 48"):
        point_cloud2.read_points(cloud)
    with pytest.raises(ValueError, match="datatype 99"):
        point_cloud2.dtype_from_fields([PointField(name="x", datatype=99, count=1)])
