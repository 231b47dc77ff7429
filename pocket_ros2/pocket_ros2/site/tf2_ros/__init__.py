# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames on the wire: a buffer that listens, and broadcasters."""

from tf2_py import *  # noqa: F403

from tf2_ros.buffer import *  # noqa: F403
from tf2_ros.buffer_interface import *  # noqa: F403
from tf2_ros.static_transform_broadcaster import *  # noqa: F403
from tf2_ros.transform_broadcaster import *  # noqa: F403
from tf2_ros.transform_listener import *  # noqa: F403
