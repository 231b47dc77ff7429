# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""One table holds all parameters of a node: declaration, checks and documents come from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from roborefer_common.exceptions import ParameterError

Value = str | bool | int | float | list[float] | list[str]


@dataclass(frozen=True)
class Row:
    """One parameter.

    Attributes:
        name: With its group.
        default: Decides the type.
        description: One sentence with the unit.
        low: Least value of a number.
        high: Greatest value of a number.
        choices: The only values allowed, if any.
        length: Of a list of numbers; 0 leaves it open.
        fixed: Whether it can be set only when the node is started.
    """

    name: str
    default: Value
    description: str
    low: float | None = None
    high: float | None = None
    choices: Sequence[str] = ()
    length: int | None = None
    fixed: bool = False


Table = Sequence[Row]


def check(table: Table, values: Mapping[str, Value]) -> None:
    """Check what ROS cannot: choices, finite numbers and lengths of lists.

    Args:
        table: Of the node.
        values: By name, one for every row.

    Raises:
        ParameterError: The message names parameter, value and what would be right.
    """
    for row in table:
        value = values[row.name]
        if row.choices and value not in row.choices:
            raise ParameterError(f"{row.name} is '{value}'; it must be {' or '.join(row.choices)}")
        if row.length is None:
            if isinstance(value, float) and not np.isfinite(value):
                raise ParameterError(f"{row.name} is {value}; a finite number is needed")
            continue
        numbers = np.asarray(value, float)
        if not np.isfinite(numbers).all():
            raise ParameterError(f"{row.name} is {list(numbers)}; finite numbers are needed")
        if row.length and len(numbers) != row.length:
            raise ParameterError(f"{row.name} has {len(numbers)} numbers; {row.length} are needed")


def describe(row: Row) -> str:
    """Return what a parameter means in one or two sentences, with choices and range."""
    limits = limits_of(row)
    return row.description + (f" {limits}." if limits else "")


def limits_of(row: Row) -> str:
    """Return the choices or the range of a parameter in words, or ""."""
    if row.choices:
        return f"One of: {', '.join(row.choices)}"
    if row.low is not None and row.high is not None:
        return f"{row.low:g} to {row.high:g}"
    return ""


def sample_yaml(table: Table, changes: Mapping[str, Value], comment: str, made_by: str) -> str:
    """Write a parameter file with every parameter, at its default unless changed.

    Args:
        table: Of the node.
        changes: Values that differ from the defaults, by name.
        comment: One line that says what the file is for.
        made_by: The command that prints it.

    Raises:
        ParameterError: The table has no such parameter.
    """
    unknown = set(changes) - {row.name for row in table}
    if unknown:
        raise ParameterError(f"no parameters {sorted(unknown)} are in the table")
    lines = [
        "# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors",
        "# SPDX-License-Identifier: Apache-2.0",
        f"# {comment}",
        f"# Made by: {made_by}",
        "/**:",
        "  ros__parameters:",
    ]
    for row in table:
        lines.append(f"    # {describe(row)}")
        lines.append(f"    {row.name}: {json.dumps(changes.get(row.name, row.default))}")
    return "\n".join(lines) + "\n"


def readme_table(table: Table) -> str:
    """Write the parameters as a Markdown table; a star marks what only a start can change."""
    lines = ["| parameter | default | range | meaning |", "|---|---|---|---|"]
    for row in table:
        star = " *" if row.fixed else ""
        default = json.dumps(row.default)
        lines.append(
            f"| `{row.name}`{star} | `{default}` | {limits_of(row)} | {row.description} |"
        )
    return "\n".join(lines) + "\n"
