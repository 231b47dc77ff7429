# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes the pocket library available to every program of an environment, behind any real ROS 2.

`pocket-ros2 enable` writes a `.pth` file that imports this module at interpreter start, so it
must stay tiny: nothing of `pocket_ros2` is imported until an import finds no other module.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Fallback:
    """Stands last on the meta path until the first import that nothing else can serve."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Hand over to the pocket library's finder, or leave for good if ROS 2 is sourced."""
        if name.partition(".")[0] == "pocket_ros2":
            return None
        if PathFinder.find_spec("rclpy") is not None:
            sys.meta_path.remove(self)
            return None
        try:
            import pocket_ros2
        except ImportError:
            # Some programs, such as pip's builds, hide what is installed around them.
            return None
        if not hasattr(pocket_ros2, "activate"):
            # The library is being imported right now and looks for something optional.
            return None
        sys.meta_path.remove(self)
        return pocket_ros2.activate().find_spec(name, path, target)


sys.meta_path.append(_Fallback())
