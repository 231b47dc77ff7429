# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of cameras and transforms to core types; nothing is decoded before it is asked for."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Transform
from roborefer_common.core.pictures import Depth, Rgb
from roborefer_common.pictures import picture_from_msg
from roborefer_common.times import nanoseconds
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from roborefer_perception.core.arrivals import Arrived
from roborefer_perception.core.camera import Array, Camera
from roborefer_perception.core.compressed import PackedPicture, unpack_color, unpack_depth
from roborefer_perception.core.pictures import decode_color, decode_depth


def color_from_msg(message: Image | CompressedImage) -> Arrived[Rgb]:
    """Take a colour image of either transport."""
    stamp_ns, frame_id = nanoseconds(message.header.stamp), message.header.frame_id
    if isinstance(message, CompressedImage):
        return Arrived(stamp_ns, frame_id, lambda: unpack_color(_packed(message)))
    return Arrived(stamp_ns, frame_id, lambda: decode_color(picture_from_msg(message)))


def depth_from_msg(message: Image | CompressedImage) -> Arrived[Depth]:
    """Take a depth image of either transport."""
    stamp_ns, frame_id = nanoseconds(message.header.stamp), message.header.frame_id
    if isinstance(message, CompressedImage):
        return Arrived(stamp_ns, frame_id, lambda: unpack_depth(_packed(message)))
    return Arrived(stamp_ns, frame_id, lambda: decode_depth(picture_from_msg(message)))


def info_from_msg(message: CameraInfo) -> Arrived[Camera]:
    """Take intrinsics."""
    roi = message.roi
    width, height = message.width, message.height
    if roi.width and roi.height:
        width, height = roi.width, roi.height
    size = (width // max(1, message.binning_x), height // max(1, message.binning_y))
    return Arrived(
        nanoseconds(message.header.stamp),
        message.header.frame_id,
        lambda: camera_from_msg(message),
        size,
    )


def camera_from_msg(message: CameraInfo) -> Camera:
    """Read intrinsics, with binning and region of interest.

    Raises:
        ReferFailure: INVALID_INTRINSICS, or UNSUPPORTED_IMAGE for an unknown distortion model.
    """
    roi = message.roi
    return Camera.from_info(
        (int(message.width), int(message.height)),
        [float(value) for value in message.k],
        [float(value) for value in message.d],
        str(message.distortion_model),
        (int(message.binning_x), int(message.binning_y)),
        (int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)),
    )


def pose_from_transform(message: Transform) -> Array:
    """Pose of the child in its parent, shape (4, 4)."""
    move, turn = message.translation, message.rotation
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).as_matrix()
    pose[:3, 3] = (move.x, move.y, move.z)
    return pose


def _packed(message: CompressedImage) -> PackedPicture:
    return PackedPicture(str(message.format), memoryview(message.data))
