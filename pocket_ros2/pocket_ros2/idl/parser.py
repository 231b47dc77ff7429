# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads `.msg`, `.srv` and `.action` texts."""

from __future__ import annotations

import keyword
import re
from collections.abc import Container

from pocket_ros2.idl.model import PRIMITIVES, STRINGS, Field, InterfaceError, Message, Type, Value

_SPELLINGS = {
    **{name: name for name in (*PRIMITIVES, *STRINGS) if name[-1].isdigit() or name in STRINGS},
    **{"bool": "boolean", "byte": "octet", "char": "uint8"},
    **{"float32": "float", "float64": "double"},
}
_TYPE = re.compile(
    r"(?P<package>[a-z][a-z0-9_]*/)?(?P<base>\w+)(?:<=(?P<bound>\d+))?"
    r"(?P<repeat>\[(?P<most><=)?(?P<size>\d*)\])?"
)
_NAMES = {
    "field": (r"(?!.*__)(?!.*_$)[a-z][a-z0-9_]*", "lower_snake_case, no Python keyword"),
    "constant": (r"[A-Z](?:[A-Z0-9_]?[A-Z0-9]+)*", "UPPER_SNAKE_CASE"),
}
_MESSAGE_NAME = re.compile(r"[A-Z][A-Za-z0-9]*")
_STRING_ITEM = re.compile(r"\s*(\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[^,\"']*)\s*(?:,|$)")
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def parse(text: str, names: tuple[str, ...], source: str) -> tuple[Message, ...]:
    """Parse the parts of one definition file.

    Args:
        text: The file's content.
        names: Full names of its parts, in order; the parts are separated by `---`.
        source: File name for error messages.

    Raises:
        InterfaceError: The text breaks the grammar; the message starts with `file:line:`.
    """
    lines = text.splitlines()
    cuts = [i for i, line in enumerate(lines) if line.rstrip() == "---"]
    if len(cuts) != len(names) - 1:
        raise InterfaceError(
            f"{source}:{len(lines)}: found {len(cuts)} separators '---', need {len(names) - 1}"
        )
    starts = [0, *(cut + 1 for cut in cuts)]
    ends = [*cuts, len(lines)]
    return tuple(
        _parse_part(lines, start, end, name, source)
        for start, end, name in zip(starts, ends, names, strict=True)
    )


def _parse_part(lines: list[str], start: int, end: int, name: str, source: str) -> Message:
    fields: dict[str, Field] = {}
    constants: dict[str, Value] = {}
    for number in range(start, end):
        line = lines[number].partition("#")[0].replace("\t", " ").strip()
        if not line:
            continue
        try:
            spelled, _, rest = line.partition(" ")
            kind = _type(spelled, name.partition("/")[0])
            if "=" in rest:
                label, text = (part.strip() for part in rest.split("=", 1))
                constants[_unique("constant", label, constants)] = _constant(kind, text)
            else:
                label, _, text = rest.strip().partition(" ")
                text = text.strip()
                default = _default(kind, text) if text else None
                fields[_unique("field", label, fields)] = Field(label, kind, default)
        except ValueError as error:
            raise InterfaceError(f"{source}:{number + 1}: {error}") from None
    return Message(name, tuple(fields.values()), constants)


def _unique(what: str, name: str, taken: Container[str]) -> str:
    pattern, style = _NAMES[what]
    if not re.fullmatch(pattern, name) or keyword.iskeyword(name):
        raise ValueError(f"bad {what} name {name!r}: use {style}")
    if name in taken:
        raise ValueError(f"{what} {name!r} is defined twice")
    return name


def _type(text: str, package: str) -> Type:
    found = _TYPE.fullmatch(text)
    if found is None:
        raise ValueError(f"bad type {text!r}: expected for example int32, string<=8, pkg/Name[]")
    base = _SPELLINGS.get(found["base"], "")
    if found["package"] or not base:
        if not _MESSAGE_NAME.fullmatch(found["base"]):
            raise ValueError(f"unknown type {text!r}: neither a primitive nor a message name")
        base = f"{found['package'] or package + '/'}msg/{found['base']}"
    bound = _bound(found["bound"], text)
    if bound and base not in STRINGS:
        raise ValueError(f"bad type {text!r}: only strings and sequences have an upper bound")
    if not found["repeat"]:
        return Type(base, bound)
    size = _bound(found["size"] or None, text)
    if found["most"] and not size:
        raise ValueError(f"bad type {text!r}: the bound is missing")
    return Type(base, bound, "sequence" if found["most"] or not size else "array", size)


def _bound(text: str | None, whole: str) -> int:
    if text is None:
        return 0
    if not 0 < int(text) < 2**32:
        raise ValueError(f"bad type {whole!r}: sizes and bounds are 1 to 2**32 - 1")
    return int(text)


def _constant(kind: Type, text: str) -> Value:
    if kind.nested or kind.repeat:
        raise ValueError(f"a constant cannot be of type {kind}: use a primitive or a string")
    return _value(kind, text)


def _default(kind: Type, text: str) -> Value | tuple[Value, ...]:
    if kind.nested:
        raise ValueError(f"a field of type {kind} cannot have a default, here {text!r}")
    if not kind.repeat:
        return _value(kind, text)
    if text[0] != "[" or text[-1] != "]":
        raise ValueError(f"bad default {text!r} for {kind}: expected [value, value]")
    values = tuple(_value(kind.element, item) for item in _items(text[1:-1].strip()))
    if kind.repeat == "array" and len(values) != kind.size:
        raise ValueError(f"default has {len(values)} values, {kind} needs {kind.size}")
    if kind.size and len(values) > kind.size:
        raise ValueError(f"default has {len(values)} values, {kind} takes {kind.size}")
    return values


def _items(text: str) -> list[str]:
    found, position = [], 0
    while position < len(text):
        item = _STRING_ITEM.match(text, position)
        if item is None or not item[1]:
            raise ValueError(f"bad list of values {text!r}")
        found.append(item[1].strip())
        position = item.end()
    return found


def _value(kind: Type, text: str) -> Value:
    if kind.base in STRINGS:
        quote = text[:1]
        if quote in ("'", '"') and quote:
            if len(text) < 2 or text[-1] != quote:
                raise ValueError(f"string {text} is not closed by {quote}")
            text = text[1:-1].replace("\\" + quote, quote)
        if kind.string_bound and len(text) > kind.string_bound:
            raise ValueError(f"{text!r} is longer than {kind.string_bound} characters")
        return text
    if kind.base == "boolean":
        if text.lower() not in _TRUTHS:
            raise ValueError(f"bad boolean {text!r}: use true or false")
        return _TRUTHS[text.lower()]
    if kind.base in ("float", "double"):
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"bad number {text!r} for {kind}") from None
    low, high = (0, 255) if kind.base == "octet" else PRIMITIVES[kind.base][-2:]
    try:
        value = int(text, 10 if text.isdecimal() else 0)
    except ValueError:
        raise ValueError(f"bad integer {text!r} for {kind}") from None
    if not low <= value <= high:
        raise ValueError(f"{value} does not fit {kind}: {low} to {high}")
    return bytes([value]) if kind.base == "octet" else value
