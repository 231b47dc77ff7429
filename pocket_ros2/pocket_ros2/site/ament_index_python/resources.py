# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The marker files of the ament index, of installed packages and of the workspace."""

from __future__ import annotations

from pathlib import Path

from pocket_ros2 import workspace


class InvalidResourceTypeNameError(ValueError):
    """A resource type has a slash or is empty."""


class InvalidResourceNameError(ValueError):
    """A resource name has a slash or is empty."""


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
    marker = _index(Path(prefix)) / resource_type / resource_name
    return (marker.read_text(encoding="utf-8") if marker.is_file() else ""), prefix


def has_resource(resource_type: str, resource_name: str) -> str | bool:
    """Return the prefix that has a resource, else False."""
    if not resource_name or "/" in resource_name:
        raise InvalidResourceNameError(
            f"Resource name '{resource_name}' must not be empty or have a '/'"
        )
    return get_resources(resource_type).get(resource_name, False)


def get_resources(resource_type: str) -> dict[str, str]:
    """Return the prefix of every resource of a type by name."""
    if not resource_type or "/" in resource_type:
        raise InvalidResourceTypeNameError(
            f"Resource type '{resource_type}' must not be empty or have a '/'"
        )
    found = {}
    for prefix in reversed(workspace.prefixes()):
        for marker in (_index(prefix) / resource_type).glob("[!.]*"):
            found[marker.name] = str(prefix)
    if resource_type == "packages":
        from ament_index_python.packages import get_packages_with_prefixes

        found = {**get_packages_with_prefixes(), **found}
    return found


def get_resource_types() -> dict[str, set[str]]:
    """Return the prefixes of every resource type by name."""
    found: dict[str, set[str]] = {}
    for prefix in workspace.prefixes():
        for folder in _index(prefix).glob("[!.]*"):
            found.setdefault(folder.name, set()).add(str(prefix))
    return found


def _index(prefix: Path) -> Path:
    return prefix / "share" / "ament_index" / "resource_index"
