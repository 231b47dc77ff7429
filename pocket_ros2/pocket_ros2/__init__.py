# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A closed subset of the ROS 2 Python API over Zenoh, installable with pip alone."""

from __future__ import annotations

from pocket_ros2.finder import activate

__all__ = ["activate"]
__version__ = "0.1.0"
