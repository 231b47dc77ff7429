# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Serves ROS 2 modules to `import`, behind everything else that is installed."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import (
    SOURCE_SUFFIXES,
    FileFinder,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
)
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from pocket_ros2 import subset, workspace

if TYPE_CHECKING:
    from collections.abc import Sequence


class SiteLoader(SourceFileLoader):
    """Loads a module of ours and lets it refuse what only the upstream module has."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, then draw the border of the subset around it."""
        super().exec_module(module)
        subset.enclose(module)


def _site_finder(folder: str) -> FileFinder:
    """Serve the folders of our ROS 2 packages; a path hook."""
    if not Path(folder).is_relative_to(workspace.SITE):
        raise ImportError(f"{folder} holds no modules of pocket_ros2", path=folder)
    return FileFinder(folder, (SiteLoader, SOURCE_SUFFIXES))


class Finder:
    """Finds our ROS 2 packages, workspace packages and interface packages, in this order."""

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

        return importer.find_spec(name) or subset.find_spec(name)


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
        sys.path_hooks.insert(0, _site_finder)
        sys.meta_path.append(finder)
        importlib.invalidate_caches()
    return finder
