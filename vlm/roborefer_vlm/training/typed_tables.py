# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From TOML tables to frozen dataclasses: every key known, every value of its type."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from roborefer_vlm.exceptions import ConfigurationError

Kind = TypeVar("Kind")


def read_toml(path: str | Path, changes: Sequence[str] = ()) -> dict[str, Any]:
    """Read a TOML file.

    Args:
        path: The file.
        changes: Lines "key=value" with dots between the keys of nested tables, that replace what
            the file says. The value is TOML; a word that is none is taken as text.

    Raises:
        ConfigurationError: The file cannot be read, or a change cannot be made.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read as TOML: {error}") from error
    for change in changes:
        _change(table, change)
    return table


def _change(table: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    if not key.strip() or not equals:
        raise ConfigurationError(f"'{change}' is no change; write key=value, such as seed=7")
    *path, last = key.strip().split(".")
    place: Any = table
    for name in path:
        place = place.setdefault(name, {}) if isinstance(place, dict) else None
        if isinstance(place, list) and len(place) == 1:
            place = place[0]
    if not isinstance(place, dict):
        raise ConfigurationError(f"'{key}' names nothing that can be changed")
    try:
        place[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        place[last] = text


def read_table(kind: type[Kind], table: Mapping[str, Any], where: str) -> Kind:
    """Make a dataclass of a table.

    Args:
        kind: A dataclass whose fields are numbers, texts, flags, paths, words of a StrEnum,
            optional ones, tuples, mappings by name, or dataclasses.
        table: Its values by the names of its fields.
        where: File and table, for messages.

    Raises:
        ConfigurationError: A key is unknown or missing, or a value has another type.
    """
    assert is_dataclass(kind)
    types = get_type_hints(kind)
    members = {one.name: one for one in fields(kind)}
    for key in table:
        if key not in members:
            near = get_close_matches(key, members, n=1, cutoff=0.0)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise ConfigurationError(
                f"{where}: '{key}' is not known; {hint}known are {', '.join(members)}"
            )
    values = {}
    for name, member in members.items():
        if name in table:
            values[name] = _convert(types[name], table[name], f"{where}: '{name}'")
        elif member.default is MISSING and member.default_factory is MISSING:
            raise ConfigurationError(f"{where}: '{name}' is missing; give a value")
    try:
        made: Kind = kind(**values)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from None
    return made


def _convert(kind: Any, value: Any, where: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        # Only "something or nothing" occurs; TOML has no nothing, so a value is something.
        return _convert(next(one for one in inner if one is not NoneType), value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(where, value, "a list")
        types = [inner[0]] * len(value) if inner[1:] == (...,) else list(inner)
        if len(types) != len(value):
            raise _wrong(where, value, f"a list of {len(types)}")
        return tuple(
            _convert(one, entry, f"{where}[{place}]")
            for place, (one, entry) in enumerate(zip(types, value, strict=True))
        )
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise _wrong(where, value, "a table")
        return {key: _convert(inner[1], one, f"{where}.{key}") for key, one in value.items()}
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict):
            raise _wrong(where, value, "a table")
        return read_table(kind, value, where)
    return _convert_plain(kind, value, where)


def _convert_plain(kind: Any, value: Any, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is Path and isinstance(value, str) and value:
        return Path(value).expanduser()
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        if value in list(kind):
            return kind(value)
        raise _wrong(where, value, f"one of {', '.join(kind)}")
    # A flag is a whole number to Python, but not to people.
    if type(value) is kind:
        return value
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    raise _wrong(where, value, names.get(kind, "the path of a file or folder"))


def _wrong(where: str, value: Any, wanted: str) -> ConfigurationError:
    return ConfigurationError(f"{where} is {value!r:.80}; {wanted} is needed")
