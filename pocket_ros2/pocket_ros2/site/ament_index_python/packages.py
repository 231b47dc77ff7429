# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Where packages are: installed, in the workspace, or part of this library."""

from __future__ import annotations

import re
from pathlib import Path

from pocket_ros2 import workspace


class PackageNotFoundError(KeyError):
    """There is no such package."""

    def __str__(self) -> str:
        return str(self.args[0])


def get_package_share_path(package_name: str, print_warning: bool = True) -> Path:
    """Return the share folder of a package; for source packages their own folder.

    Raises:
        PackageNotFoundError: There is no such package.
        ValueError: The name is not a valid package name.
    """
    if not re.fullmatch(r"[A-Za-z0-9_\-]+", package_name):
        raise ValueError(
            f"'{package_name}' is not a valid package name: use letters, digits, '_' and '-'"
        )
    try:
        return workspace.find(package_name).path
    except workspace.PackageError:
        searched = [str(path) for path in [*workspace.prefixes(), *workspace.roots()]]
        raise PackageNotFoundError(
            f"package '{package_name}' not found, searching: {searched}"
        ) from None


def get_package_share_directory(package_name: str, print_warning: bool = True) -> str:
    return str(get_package_share_path(package_name, print_warning))


def get_package_prefix(package_name: str) -> str:
    """Return the install prefix; for source packages the folder that would be their prefix."""
    share = get_package_share_path(package_name)
    return str(share.parent.parent if share.parent.name == "share" else share)


def get_packages_with_prefixes() -> dict[str, str]:
    return {name: get_package_prefix(name) for name in workspace.names()}
