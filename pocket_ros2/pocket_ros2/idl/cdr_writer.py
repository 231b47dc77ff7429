# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Generates, per message type, the code that writes XCDR1."""

from __future__ import annotations

import functools
import struct
from array import array
from collections.abc import Callable
from typing import Any

from pocket_ros2.idl import catalogue
from pocket_ros2.idl.cdr import INLINE_LIMIT, UNKNOWN, Code, Place, first_alignment, leaves
from pocket_ros2.idl.model import PRIMITIVES, STRINGS, Type

# Padding by position including the 4-byte header, with and without a string's final zero.
PADS = {a: tuple(bytes((4 - i) % a) for i in range(a)) for a in (2, 4, 8)}
ENDS = {a: tuple(bytes(1 + (3 - i) % a) for i in range(a)) for a in (1, 2, 4, 8)}
_U32 = struct.Struct("<I").pack


def _put_strings(out: bytearray, values: Any) -> None:
    pads = PADS[4]
    for value in values:
        text = value.encode()
        out += pads[len(out) & 3] + _U32(len(text) + 1) + text + b"\0"


def _put_wstrings(out: bytearray, values: Any) -> None:
    """A wide character is one UTF-16 unit in four bytes; there is no final zero."""
    for value in values:
        units = array("I", array("H", value.encode("utf-16-le")))
        out += PADS[4][len(out) & 3] + _U32(len(units))
        out += units


class _Writer(Code):
    """Emits `def put(out, m)`; a string's final zero is owed until the next padding is known."""

    owed = False
    opened = True

    def flush(self) -> None:
        if self.run:
            self.pay()
            pack = self.constant(struct.Struct(self.order + "".join(self.run)).pack)
            packed = f"{pack}({', '.join(self.run_args)})"
            self.line(f"out += {packed}" if self.opened else f"out = bytearray({packed})")
            self.run, self.run_args, self.opened = [], [], True

    def pay(self) -> None:
        if self.owed:
            self.line("out += b'\\0'")
            self.owed = False

    def align(self, size: int) -> None:
        table = self.constant((ENDS if self.owed else PADS)[size])
        self.line(f"out += {table}[len(out) & {size - 1}]")
        self.owed = False

    def raw(self, size: int, expression: str) -> None:
        """Append bytes of values of one size, aligned."""
        pad = self.pad(size)
        self.flush()
        self.pay()
        if pad:
            self.line(f"out += {bytes(pad)!r}")
        self.line(f"out += {expression}")

    def end_round(self) -> None:
        self.pay()

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
            self.owed, self.place = True, UNKNOWN
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
        self.pay()
        self.line(f"{self.constant(function)}(out, {argument})")
        self.place = UNKNOWN

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
            self.nested(kind, many)
        else:
            self.numbers(kind, many)
        return None

    def nested(self, kind: Type, many: str) -> None:
        self.flush()
        self.pay()
        before = self.place
        self.open_array(kind, many, first_alignment(kind.base))
        each = self.fresh("e")
        self.loop(f"for {each} in {many}:", lambda: self.value(kind.element, each))
        self.owed = False
        self.place = self.place.meet(before)

    def numbers(self, kind: Type, many: str) -> None:
        primitive = PRIMITIVES[kind.base]
        data = many
        if kind.base == "octet":
            data = f"b''.join({many})"
        elif kind.base == "boolean":
            data = f"bytes(map(bool, {many}))"
        elif kind.repeat == "array":
            data = f"{many}.tobytes()"
        if kind.repeat == "array":
            self.raw(primitive.size, data)
            self.place = self.place.plus(-self.place.rest % primitive.size)
            self.place = self.place.plus(primitive.size * kind.size)
            return
        self.flush()
        before = self.place
        self.open_array(kind, many, primitive.size)
        self.line(f"out += {data}")
        self.place = before.meet(Place(primitive.size, 0))

    def open_array(self, kind: Type, many: str, size: int) -> None:
        """Align for elements that may be missing, in which case there is no padding."""
        known = self.place.modulus >= size
        pad = -self.place.rest % size if known else size
        if pad:
            condition = f"if {many}: " if kind.repeat == "sequence" else ""
            table = f"{self.constant(PADS[size])}[len(out) & {size - 1}]"
            self.line(
                f"{condition}out += {bytes(pad)!r}" if known else f"{condition}out += {table}"
            )
        self.place = self.place.plus(pad) if known else Place(size, 0)


@functools.cache
def writer(name: str) -> Any:
    """Return the function that appends a message at an unknown place."""
    code = _Writer({}, UNKNOWN, "<")
    return _compile(code, name, "def put(out, m):", "return None")


@functools.cache
def serializer(name: str) -> Any:
    """Return the function that turns a message into bytes with header."""
    code = _Writer({}, Place(8, 0), "<")
    code.run, code.run_args, code.opened = ["I"], ["0x100"], False
    return _compile(code, name, "def put(m):", "return out")


def _compile(code: _Writer, name: str, opening: str, closing: str) -> Any:
    code.members(catalogue.message(name), "m")
    code.flush()
    code.pay()
    code.line(closing)
    exec("\n".join([opening, *code.lines]), code.env)
    return code.env["put"]
