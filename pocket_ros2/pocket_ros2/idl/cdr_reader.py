# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Generates, per message type, the code that reads XCDR1.

Every count on the wire is compared with the bytes that are left before anything is made from it.
"""

from __future__ import annotations

import functools
import struct
import sys
from array import array
from typing import Any

from pocket_ros2.idl import catalogue
from pocket_ros2.idl.cdr import (
    INLINE_LIMIT,
    UNKNOWN,
    CdrError,
    Code,
    Place,
    first_alignment,
    least_size,
    leaves,
)
from pocket_ros2.idl.model import PRIMITIVES, STRINGS, Message, Type

_OCTETS = [bytes([value]) for value in range(256)]
_UTF16 = f"utf-16-{sys.byteorder[0]}e"
_U32 = {order: struct.Struct(order + "I").unpack_from for order in "<>"}


def _short(needed: int, end: int) -> CdrError:
    return CdrError(f"truncated: needs {needed - 4} bytes, has {end - 4}")


def _long(what: str, count: int, most: int) -> CdrError:
    return CdrError(f"{what} has {count} elements, at most {most} are possible")


def _get_strings(
    buf: Any, at: int, end: int, order: str, count: int, bound: int, wide: bool
) -> tuple[list[str], int]:
    """Read count strings, narrow or wide, at an unknown place."""
    if count * 4 > end - at:
        raise _long("a sequence of strings", count, (end - at) // 4)
    unpack = _U32[order]
    found = []
    for _ in range(count):
        at += -at & 3
        (size,) = unpack(buf, at)
        start = at + 4
        at = start + size * (4 if wide else 1)
        if at > end:
            raise _short(at, end)
        if wide:
            units = array("I", bytes(buf[start:at]))
            if (order == "<") != (sys.byteorder == "little"):
                units.byteswap()
            text = array("H", units).tobytes().decode(_UTF16)
        else:
            text = str(buf[start : at - 1], "utf-8") if size else ""
        if bound and len(text) > bound:
            raise _long("a bounded string", len(text), bound)
        found.append(text)
    return found, at


class _Reader(Code):
    """Emits `def get(buf, p, end)`; `self.at` is the expression of the current position."""

    base = "p"
    delta = 0

    @property
    def at(self) -> str:
        if not self.base:
            return str(self.delta)
        return f"{self.base} + {self.delta}" if self.delta else self.base

    def moved(self, base: str) -> None:
        self.base, self.delta = base, 0

    def flush(self) -> None:
        if self.run:
            form = struct.Struct(self.order + "".join(self.run))
            unpack = self.constant(form.unpack_from)
            self.line(f"{', '.join(self.run_args)}, = {unpack}(buf, {self.at})")
            self.delta += form.size
            self.run, self.run_args = [], []

    def align(self, size: int) -> None:
        self.moved(self.assign(self.aligned(size)))

    def aligned(self, size: int) -> str:
        origin = 4 if size == 8 else 0
        return f"{self.at} + ({origin} - ({self.at}) & {size - 1})"

    def assign(self, expression: str) -> str:
        name = self.fresh("p")
        self.line(f"{name} = {expression}")
        return name

    def take(self, size: str) -> str:
        """Emit the check for so many bytes at the current position; return their slice."""
        start = self.at
        after = self.assign(f"{start} + {size}")
        self.line(f"if {after} > end: raise short({after}, end)")
        self.moved(after)
        return f"[{start}:{after}]"

    def end_round(self) -> None:
        if self.at != "p":
            self.line(f"p = {self.at}")
        self.moved("p")

    def value(self, kind: Type, where: str) -> None:
        if kind.base in PRIMITIVES:
            primitive = PRIMITIVES[kind.base]
            self.join_run(primitive.code, primitive.size, where)
        elif kind.base == "string":
            size = self.fresh("n")
            self.join_run("I", 4, size)
            self.flush()
            start = self.at
            self.take(size)
            self.line(f"{where} = str(buf[{start}:{self.at} - 1], 'utf-8')")
            if kind.string_bound:
                self.bound(f"len({where})", kind.string_bound, str(kind))
            self.place = UNKNOWN
        elif kind.base == "wstring":
            self.strings(kind, f"({where},)", "1")
        elif leaves(kind.base) > INLINE_LIMIT:
            self.flush()
            after = self.fresh("p")
            get = self.constant(reader(kind.base, self.order))
            self.line(f"{where}, {after} = {get}(buf, {self.at}, end)")
            self.moved(after)
            self.place = UNKNOWN
        else:
            inner = self.new(kind.base)
            self.line(f"{where} = {inner}")
            self.members(catalogue.message(kind.base), inner)

    def new(self, name: str) -> str:
        from pocket_ros2.idl.classes import message_class

        inner = self.fresh("v")
        self.line(f"{inner} = new({self.constant(message_class(name), 'C')})")
        return inner

    def bound(self, count: str, most: int, what: str) -> None:
        self.line(f"if {count} > {most}: raise long({what!r}, {count}, {most})")

    def strings(self, kind: Type, where: str, count: str) -> None:
        self.flush()
        after = self.fresh("p")
        details = f"{self.order!r}, {count}, {kind.string_bound}, {kind.base == 'wstring'}"
        self.line(f"{where}, {after} = strings(buf, {self.at}, end, {details})")
        self.moved(after)
        self.place = UNKNOWN

    def member(self, kind: Type, where: str) -> None:
        if not kind.repeat:
            return self.value(kind, where or "_")
        count = str(kind.size)
        if kind.repeat == "sequence":
            count = self.fresh("n")
            self.join_run("I", 4, count)
            self.flush()
            if kind.size:
                self.bound(count, kind.size, str(kind))
        if kind.base in STRINGS:
            self.strings(kind, where, count)
        elif kind.nested:
            self.nested(kind, where, count)
        else:
            self.numbers(kind, where, count)
        return None

    def open_array(self, kind: Type, count: str, size: int) -> Place:
        """Align for elements that may be missing; return the place if they are."""
        before = self.place
        if kind.repeat == "array":
            pad = self.pad(size)
            self.flush()
            self.delta += pad
            self.place = self.place.plus(pad)
            return self.place
        self.flush()
        if before.modulus < size:
            self.moved(self.assign(f"{self.aligned(size)} if {count} else {self.at}"))
            self.place = Place(size, 0)
        elif -before.rest % size:
            pad = -before.rest % size
            self.moved(self.assign(f"{self.at} + {pad} if {count} else {self.at}"))
            self.place = before.plus(pad)
        return before

    def nested(self, kind: Type, where: str, count: str) -> None:
        before = self.open_array(kind, count, first_alignment(kind.base))
        least = least_size(kind.base)
        if kind.repeat == "sequence":
            left = f"(end - ({self.at}))"
            self.line(
                f"if {count} * {least} > {left}: raise long({str(kind)!r}, {count}, "
                f"{left} // {least})"
            )
        many = self.fresh("a")
        self.line(f"{where} = {many} = []")
        self.end_round()

        def body() -> None:
            each = self.fresh("e")
            self.value(kind.element, each)
            self.flush()
            self.line(f"{many}.append({each})")

        self.loop(f"for _ in range({count}):", body)
        self.place = self.place.meet(before)

    def numbers(self, kind: Type, where: str, count: str) -> None:
        size = PRIMITIVES[kind.base].size
        before = self.open_array(kind, count, size)
        part = self.take(f"{count} * {size}")
        swap = self.order == (">" if sys.byteorder == "little" else "<")
        if kind.base == "octet":
            self.line(f"{where} = list(map(octet, buf{part}))")
        elif kind.base == "boolean":
            self.line(f"{where} = list(map(bool, buf{part}))")
        elif kind.repeat == "array":
            import numpy as np

            name = PRIMITIVES[kind.base].dtype
            wire = self.constant(np.dtype(name).newbyteorder("<" if self.order == "<" else ">"))
            self.env.setdefault("frombuffer", np.frombuffer)
            self.line(f"{where} = frombuffer(buf{part}, {wire}).astype({name!r})")
        else:
            many = self.fresh("a")
            self.line(f"{where} = {many} = array({kind.array_code!r})")
            self.line(f"{many}.frombytes(memoryview(buf){part})")
            if swap and size > 1:
                self.line(f"{many}.byteswap()")
        if kind.repeat == "array":
            self.place = self.place.plus(size * kind.size)
        else:
            self.place = before.meet(Place(size, 0))


def _code(name: str, place: Place, order: str) -> tuple[_Reader, str]:
    env: dict[str, Any] = {
        "new": object.__new__,
        "short": _short,
        "long": _long,
        "strings": _get_strings,
    }
    env |= {"octet": _OCTETS.__getitem__, "array": array}
    code = _Reader(env, place, order)
    code.base = "" if place.modulus == 8 else "p"
    code.delta = 0 if code.base else 4
    return code, code.new(name)


@functools.cache
def reader(name: str, order: str) -> Any:
    """Return the function that reads a message at an unknown place."""
    code, made = _code(name, UNKNOWN, order)
    return _compile(code, catalogue.message(name), made, "p, end", f"{made}, {{}}")


@functools.cache
def deserializer(name: str, order: str) -> Any:
    """Return the function that makes a message from bytes with header, `end` bytes long."""
    code, made = _code(name, Place(8, 0), order)
    return _compile(code, catalogue.message(name), made, "end", made)


def _compile(code: _Reader, message: Message, made: str, more: str, result: str) -> Any:
    code.members(message, made)
    code.flush()
    code.line(f"return {result.format(code.at)}")
    exec("\n".join([f"def get(buf, {more}):", *code.lines]), code.env)
    return code.env["get"]
