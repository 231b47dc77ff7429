# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Where packages and their resources are."""

from ament_index_python.packages import *  # noqa: F403
from ament_index_python.resources import *  # noqa: F403
