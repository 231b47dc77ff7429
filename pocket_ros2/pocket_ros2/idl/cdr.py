# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What generated code for XCDR1, the wire format of ROS 2, has in common in both directions.

Neighbouring numbers and arrays of known size, across nested messages, share one `struct` call.
Padding depends on the position, so there are eight layouts, one for each place modulo eight.
"""

from __future__ import annotations

import functools
import struct
from typing import Any

from pocket_ros2.idl import catalogue
from pocket_ros2.idl.model import Message, Type

INLINE_LIMIT = 30


class CdrError(ValueError):
    """Received bytes are not a message of the expected type."""


@functools.cache
def leaves(name: str) -> int:
    """Return the number of values and sequences in a message, nested ones counted through."""
    members = catalogue.message(name).members
    return sum(leaves(m.type.base) if m.type.nested else 1 for m in members)


@functools.cache
def layouts(order: str, run: tuple[tuple[str, int], ...]) -> tuple[struct.Struct, ...]:
    """Return the layout of a run of (code, alignment) by its position, header included, mod 8."""
    made = []
    for place in range(8):
        form = order
        for code, alignment in run:
            behind_header = place + struct.calcsize(form) - 4
            form += f"{-behind_header % alignment}x{code}"
        made.append(struct.Struct(form))
    return tuple(made)


class Code:
    """Collects the lines of one function, and the names in them."""

    def __init__(self, order: str, env: dict[str, Any]) -> None:
        self.order = order
        self.env = env
        self.lines: list[str] = []
        self.indent = "    "
        self.run: list[tuple[str, int]] = []
        self.run_args: list[str] = []
        self.count = 0

    def line(self, text: str) -> None:
        """Emit one line."""
        self.lines.append(self.indent + text)

    def fresh(self, prefix: str) -> str:
        """Return a new variable name."""
        self.count += 1
        return f"{prefix}{self.count}"

    def constant(self, value: Any) -> str:
        """Return a name under which the generated code sees a value."""
        name = f"k{len(self.env)}_"
        self.env[name] = value
        return name

    def join_run(self, code: str, alignment: int, argument: str) -> None:
        """Add a value to the run of those that share a struct call."""
        self.run.append((code, alignment))
        self.run_args.append(argument)

    def flush(self) -> None:
        """Emit the struct call of the current run."""
        raise NotImplementedError

    def end_run(self) -> tuple[tuple[struct.Struct, ...], str]:
        """Return the layouts and the arguments of the current run, and begin a new one."""
        found = layouts(self.order, tuple(self.run)), ", ".join(self.run_args)
        self.run, self.run_args = [], []
        return found

    def member(self, kind: Type, where: str) -> None:
        """Write or read one field."""
        raise NotImplementedError

    def members(self, message: Message, where: str) -> None:
        """Write or read all members of the message in the variable `where`."""
        if not message.fields:
            self.member(Type("uint8"), "")
        for field in message.fields:
            self.member(field.type, f"{where}._{field.name}")

    def loop(self, head: str, kind: Type, each: str, last: str = "") -> None:
        """Emit a loop over messages, with a last line in each round."""
        self.flush()
        self.line(head)
        self.indent += "    "
        self.value(kind.element, each)
        self.flush()
        if last:
            self.line(last)
        self.indent = self.indent[:-4]

    def value(self, kind: Type, where: str) -> None:
        """Write or read one value."""
        raise NotImplementedError

    def compiled(self, head: str, result: str) -> Any:
        """Return the function."""
        self.flush()
        self.line(f"return {result}")
        exec("\n".join([f"def made({head}):", *self.lines]), self.env)
        return self.env["made"]
