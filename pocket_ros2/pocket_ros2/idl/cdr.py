# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What generated code for XCDR1, the wire format of ROS 2, has in common in both directions.

Padding depends on the position. What is known about it at generation time is kept in a `Place`,
so that neighbouring fields, across nested messages, share one `struct` call and only a field
behind a string or a sequence computes its padding at run time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from pocket_ros2.idl import catalogue
from pocket_ros2.idl.model import PRIMITIVES, STRINGS, Message, Type

INLINE_LIMIT = 30


class CdrError(ValueError):
    """Received bytes are not a message of the expected type."""


class Place(NamedTuple):
    """The position, counted behind the header, is `rest` modulo `modulus` (1, 2, 4 or 8)."""

    modulus: int
    rest: int

    def plus(self, count: int) -> Place:
        """The place count bytes further on."""
        return Place(self.modulus, (self.rest + count) % self.modulus)

    def meet(self, other: Place) -> Place:
        """What is certain if the position may be either."""
        modulus = min(self.modulus, other.modulus)
        while (self.rest - other.rest) % modulus:
            modulus //= 2
        return Place(modulus, self.rest % modulus)


UNKNOWN = Place(1, 0)


@functools.cache
def leaves(name: str) -> int:
    """Return the number of values and sequences in a message, nested ones counted through."""
    members = catalogue.message(name).members
    return sum(leaves(m.type.base) if m.type.nested else 1 for m in members)


@functools.cache
def least_size(name: str) -> int:
    """Return a lower bound for the bytes that a message takes on the wire."""
    total = 0
    for member in catalogue.message(name).members:
        kind = member.type
        if kind.repeat == "sequence":
            total += 4
        else:
            each = least_size(kind.base) if kind.nested else 4
            if kind.base in PRIMITIVES:
                each = PRIMITIVES[kind.base].size
            total += each * (kind.size or 1)
    return total


def first_alignment(name: str) -> int:
    """Return the alignment of a message's first byte."""
    kind = catalogue.message(name).members[0].type
    if kind.repeat == "sequence" or kind.base in STRINGS:
        return 4
    return first_alignment(kind.base) if kind.nested else PRIMITIVES[kind.base].size


class Code:
    """Shared by both directions: collects lines, names and struct formats of one function."""

    def __init__(self, env: dict[str, Any], place: Place, order: str) -> None:
        self.env = env
        self.place = place
        self.order = order
        self.lines: list[str] = []
        self.indent = "    "
        self.run: list[str] = []
        self.run_args: list[str] = []
        self.count = 0

    def line(self, text: str) -> None:
        """Emit one line."""
        self.lines.append(self.indent + text)

    def fresh(self, prefix: str) -> str:
        """Return a new variable name."""
        self.count += 1
        return f"{prefix}{self.count}"

    def constant(self, value: Any, prefix: str = "k") -> str:
        """Return a name under which the generated code sees a value."""
        name = f"{prefix}{len(self.env)}_"
        self.env[name] = value
        return name

    def join_run(self, code: str, size: int, argument: str) -> None:
        """Add one number to the run of fields that share a struct call."""
        pad = self.pad(size)
        self.run.append((f"{pad}x" if pad else "") + code)
        self.run_args.append(argument)
        self.place = self.place.plus(pad + size)

    def pad(self, size: int) -> int:
        """Return the padding before a value of that size; align at run time if unknown."""
        if self.place.modulus < size:
            self.flush()
            self.align(size)
            self.place = Place(size, 0)
        return -self.place.rest % size

    def flush(self) -> None:
        """Emit the struct call of the current run."""
        raise NotImplementedError

    def align(self, size: int) -> None:
        """Emit padding whose amount is only known at run time."""
        raise NotImplementedError

    def member(self, kind: Type, where: str) -> None:
        """Write or read one field."""
        raise NotImplementedError

    def members(self, message: Message, where: str) -> None:
        """Write or read all members of the message in the variable `where`."""
        if not message.fields:
            self.member(Type("uint8"), "")
        for field in message.fields:
            self.member(field.type, f"{where}._{field.name}")

    def loop(self, head: str, body: Callable[[], None]) -> None:
        """Emit a loop whose body is right for every round, whatever place it starts at."""
        self.flush()
        start, lines, count = self.place, len(self.lines), self.count
        entry = start
        while True:
            self.place = entry
            self.line(head)
            self.indent += "    "
            body()
            self.flush()
            self.end_round()
            self.indent = self.indent[:-4]
            stable = entry.meet(self.place)
            if stable == entry:
                self.place = entry
                return
            entry, self.count = stable, count
            del self.lines[lines:]

    def end_round(self) -> None:
        """Emit what every round of a loop ends with."""
