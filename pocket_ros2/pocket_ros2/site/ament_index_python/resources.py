# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The marker files of the ament index."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_packages_with_prefixes
from pocket_ros2 import workspace


def get_resource(resource_type: str, resource_name: str) -> tuple[str, str]:
    """Return the content of a resource and the prefix it was found in.

    Raises:
        LookupError: There is no such resource.
    """
    prefix = has_resource(resource_type, resource_name)
    if not prefix:
        raise LookupError(
            f"Could not find the resource '{resource_name}' of type '{resource_type}'"
        )
    marker = _index(Path(str(prefix)), resource_type) / resource_name
    return (marker.read_text(encoding="utf-8") if marker.is_file() else ""), str(prefix)


def has_resource(resource_type: str, resource_name: str) -> str | bool:
    """Return the prefix that has a resource, else False."""
    return get_resources(resource_type).get(resource_name, False)


def get_resources(resource_type: str) -> dict[str, str]:
    """Return the prefix of every resource of a type by name."""
    if not resource_type or "/" in resource_type:
        raise ValueError(f"Resource type '{resource_type}' must not be empty or have a '/'")
    if resource_type == "packages":
        return get_packages_with_prefixes()
    return {
        marker.name: str(prefix)
        for prefix in reversed(workspace.prefixes())
        for marker in _index(prefix, resource_type).glob("[!.]*")
    }


def _index(prefix: Path, resource_type: str) -> Path:
    return prefix / "share" / "ament_index" / "resource_index" / resource_type
