# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A thin cloud of coloured points from a depth picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from roborefer_common.core.pictures import RawPicture, decode_depth
from roborefer_common.exceptions import PictureError

from roborefer_operator.exceptions import ConsoleError

_STEP = 4
_FARTHEST_M = 6.0
_GRAY = 150


@dataclass(frozen=True)
class Pinhole:
    """Focal lengths and principal point of the depth picture, pixels."""

    fx: float
    fy: float
    cx: float
    cy: float


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points in the optical frame.

    Attributes:
        points: Metres, shape (n, 3).
        colors: Red, green, blue, shape (n, 3).
    """

    points: npt.NDArray[np.float32]
    colors: npt.NDArray[np.uint8]


def cloud_of(depth: RawPicture, camera: Pinhole, jpeg: bytes | None) -> Cloud:
    """Lift every fourth pixel of every fourth row.

    Args:
        depth: Aligned with the colour picture.
        camera: Of it.
        jpeg: The colour picture; None: the points are gray.

    Raises:
        ConsoleError: The picture is not what it says, or the camera has no focal length.
    """
    if not camera.fx > 0.0 or not camera.fy > 0.0:
        raise ConsoleError(
            f"no cloud with focal lengths {camera.fx:g} and {camera.fy:g}; they have to be above 0"
        )
    try:
        z = decode_depth(depth)[::_STEP, ::_STEP]
    except PictureError as error:
        raise ConsoleError(str(error)) from error
    v, u = np.mgrid[0 : depth.height : _STEP, 0 : depth.width : _STEP].astype(np.float32)
    good = (z > 0.0) & (z < _FARTHEST_M)
    u, v, z = u[good], v[good], z[good]
    points = np.stack(
        [(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z], axis=1
    )
    return Cloud(points.astype(np.float32), _colors(jpeg, good))


def _colors(jpeg: bytes | None, good: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    if jpeg is not None:
        small = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_REDUCED_COLOR_4)
        if small is not None and small.shape[:2] == good.shape:
            return np.asarray(small[good][:, ::-1], np.uint8)
    return np.full((int(good.sum()), 3), _GRAY, np.uint8)
