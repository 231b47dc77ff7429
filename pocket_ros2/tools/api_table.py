# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/api.md: what of the ROS 2 Python API is here, and what is refused by name.

Run by `make docs`. Upstream's names come from `upstream_api.txt`, ours from the code itself.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path
from typing import NamedTuple

import pocket_ros2
from pocket_ros2 import subset, workspace

PAGE = Path(__file__).parent.parent / "docs" / "api.md"
HEAD = """\
<!-- SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors -->
<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Written by tools/api_table.py; change upstream_api.txt or the code, then run `make docs`. -->
# The API of pocket_ros2

Every public name of the ROS 2 (Jazzy) Python packages below either works here as it does there,
or raises `NotImplementedError` with its full name. What "as it does there" means, and
which test proves it, is in [semantics.md](semantics.md).

A submodule of ROS 2 that has no row of its own, such as `launch.actions.timer_action`, can be
imported when at least one of its names is here.
"""


class Row(NamedTuple):
    """A module or class: its members that are here, and those that are refused."""

    owner: str
    here: list[str]
    refused: list[str]


def _has(cls: type, member: str) -> bool:
    """Tell whether instances have the member: on the class, or set by its own code."""
    if not isinstance(inspect.getattr_static(cls, member), subset.Refusal):
        return True
    own = (base for base in cls.__mro__ if base.__module__.split(".")[0] in _packages())
    return any(
        member in vars(base).get("__annotations__", ())
        or re.search(rf"\bself\.{member}\b", inspect.getsource(base))
        for base in own
    )


def _packages() -> set[str]:
    return {folder.name for folder in workspace.SITE.iterdir()}


def _split(owner: str, names: list[str], here: list[bool]) -> Row:
    found = dict(sorted(zip(names, here, strict=True)))
    return Row(
        owner,
        [name for name, known in found.items() if known],
        [name for name, known in found.items() if not known],
    )


def rows() -> list[Row]:
    """Compare the lists of upstream with the code, one row per module and per class."""
    pocket_ros2.activate()
    table = []
    for name, names in sorted(subset.upstream().modules.items()):
        parent = subset.upstream().modules.get(name.rpartition(".")[0], [])
        if set(names) <= set(parent) and name not in subset.upstream().classes:
            continue
        try:
            module = vars(importlib.import_module(name))
        except subset.UnsupportedModuleError:
            module = {}
        table.append(_split(name, names, [public in module for public in names]))
        for cls, members in sorted(subset.upstream().classes.get(name, {}).items()):
            bare = [member.removeprefix(".") for member in members]
            here = [_has(module[cls], member) for member in bare]
            table.append(_split(f"{name}.{cls}", bare, here))
    return table


def options() -> list[str]:
    """Return the arguments that the code refuses, as written there."""
    found = set()
    for path in sorted(workspace.SITE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "unsupported":
                api = (
                    ast.literal_eval(node.args[0])
                    if isinstance(node.args[0], ast.Constant)
                    else ""
                )
                found |= {api} if api.endswith("=)") else set()
    return sorted(found)


def page() -> str:
    """Return the text of docs/api.md."""
    packages: dict[str, list[Row]] = {}
    for row in rows():
        packages.setdefault(row.owner.partition(".")[0], []).append(row)
    absent = [name for name, table in packages.items() if not any(row.here for row in table)]
    lines = [HEAD, "| package | names | here | refused |", "| --- | ---: | ---: | ---: |"]
    for name, table in packages.items():
        if name not in absent:
            here, refused = (sum(len(row[column]) for row in table) for column in (1, 2))
            lines.append(f"| {name} | {here + refused} | {here} | {refused} |")
    lines += ["", f"Packages that are refused as a whole: {_code(absent)}.", ""]
    lines += [f"Arguments that are refused: {_code(options())}."]
    for name, table in packages.items():
        if name not in absent:
            lines += ["", f"## {name}", "", "| of | here | refused |", "| --- | --- | --- |"]
            lines += [f"| `{of}` | {_code(here)} | {_code(out)} |" for of, here, out in table]
    return "\n".join(lines) + "\n"


def _code(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
