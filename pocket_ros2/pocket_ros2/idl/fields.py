# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Defaults and checks of message fields, with the rules of the classes that rosidl generates.

numpy is imported by the first type that has a fixed-size array of numbers, not before.
"""

from __future__ import annotations

import math
import os
from array import array
from collections import UserList, UserString
from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from pocket_ros2.idl.model import PRIMITIVES, Field, Message, Type
from pocket_ros2.subset import unsupported

_LISTS = (Sequence, AbstractSet, UserList)
Setter = Callable[[Any, Any], None]
_FLOAT32_MAX = 3.4028235677973366e38  # the largest number that rounds to a finite float32
_PYTHON = {"float": float, "double": float, "boolean": bool, "string": str, "wstring": str}
_EMPTY = {"float": 0.0, "double": 0.0, "boolean": False, "octet": b"\0", "string": ""}


def _fits(kind: Type, nested: type | None) -> tuple[Callable[[Any], bool], str]:
    """Return the test for one value of a kind, and in words what passes it."""
    if os.environ.get("ROS_PYTHON_CHECK_FIELDS") == "0":
        return lambda value: True, "anything"
    base, bound = kind.base, kind.string_bound
    if nested is not None:
        return lambda value: isinstance(value, nested), f"of type '{nested.__name__}'"
    if base == "octet":
        return (
            lambda value: isinstance(value, (bytes, bytearray)) and len(value) == 1,
            "of type 'bytes' with length 1",
        )
    if base == "float":
        return (
            lambda value: (
                isinstance(value, float)
                and (-_FLOAT32_MAX < value < _FLOAT32_MAX or not math.isfinite(value))
            ),
            "of type 'float' and within float32",
        )
    if base in _PYTHON:
        python = _PYTHON[base]
        if bound:
            return (
                lambda value: isinstance(value, str) and len(value) <= bound,
                f"of type 'str' with at most {bound} characters",
            )
        return lambda value: isinstance(value, python), f"of type '{python.__name__}'"
    low, high = PRIMITIVES[base].low, PRIMITIVES[base].high
    return (
        lambda value: isinstance(value, int) and low <= value <= high,
        f"of type 'int' in [{low}, {high}]",
    )


def setter(field: Field, put: Setter, nested: type | None) -> Setter:
    """Return the function behind `message.field = value`; put stores without a check."""
    fits, words = _fits(field.type.element, nested)
    if field.type.repeat:
        return _repeated_setter(field, put, fits, words)
    name = field.name

    def set_one(message: Any, value: Any) -> None:
        assert fits(value), f"field '{name}' must be {words}, not {value!r}"
        put(message, bytes(value) if type(value) is bytearray else value)

    return set_one


def _repeated_setter(field: Field, put: Setter, fits: Callable[[Any], bool], words: str) -> Setter:
    kind, name, code = field.type, field.name, field.type.array_code
    fixed, size = kind.repeat == "array", kind.size
    count = f" {size}" if fixed else f" at most {size}" if size else ""
    wanted = f"a sequence of{count} values, each {words}"

    def counts(value: Collection[Any]) -> bool:
        return len(value) == size if fixed else not size or len(value) <= size

    def set_many(message: Any, value: Any) -> None:
        if code and hasattr(value, "dtype"):
            assert value.ndim == 1, f"field '{name}' must have 1 dimension, not {value.ndim}"
            value = _from_numpy(kind, name, value)
        elif code and isinstance(value, array):
            given = value.typecode
            assert given == code, f"field '{name}' must have type code '{code}', not '{given}'"
        elif code == "B" and isinstance(value, (bytes, bytearray, memoryview)):
            value = array(code, bytes(value))
        else:
            listed = isinstance(value, _LISTS) and not isinstance(value, (str, UserString))
            good = listed and all(map(fits, value))
            assert good, f"field '{name}' must be {wanted}, not {_brief(value)}"
            value = array(code, value) if code else value
        assert counts(value), f"field '{name}' must have{count} values, not {len(value)}"
        put(message, _to_numpy(kind, value) if fixed and code else value)

    return set_many


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:76]} ..."


def _to_numpy(kind: Type, value: Any) -> Any:
    """Return an ndarray as it is, everything else copied into a new one."""
    import numpy as np

    return np.array(value, PRIMITIVES[kind.base].dtype, copy=not hasattr(value, "dtype"))


def _from_numpy(kind: Type, name: str, value: Any) -> Any:
    """Accept a numpy array: as it is for a fixed size, else copied into an `array.array`."""
    primitive = PRIMITIVES[kind.base]
    if value.dtype != primitive.dtype:
        whole = kind.base not in ("float", "double")
        good = value.dtype.kind in ("biu" if whole else "biuf")
        if good and whole and value.size:
            good = primitive.low <= value.min() <= value.max() <= primitive.high
        assert good, f"field '{name}' must be of dtype {primitive.dtype}, not {value.dtype}"
        value = value.astype(primitive.dtype)
    if kind.repeat == "array":
        return value
    made = array(kind.array_code)
    made.frombytes(value.tobytes())
    return made


_UNSET: Any = object()


def constructor(message: Message, classes: dict[str, type]) -> Callable[..., None]:
    """Return the `__init__` of a message: keywords only, everything else gets its default."""
    env: dict[str, Any] = {"unset": _UNSET, "refuse": _refuse, "copied": _copied, "array": array}
    lines = []
    for field in message.fields:
        name, kind = field.name, field.type
        given = f"self.{name} = {name}"
        if kind.repeat and kind.array_code:
            env[f"kind_{name}"] = kind
            given = f"self.{name} = copied(kind_{name}, {name})"
        lines.append(f"    if {name} is unset: self._{name} = {_default(field, env, classes)}")
        lines.append(f"    else: {given}")
    words = "".join(f"{field.name}=unset, " for field in message.fields)
    head = f"def __init__(self, /, {'*, ' * bool(words)}{words}**unknown):"
    exec("\n".join([head, "    if unknown: refuse(self, unknown)", *lines]), env)
    made: Callable[..., None] = env["__init__"]
    return made


def _refuse(message: Any, unknown: dict[str, Any]) -> None:
    if "check_fields" in unknown:
        raise unsupported(f"{type(message).__name__}(check_fields=)")
    fields = ", ".join(message.get_fields_and_field_types()) or "none"
    raise AssertionError(
        f"{type(message).__name__} has no field {', '.join(unknown)}; its fields: {fields}"
    )


def _copied(kind: Type, value: Any) -> Any:
    """Give a new message its own array, with whole numbers made floats as array.array does."""
    if hasattr(value, "dtype"):
        return value.copy() if kind.repeat == "array" else value
    if isinstance(value, array):
        return value[:]
    if kind.base in ("float", "double") and isinstance(value, (list, tuple, range)):
        return [float(v) if type(v) is int else v for v in value]
    return value


def _default(field: Field, env: dict[str, Any], classes: dict[str, type]) -> str:
    """Return the expression for a fresh default value."""
    kind, name = field.type, f"default_{field.name}"
    one = f"C_{field.name}()" if kind.nested else repr(_EMPTY.get(kind.base.removeprefix("w"), 0))
    if kind.nested:
        env[f"C_{field.name}"] = classes[kind.base]
    if field.default is not None:
        env[name] = field.default
        one = name
    if not kind.repeat:
        return one
    if kind.array_code and kind.repeat == "array":
        values = [0] * kind.size if field.default is None else field.default
        env[name] = _to_numpy(kind, values)
        return f"{name}.copy()"
    if kind.array_code:
        return f"array({kind.array_code!r}{f', {name}' if field.default is not None else ''})"
    if field.default is not None:
        return f"list({name})"
    if kind.repeat == "sequence":
        return "[]"
    return f"[{one} for _ in range({kind.size})]"
