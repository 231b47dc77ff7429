# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Recorded pictures to the messages of a camera."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Transform, TransformStamped
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, Image

from roborefer_perception.core.camera import Array, Camera
from roborefer_perception.core.recordings import DepthImage, RgbImage

# Where 16UC1 ends, millimetres.
_MOST_MM = 65535


def color_to_msg(rgb: RgbImage, frame: str, stamp: Time) -> Image:
    """Write a colour picture as rgb8, shape (height, width, 3)."""
    return _image(rgb, "rgb8", frame, stamp)


def depth_to_msg(depth_m: DepthImage, encoding: str, frame: str, stamp: Time) -> Image:
    """Write depth, shape (height, width), metres, 0 where nothing was measured.

    Args:
        depth_m: Along the optical axis.
        encoding: 32FC1, where nothing is NaN, or 16UC1, whole millimetres, where nothing, and what
            is farther than 65.535 m, is 0.
        frame: Optical frame.
        stamp: When it was taken.
    """
    if encoding == "16UC1":
        millimetres = np.rint(depth_m * 1000)
        return _image(
            np.where(millimetres <= _MOST_MM, millimetres, 0).astype("<u2"), encoding, frame, stamp
        )
    return _image(np.where(depth_m > 0, depth_m, np.nan).astype("<f4"), encoding, frame, stamp)


def camera_to_msg(camera: Camera, frame: str, stamp: Time) -> CameraInfo:
    """Write intrinsics and distortion."""
    fx, fy, cx, cy = camera.fx, camera.fy, camera.cx, camera.cy
    message = CameraInfo(
        height=camera.height,
        width=camera.width,
        distortion_model=camera.model or "plumb_bob",
        d=list(camera.d) if camera.d else [0.0] * 5,
        k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )
    message.header.frame_id, message.header.stamp = frame, stamp
    return message


def transform_to_msg(parent: str, child: str, pose: Array, stamp: Time) -> TransformStamped:
    """Write the pose of child in parent, shape (4, 4)."""
    message = TransformStamped(child_frame_id=child, transform=Transform())
    message.header.frame_id, message.header.stamp = parent, stamp
    move, turn = message.transform.translation, message.transform.rotation
    move.x, move.y, move.z = pose[:3, 3].tolist()
    turn.x, turn.y, turn.z, turn.w = Rotation.from_matrix(pose[:3, :3]).as_quat().tolist()
    return message


def _image(pixels: npt.NDArray[Any], encoding: str, frame: str, stamp: Time) -> Image:
    pixels = np.ascontiguousarray(pixels)
    message = Image(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=pixels.strides[0],
        data=array.array("B", pixels.tobytes()),
    )
    message.header.frame_id, message.header.stamp = frame, stamp
    return message
