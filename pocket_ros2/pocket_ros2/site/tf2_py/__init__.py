# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The transform tree behind tf2_ros: samples over time, and lookups through the tree."""

from tf2_py._buffer_core import BufferCore as BufferCore
from tf2_py._exceptions import *  # noqa: F403
