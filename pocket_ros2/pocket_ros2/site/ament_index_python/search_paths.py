# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the index is looked for."""

from __future__ import annotations

from pocket_ros2 import workspace


def get_search_paths() -> list[str]:
    """Return the install prefixes; none is needed, unlike in a full installation."""
    return [str(prefix) for prefix in workspace.prefixes()]
