# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What an interface definition says, free of how it was written down or is put on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class InterfaceError(Exception):
    """An interface definition is missing, malformed or contradicts itself."""


class Primitive(NamedTuple):
    """How one primitive number type appears on the wire, in Python and in the type hash."""

    size: int
    code: str
    type_id: int
    array: str = ""
    dtype: str = ""
    low: int = 0
    high: int = 0


def _integer(size: int, code: str, type_id: int, name: str) -> Primitive:
    bits = 8 * size
    low = 0 if name[0] == "u" else -(1 << (bits - 1))
    return Primitive(size, code, type_id, code, name, low, low + (1 << bits) - 1)


PRIMITIVES = {
    "int8": _integer(1, "b", 2, "int8"),
    "uint8": _integer(1, "B", 3, "uint8"),
    "int16": _integer(2, "h", 4, "int16"),
    "uint16": _integer(2, "H", 5, "uint16"),
    "int32": _integer(4, "i", 6, "int32"),
    "uint32": _integer(4, "I", 7, "uint32"),
    "int64": _integer(8, "q", 8, "int64"),
    "uint64": _integer(8, "Q", 9, "uint64"),
    "float": Primitive(4, "f", 10, "f", "float32"),
    "double": Primitive(8, "d", 11, "d", "float64"),
    "boolean": Primitive(1, "?", 15),
    "octet": Primitive(1, "c", 16),
}
STRINGS = {"string": 17, "wstring": 18}

Value = bool | int | float | bytes | str


@dataclass(frozen=True)
class Type:
    """A field's type: a base, repeated or not.

    Attributes:
        base: A key of PRIMITIVES or STRINGS, else the full name of a message type.
        string_bound: Most characters of a bounded string, 0 for any number.
        repeat: "" for one value, "array" for exactly size, "sequence" for at most size values.
        size: Count of an array, bound of a bounded sequence, 0 for an unbounded one.
    """

    base: str
    string_bound: int = 0
    repeat: str = ""
    size: int = 0

    @property
    def element(self) -> Type:
        """The type of one value."""
        return Type(self.base, self.string_bound)

    @property
    def nested(self) -> bool:
        """Whether the base is a message."""
        return "/" in self.base

    @property
    def array_code(self) -> str:
        """Type code under which many values share one array; empty where they need a list."""
        return PRIMITIVES[self.base].array if self.base in PRIMITIVES else ""

    def __str__(self) -> str:
        """The spelling of `get_fields_and_field_types`."""
        name = self.base
        if self.nested:
            package, _, tail = name.partition("/")
            name = f"{package}/{tail.rpartition('/')[2]}"
        if self.string_bound:
            name += f"<{self.string_bound}>"
        if self.repeat == "array":
            return f"{name}[{self.size}]"
        if self.repeat:
            return f"sequence<{name}{f', {self.size}' if self.size else ''}>"
        return name


@dataclass(frozen=True)
class Field:
    """One member of a message; default is None where the type's own default holds."""

    name: str
    type: Type
    default: Value | tuple[Value, ...] | None = None


@dataclass(frozen=True)
class Message:
    """A plain structure: a message, or one of the parts of a service or an action."""

    name: str
    fields: tuple[Field, ...]
    constants: dict[str, Value]

    @property
    def members(self) -> tuple[Field, ...]:
        """The fields on the wire: IDL knows no empty structure, so one byte stands in."""
        return self.fields or (Field("structure_needs_at_least_one_member", Type("uint8")),)
