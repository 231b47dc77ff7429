# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Serves ROS 2 modules to `import`, behind everything else that is installed."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from pocket_ros2 import workspace

if TYPE_CHECKING:
    from collections.abc import Sequence


class Finder:
    """Finds, in this order: our ROS 2 packages, workspace packages, interface packages."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module that only this library or the workspace can serve."""
        if "." not in name:
            spec = PathFinder.find_spec(name, [str(workspace.SITE)])
            if spec is not None and spec.origin is not None:
                return spec
            package = workspace.source_packages().get(name)
            if package is not None and (package.path / name / "__init__.py").is_file():
                return PathFinder.find_spec(name, [str(package.path)])
        from pocket_ros2.idl import importer

        return importer.find_spec(name)


def real_ros_found() -> bool:
    """Tell whether a ROS 2 installation is on the import path, in which case it must win."""
    spec = PathFinder.find_spec("rclpy")
    return spec is not None and Path(spec.origin or "").parent.parent != workspace.SITE


def activate() -> Finder:
    """Append the finder to the meta path once, unless a real ROS 2 is importable.

    Returns:
        The finder; idle, and not on the meta path, where a real ROS 2 was found.
    """
    for finder in sys.meta_path:
        if isinstance(finder, Finder):
            return finder
    finder = Finder()
    if not real_ros_found():
        sys.meta_path.append(finder)
        importlib.invalidate_caches()
    return finder
