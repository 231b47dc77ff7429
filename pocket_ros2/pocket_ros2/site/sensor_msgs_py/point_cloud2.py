# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Point clouds as numpy arrays, and back."""

from __future__ import annotations

import array
import sys
from collections import namedtuple
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured, unstructured_to_structured
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField

# By the numbers of PointField, INT8 to FLOAT64.
_DATATYPES = dict(enumerate(("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8"), start=1))


def dtype_from_fields(
    fields: Iterable[PointField], point_step: int | None = None
) -> np.dtype[Any]:
    """Return the numpy type of a point; a field of count n becomes n fields name_0, name_1.

    Raises:
        ValueError: A field has a datatype that PointField does not define.
    """
    names: list[str] = []
    formats, offsets = [], []
    for index, field in enumerate(fields):
        if field.datatype not in _DATATYPES:
            raise ValueError(f"field {field.name!r} has datatype {field.datatype}, not 1 to 8")
        kind = np.dtype(_DATATYPES[field.datatype])
        name = field.name or f"unnamed_field_{index}"
        assert field.count > 0, f"Can't process fields with count = 0: {name}"
        for part in range(field.count):
            full = f"{name}_{part}" if field.count > 1 else name
            assert full not in names, "Duplicate field names are not allowed!"
            names.append(full)
            formats.append(kind)
            offsets.append(field.offset + part * kind.itemsize)
    layout: dict[str, Any] = {"names": names, "formats": formats, "offsets": offsets}
    if point_step is not None:
        layout["itemsize"] = point_step
    return np.dtype(layout)


def read_points(
    cloud, field_names=None, skip_nans=False, uvs=None, reshape_organized_cloud=False
) -> NDArray[Any]:
    """Return the points as a structured array; a view of the message where that is possible.

    `skip_nans` looks only at the requested fields, and only if the cloud is not dense. An
    organised cloud is reshaped to (width, height), in this order, as everywhere in ROS 2.

    Raises:
        ValueError: The message holds less data than its sizes promise.
    """
    assert isinstance(cloud, PointCloud2), "Cloud is not a sensor_msgs.msg.PointCloud2"
    kind = dtype_from_fields(cloud.fields, cloud.point_step)
    row_step = max(cloud.row_step, cloud.width * cloud.point_step)
    needed = row_step * (cloud.height - 1) + cloud.width * cloud.point_step
    if cloud.height and cloud.width and len(cloud.data) < needed:
        raise ValueError(f"cloud has {len(cloud.data)} bytes of data, its sizes ask for {needed}")
    points: NDArray[Any] = np.ndarray(
        (cloud.height, cloud.width), kind, cloud.data, strides=(row_step, cloud.point_step)
    ).reshape(-1)
    if field_names is not None:
        missing = set(field_names) - set(kind.names or ())
        assert not missing, f"Requested fields {missing} are not in the PointCloud's {kind.names}"
        points = points[list(field_names)]
    if bool(cloud.is_bigendian) != (sys.byteorder == "big"):
        points = points.byteswap()
    if skip_nans and not cloud.is_dense:
        good = np.ones(len(points), bool)
        for name in points.dtype.names or ():
            good &= ~np.isnan(points[name])
        points = points[good]
    if uvs is not None:
        points = points[uvs if isinstance(uvs, np.ndarray) else np.fromiter(uvs, int)]
    if reshape_organized_cloud and cloud.height > 1:
        points = points.reshape(cloud.width, cloud.height)
    return points


def read_points_numpy(
    cloud, field_names=None, skip_nans=False, uvs=None, reshape_organized_cloud=False
) -> NDArray[Any]:
    """Return the points as a plain array, one column per field; all fields of one datatype."""
    kinds = {f.datatype for f in cloud.fields if field_names is None or f.name in field_names}
    assert len(kinds) <= 1, (
        "All fields need to have the same datatype. Use `read_points()` otherwise."
    )
    points = read_points(cloud, field_names, skip_nans, uvs, reshape_organized_cloud)
    return structured_to_unstructured(points)


def read_points_list(cloud, field_names=None, skip_nans=False, uvs=None) -> list[Any]:
    """Return the points as named tuples; slow, for a few points only."""
    points = read_points(cloud, field_names, skip_nans, uvs)
    point = namedtuple("Point", points.dtype.names or ())
    return [point._make(values) for values in points.tolist()]


def create_cloud(header, fields, points, step: int | None = None) -> PointCloud2:
    """Return a message with the points: a structured or plain array, or tuples.

    A two-dimensional structured array makes an organised cloud of shape (width, height).
    """
    kind = dtype_from_fields(fields, step)
    if not isinstance(points, np.ndarray):
        points = np.array([tuple(point) for point in points], kind)
    elif points.dtype.names is None:
        assert len({field.datatype for field in fields}) == 1, (
            "All fields need to have the same datatype. Pass a structured NumPy array otherwise."
        )
        points = unstructured_to_structured(points, dtype=kind)
    else:
        assert points.dtype == kind, f"PointFields mean {kind}, the array is {points.dtype}"
    assert points.ndim <= 2, f"points have {points.ndim} dimensions, a cloud has one or two"
    return PointCloud2(
        header=header,
        height=points.shape[1] if points.ndim == 2 else 1,
        width=points.shape[0],
        fields=fields,
        is_bigendian=sys.byteorder == "big",
        point_step=kind.itemsize,
        row_step=kind.itemsize * points.shape[0],
        is_dense=False,
        data=array.array("B", points.tobytes()),
    )


def create_cloud_xyz32(header, points, step: int | None = None) -> PointCloud2:
    """Return a message with float32 x, y and z."""
    fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate("xyz")
    ]
    return create_cloud(header, fields, points, step)
