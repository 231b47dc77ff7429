# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Generates, per message type, the code that writes XCDR1."""

from __future__ import annotations

import functools
from array import array
from collections.abc import Callable
from typing import Any

from pocket_ros2.idl import catalogue
from pocket_ros2.idl.cdr import INLINE_LIMIT, Code, layouts, leaves
from pocket_ros2.idl.model import PRIMITIVES, STRINGS, Type

_END = ("x", 1)
_LENGTH = tuple(layout.pack for layout in layouts("<", (("I", 4),)))


def _put_strings(out: bytearray, values: Any) -> None:
    for value in values:
        text = value.encode()
        out += _LENGTH[len(out) & 7](len(text) + 1) + text + b"\0"


def _put_wstrings(out: bytearray, values: Any) -> None:
    """A wide character is one UTF-16 unit in four bytes; there is no final zero."""
    for value in values:
        units = array("I", array("H", value.encode("utf-16-le")))
        out += _LENGTH[len(out) & 7](len(units))
        out += units


class _Writer(Code):
    """Emits code that appends to `out`; a string's final zero opens the run behind it."""

    opened = True

    def flush(self) -> None:
        if self.run == [_END]:
            self.run = []
            self.line("out += b'\\0'")
        elif self.run:
            made, arguments = self.end_run()
            if self.opened:
                table = self.constant(tuple(layout.pack for layout in made))
                self.line(f"out += {table}[len(out) & 7]({arguments})")
            else:
                self.line(f"out = bytearray({self.constant(made[0].pack)}({arguments}))")
                self.opened = True

    def value(self, kind: Type, where: str) -> None:
        if kind.base in PRIMITIVES:
            primitive = PRIMITIVES[kind.base]
            self.join_run(primitive.code, primitive.size, where or "0")
        elif kind.base == "string":
            text = self.fresh("s")
            self.line(f"{text} = {where}.encode()")
            self.join_run("I", 4, f"len({text}) + 1")
            self.flush()
            self.line(f"out += {text}")
            self.run.append(_END)
        elif kind.base == "wstring":
            self.helper(_put_wstrings, f"({where},)")
        elif leaves(kind.base) > INLINE_LIMIT:
            self.helper(writer(kind.base), where)
        else:
            inner = self.fresh("v")
            self.line(f"{inner} = {where}")
            self.members(catalogue.message(kind.base), inner)

    def helper(self, function: Callable[..., Any], argument: str) -> None:
        self.flush()
        self.line(f"{self.constant(function)}(out, {argument})")

    def member(self, kind: Type, where: str) -> None:
        if not kind.repeat:
            return self.value(kind, where)
        many = self.fresh("a")
        self.line(f"{many} = {where}")
        if kind.size:
            wrong = "!=" if kind.repeat == "array" else ">"
            complaint = f"{where.partition('.')[2]} has a wrong length, its type is {kind}"
            self.line(f"if len({many}) {wrong} {kind.size}: raise ValueError({complaint!r})")
        if kind.repeat == "sequence":
            self.join_run("I", 4, f"len({many})")
        if kind.base in STRINGS:
            self.helper(_put_strings if kind.base == "string" else _put_wstrings, many)
        elif kind.nested:
            each = self.fresh("e")
            self.loop(f"for {each} in {many}:", kind, each)
        else:
            self.numbers(kind, many)
        return None

    def numbers(self, kind: Type, many: str) -> None:
        size, data = PRIMITIVES[kind.base].size, many
        if kind.base == "octet":
            data = f"b''.join({many})"
        elif kind.base == "boolean":
            data = f"bytes(map(bool, {many}))"
        elif kind.repeat == "array":
            data = f"{many}.tobytes()"
        if kind.repeat == "array":
            self.join_run(f"{size * kind.size}s", size, data)
            return
        self.flush()
        if size == 8:  # Behind the count, padding is missing for nothing else, and for no values.
            self.line(f"if {many} and not len(out) & 4: out += bytes(4)")
        self.line(f"out += {data}")


@functools.cache
def writer(name: str) -> Any:
    """Return the function that appends a message."""
    code = _Writer("<", {})
    code.members(catalogue.message(name), "m")
    return code.compiled("out, m", "None")


@functools.cache
def serializer(name: str) -> Any:
    """Return the function that turns a message into bytes with header."""
    code = _Writer("<", {})
    code.opened = False
    code.join_run("I", 4, "0x100")
    code.members(catalogue.message(name), "m")
    return code.compiled("m", "out")
