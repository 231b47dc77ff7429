# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Where ROS 2 packages live on a machine without a build step.

Three homes, first one wins: packages installed with an ament index, source packages of the
workspace (used where they lie, like a symlink install), and the packages of this library.
The workspace is named by `POCKET_ROS2_WORKSPACE` (folders separated like PATH), else it is the
nearest folder at or above the current one that has `src/*/package.xml`.
"""

from __future__ import annotations

import ast
import functools
import os
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

SITE = Path(__file__).parent / "site"
INTERFACES = Path(__file__).parent / "idl" / "interfaces"


class PackageError(LookupError):
    """A package or one of its executables cannot be found."""


@dataclass(frozen=True)
class Package:
    """A ROS 2 package: its name and the folder that plays the part of its share folder."""

    name: str
    path: Path


def roots() -> list[Path]:
    """Return the workspace folders in force, most important first; empty when there is none."""
    named = os.environ.get("POCKET_ROS2_WORKSPACE")
    if named:
        return [Path(entry) for entry in named.split(os.pathsep) if entry]
    here = Path.cwd()
    for folder in (here, *here.parents):
        if next(folder.glob("src/*/package.xml"), None) is not None:
            return [folder]
    return []


def source_packages() -> dict[str, Package]:
    """Return the source packages of the workspace by name, without those nobody can read.

    Imports of all programs pass here: a broken package must not break them.
    """
    return _scan(tuple(roots()))[0]


def check_source_packages() -> None:
    """Raise a PackageError that names the first broken source package, if there is one."""
    problems = _scan(tuple(roots()))[1]
    if problems:
        raise PackageError(problems[0])


@functools.cache
def _scan(folders: tuple[Path, ...]) -> tuple[dict[str, Package], list[str]]:
    """Return the packages by name, and a sentence for each that is broken."""
    found: dict[str, Package] = {}
    problems: list[str] = []
    for folder in folders:
        for manifest in sorted(folder.glob("src/*/package.xml")):
            try:
                name = (ET.parse(manifest).getroot().findtext("name") or "").strip()
            except ET.ParseError as error:
                problems.append(f"{manifest} is no XML: {error}")
                continue
            if name:
                found.setdefault(name, Package(name, manifest.parent))
            else:
                problems.append(f"{manifest} has no <name>; a package needs one")
    return found, problems


def prefixes() -> list[Path]:
    """Return install prefixes that carry an ament index, most important first."""
    candidates = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    candidates.append(Path(sys.prefix))
    return [p for p in candidates if (p / "share" / "ament_index").is_dir()]


def find(name: str) -> Package:
    """Return the package called name.

    Raises:
        PackageError: No home has it; the message lists the places searched.
    """
    for prefix in prefixes():
        marker = prefix / "share" / "ament_index" / "resource_index" / "packages" / name
        if marker.is_file():
            return Package(name, prefix / "share" / name)
    source = source_packages().get(name)
    if source is not None:
        return source
    for home in (SITE / name, INTERFACES / name):
        if name and home.is_dir():
            return Package(name, home)
    check_source_packages()
    searched = ", ".join(str(p) for p in [*prefixes(), *roots()]) or "no prefix, no workspace"
    raise PackageError(f"package {name!r} not found, searching: {searched}")


def names() -> list[str]:
    """Return the names of all packages, sorted."""
    found = set(source_packages())
    for prefix in prefixes():
        index = prefix / "share" / "ament_index" / "resource_index" / "packages"
        found.update(entry.name for entry in index.glob("*"))
    for home in (SITE, INTERFACES):
        found.update(e.name for e in home.iterdir() if e.is_dir() and e.name != "__pycache__")
    return sorted(found)


def executables(package: str) -> dict[str, list[str]]:
    """Return the executables of a package as command lines by name.

    Raises:
        PackageError: There is no such package.
    """
    path = find(package).path
    library = path.parent.parent / "lib" / package
    found = {e.name: [str(e)] for e in library.glob("*") if os.access(e, os.X_OK) and e.is_file()}
    scripts = _declared_scripts(path / "setup.py") or _installed_scripts(package)
    for name, target in scripts.items():
        module, _, function = target.partition(":")
        found.setdefault(name, _python_command(module, function))
    for file in path.glob("executables/*.py"):
        if path.parent == SITE and file.stem != "__init__":
            found[file.stem] = _python_command(f"{package}.executables.{file.stem}", "main")
    return found


def executable(package: str, name: str) -> list[str]:
    """Return the command line that starts one executable of a package.

    Raises:
        PackageError: Package or executable is unknown; the message lists the choices.
    """
    found = executables(package)
    if name not in found:
        choices = ", ".join(sorted(found)) or "none"
        raise PackageError(
            f"executable {name!r} not found in package {package!r}; it has: {choices}"
        )
    return found[name]


def _python_command(module: str, function: str) -> list[str]:
    call = f"import sys, pocket_ros2; pocket_ros2.activate(); from {module} import {function}"
    return [sys.executable, "-c", f"{call}; sys.exit({function}())"]


def _installed_scripts(package: str) -> dict[str, str]:
    try:
        points = metadata.distribution(package).entry_points
    except metadata.PackageNotFoundError:
        return {}
    return {p.name: p.value for p in points if p.group == "console_scripts"}


def _declared_scripts(setup: Path) -> dict[str, str]:
    """Read console_scripts out of a setup.py without running it."""
    if not setup.is_file():
        return {}
    for node in ast.walk(ast.parse(setup.read_text(encoding="utf-8"), str(setup))):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "console_scripts":
                    lines = [e.value for e in ast.walk(value) if isinstance(e, ast.Constant)]
                    pairs = (str(line).partition("=") for line in lines)
                    return {name.strip(): target.strip() for name, _, target in pairs}
    return {}
