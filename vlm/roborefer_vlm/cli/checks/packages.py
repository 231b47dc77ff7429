# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Python and the installed packages against the ranges that this package declares."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import metadata

from roborefer_vlm.cli.checks.check import Check, State

DISTRIBUTION = "roborefer-vlm"
# Which extra brings what; a missing package of an extra is a note unless the extra is needed.
EXTRAS = {
    "model": "engine roborefer",
    "server": "roborefer serve and bench --engine",
    "benchmarks": "benchmarks in parquet",
}
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*([<>=!~,.\d\s]*)(?:;\s*(.*))?")
_EXTRA = re.compile(r"extra\s*==\s*[\"']([\w-]+)[\"']")


def check_python(version: tuple[int, int, int] | None = None) -> Check:
    """Return whether this Python is one that the package is made for."""
    found = version or sys.version_info[:3]
    name = ".".join(map(str, found))
    try:
        wanted = metadata.metadata(DISTRIBUTION)["Requires-Python"] or ""
    except metadata.PackageNotFoundError:
        wanted = ""
    if in_range(name, wanted):
        return Check("Python", State.GOOD, f"{name}, {wanted}")
    return Check("Python", State.BAD, f"{name}, not {wanted}", "use another Python")


def check_packages(needed_extras: frozenset[str] = frozenset()) -> Iterator[Check]:
    """Yield a check per package that this one declares, those for tests left out.

    Args:
        needed_extras: Extras without which what the user asks for cannot work.
    """
    try:
        requirements = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        yield Check(
            DISTRIBUTION,
            State.BAD,
            "is not installed as a package",
            "pip install it, so that its ranges are known",
        )
        return
    for requirement in requirements:
        if found := _REQUIREMENT.fullmatch(requirement.strip()):
            extra = _EXTRA.search(found[3] or "")
            group = extra[1] if extra else ""
            if not group or group in EXTRAS:
                yield _check(found[1], found[2].strip(), group, group in needed_extras)


def _check(name: str, wanted: str, extra: str, needed: bool) -> Check:
    what = f"{name} [{extra}]" if extra else name
    whole = f"{DISTRIBUTION}[{extra}]" if extra else DISTRIBUTION
    state = State.BAD if needed or not extra else State.NOTE
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        purpose = f"; needed for {EXTRAS[extra]}" if extra else ""
        return Check(what, state, f"is not installed{purpose}", f"pip install '{whole}'")
    if in_range(version, wanted):
        return Check(what, State.GOOD, f"{version}, {wanted}")
    return Check(what, state, f"{version}, not {wanted}", f"pip install '{name}{wanted}'")


def in_range(version: str, specifier: str) -> bool:
    """Tell whether a version fits bounds such as ">=1.2,<2".

    Only the comparisons that pyproject.toml uses are known; local parts ("+cu130") do not count,
    and a pre-release counts as the release it leads to.
    """
    release = _release(version)
    for bound in filter(None, (part.strip() for part in specifier.split(","))):
        found = re.fullmatch(r"(>=|<=|>|<|==)\s*([\d.]+)", bound)
        if found is None:
            raise ValueError(f"bound '{bound}' is of no known form")
        limit = _release(found[2])
        size = max(len(release), len(limit))
        ours, other = (part + (0,) * (size - len(part)) for part in (release, limit))
        fits = {
            ">=": ours >= other,
            "<=": ours <= other,
            ">": ours > other,
            "<": ours < other,
            "==": ours == other,
        }
        if not fits[found[1]]:
            return False
    return True


def _release(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()
