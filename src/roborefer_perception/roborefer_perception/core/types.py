# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The values that the modules of this package hand to each other."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from roborefer_perception.core.camera import Array, Camera

Mask = npt.NDArray[np.bool_]


class Kind(IntEnum):
    """What is referred to: the constants KIND_* of roborefer_msgs/SpatialReference."""

    UNKNOWN = 0
    OBJECT = 1
    PART = 2
    FREE_SPACE = 3
    INSIDE = 4


@dataclass(frozen=True, eq=False)
class RgbdFrame:
    """One look of an RGB-D camera.

    Attributes:
        stamp_ns: When the colour image was taken.
        frame_id: Optical frame of it.
        rgb: uint8, shape (height, width, 3).
        depth_m: Registered to rgb; along the optical axis, float32 metres, shape (height, width);
            0 where nothing was measured.
        camera: Intrinsics of both.
        skew_s: Stamp of depth minus stamp of colour.
    """

    stamp_ns: int
    frame_id: str
    rgb: npt.NDArray[np.uint8]
    depth_m: npt.NDArray[np.float32]
    camera: Camera
    skew_s: float = 0.0


@dataclass(frozen=True, eq=False)
class Place:
    """A place on a visible surface, in the optical frame of one picture.

    Attributes:
        point: On the surface, metres, shape (3,).
        rotation: Columns are x, y, z of the place in the optical frame, shape (3, 3): z is the
            outward normal, x the direction in the surface that is nearest to the camera's right.
        covariance: Of x, y, z and rotations about the axes of the optical frame, m² and rad²,
            shape (6, 6).
        extent: Of the visible surface or object along x, y, z of the place, metres, shape (3,);
            zero where it is not measured.
        pixel: u and v, after snapping.
        snapped_px: By how much the pixel was moved onto the thing that it just missed.
        region: The pixels that were taken for the same surface or thing, shape (height, width).
        kind: What lies there; UNKNOWN only when that was not asked.
    """

    point: Array
    rotation: Array
    covariance: Array
    extent: Array
    pixel: tuple[float, float]
    snapped_px: float
    region: Mask
    kind: Kind
