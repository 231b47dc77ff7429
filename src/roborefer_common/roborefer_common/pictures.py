# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Images of cameras as core types; nothing is decoded or copied before it is asked for."""

from __future__ import annotations

from sensor_msgs.msg import Image

from roborefer_common.core.pictures import RawPicture
from roborefer_common.times import nanoseconds


def picture_from_msg(message: Image) -> RawPicture:
    """Take over a picture; its data are not copied."""
    return RawPicture(
        int(message.width), int(message.height), message.encoding, int(message.step),
        bool(message.is_bigendian), memoryview(message.data), nanoseconds(message.header.stamp),
    )  # fmt: skip
