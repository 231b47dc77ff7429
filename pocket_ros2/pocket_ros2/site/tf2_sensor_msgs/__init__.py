# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Transforms for point clouds; importing this registers them."""

from tf2_sensor_msgs.tf2_sensor_msgs import (
    do_transform_cloud,
    from_msg_msg,
    to_msg_msg,
    transform_points,
)

__all__ = ["do_transform_cloud", "from_msg_msg", "to_msg_msg", "transform_points"]
