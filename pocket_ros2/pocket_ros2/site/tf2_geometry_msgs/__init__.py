# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Transforms for the stamped messages of geometry_msgs; importing this registers them."""

from tf2_geometry_msgs.tf2_geometry_msgs import *  # noqa: F403
