# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Generates, per message type, the code that reads XCDR1.

No memory is taken for more than has arrived: sizes are compared with the bytes that are left, and
a count too high ends with the first element that is missing.
"""

from __future__ import annotations

import functools
import sys
from array import array
from typing import Any

from pocket_ros2.idl import catalogue
from pocket_ros2.idl.cdr import INLINE_LIMIT, CdrError, Code, layouts, leaves
from pocket_ros2.idl.model import PRIMITIVES, STRINGS, Type

_OCTETS = [bytes([value]) for value in range(256)]
_UTF16 = f"utf-16-{sys.byteorder[0]}e"
_COUNT = {order: layouts(order, (("I", 4),))[0].unpack_from for order in "<>"}
_NATIVE = "<" if sys.byteorder == "little" else ">"


def _short(needed: int, end: int) -> CdrError:
    return CdrError(f"truncated: needs {needed - 4} bytes, has {end - 4}")


def _long(what: str, count: int, most: int) -> CdrError:
    return CdrError(f"{what} has {count} elements, at most {most} are possible")


def _get_strings(
    buf: Any, at: int, end: int, order: str, count: int, bound: int, wide: bool
) -> tuple[list[str], int]:
    """Read count strings, narrow or wide."""
    unpack = _COUNT[order]
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
            if order != _NATIVE:
                units.byteswap()
            text = array("H", units).tobytes().decode(_UTF16)
        else:
            text = str(buf[start : at - 1], "utf-8") if size else ""
        if bound and len(text) > bound:
            raise _long("a bounded string", len(text), bound)
        found.append(text)
    return found, at


class _Reader(Code):
    """Emits code that reads `buf`, which ends at `end`, from the place `p` on."""

    at_start = False
    converted: list[str]

    def flush(self) -> None:
        if self.run:
            made, targets = self.end_run()
            if self.at_start:
                self.line(f"{targets}, = {self.constant(made[4].unpack_from)}(buf, 4)")
                self.line(f"p = {4 + made[4].size}")
            else:
                table = self.constant(tuple((each.unpack_from, each.size) for each in made))
                self.line(f"unpack, size = {table}[p & 7]")
                self.line(f"{targets}, = unpack(buf, p)")
                self.line("p += size")
            for text in self.converted:
                self.line(text)
            self.converted = []
        self.at_start = False

    def take(self, size: str, made: str, *more: str) -> None:
        """Emit the lines that use the next bytes, `buf[p:q]`, after a check that they exist."""
        self.line(f"q = p + {size}")
        self.line("if q > end: raise short(q, end)")
        for text in (made, *more, "p = q"):
            self.line(text)

    def value(self, kind: Type, where: str) -> None:
        if kind.base in PRIMITIVES:
            primitive = PRIMITIVES[kind.base]
            self.join_run(primitive.code, primitive.size, where)
        elif kind.base == "string":
            size = self.counted()
            self.take(size, f"{where} = str(buf[p:q - 1], 'utf-8')")
            if kind.string_bound:
                self.bound(f"len({where})", kind.string_bound, str(kind))
        elif kind.base == "wstring":
            self.strings(kind, f"({where},)", "1")
        elif leaves(kind.base) > INLINE_LIMIT:
            self.flush()
            get = self.constant(reader(kind.base, self.order))
            self.line(f"{where}, p = {get}(buf, end, p)")
        else:
            inner = self.new(kind.base)
            self.line(f"{where} = {inner}")
            self.members(catalogue.message(kind.base), inner)

    def new(self, name: str) -> str:
        from pocket_ros2.idl.classes import message_class

        inner = self.fresh("v")
        self.line(f"{inner} = new({self.constant(message_class(name))})")
        return inner

    def counted(self) -> str:
        """Emit the reading of a count; return its name."""
        count = self.fresh("n")
        self.join_run("I", 4, count)
        self.flush()
        return count

    def bound(self, count: str, most: int, what: str) -> None:
        self.line(f"if {count} > {most}: raise long({what!r}, {count}, {most})")

    def strings(self, kind: Type, where: str, count: str) -> None:
        self.flush()
        details = f"{self.order!r}, {count}, {kind.string_bound}, {kind.base == 'wstring'}"
        self.line(f"{where}, p = strings(buf, p, end, {details})")

    def member(self, kind: Type, where: str) -> None:
        if not kind.repeat:
            return self.value(kind, where or "_")
        count = str(kind.size)
        if kind.repeat == "sequence":
            count = self.counted()
            if kind.size:
                self.bound(count, kind.size, str(kind))
        if kind.base in STRINGS:
            self.strings(kind, where, count)
        elif kind.nested:
            many, each = self.fresh("a"), self.fresh("e")
            self.line(f"{where} = {many} = []")
            self.loop(f"for _ in range({count}):", kind, each, f"{many}.append({each})")
        elif kind.repeat == "array":
            self.array(kind, where)
        else:
            self.sequence(kind, where, count)
        return None

    def array(self, kind: Type, where: str) -> None:
        primitive = PRIMITIVES[kind.base]
        data = self.fresh("b")
        self.join_run(f"{primitive.size * kind.size}s", primitive.size, data)
        made = _LISTS.get(kind.base, "").format(data)
        if not made:
            import numpy as np

            self.env["frombuffer"] = np.frombuffer
            wire = self.constant(np.dtype(primitive.dtype).newbyteorder(self.order))  # type: ignore[arg-type]
            made = f"frombuffer({data}, {wire}).astype({primitive.dtype!r})"
        self.converted.append(f"{where} = {made}")

    def sequence(self, kind: Type, where: str, count: str) -> None:
        size = PRIMITIVES[kind.base].size
        if size == 8:  # Behind the count, padding is missing for nothing else, and for no values.
            self.line(f"if {count}: p += ~p & 4")
        if kind.base in _LISTS:
            self.take(count, f"{where} = {_LISTS[kind.base].format('buf[p:q]')}")
            return
        many = self.fresh("a")
        more = [f"{many}.frombytes(memoryview(buf)[p:q])"]
        if self.order != _NATIVE and size > 1:
            more.append(f"{many}.byteswap()")
        self.take(f"{count} * {size}", f"{where} = {many} = array({kind.array_code!r})", *more)


_LISTS = {"octet": "list(map(octet, {}))", "boolean": "list(map(bool, {}))"}
_ENV = {
    **{"new": object.__new__, "short": _short, "long": _long, "strings": _get_strings},
    **{"octet": _OCTETS.__getitem__, "array": array},
}


def _compiled(name: str, order: str, at_start: bool) -> Any:
    code = _Reader(order, dict(_ENV))
    code.at_start, code.converted = at_start, []
    made = code.new(name)
    code.members(catalogue.message(name), made)
    return code.compiled("buf, end, p=4", made if at_start else f"{made}, p")


@functools.cache
def reader(name: str, order: str) -> Any:
    """Return the function that reads a message somewhere; it returns the place behind it, too."""
    return _compiled(name, order, at_start=False)


@functools.cache
def deserializer(name: str, order: str) -> Any:
    """Return the function that makes a message from bytes with header, `end` bytes long."""
    return _compiled(name, order, at_start=True)
