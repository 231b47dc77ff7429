# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Where packages and their resources are."""

from pocket_ros2.subset import refuser

from ament_index_python.packages import *  # noqa: F403
from ament_index_python.resources import *  # noqa: F403

__getattr__ = refuser("ament_index_python", "get_resource_types", "get_search_paths")
