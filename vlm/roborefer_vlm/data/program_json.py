# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Programs as JSON values and back, so that a sample carries what proves its answer.

A node becomes an object with its kind under "node" and those of its fields that are not at their
default: `{"node": "thing", "noun": "mug", "attributes": ["red"]}`. Reading is strict: what is
unknown, missing or of another type is an error that names the place.
"""

from __future__ import annotations

import types
from dataclasses import MISSING, Field, fields
from enum import StrEnum
from functools import cache
from math import isfinite
from typing import Any, Union, get_args, get_origin, get_type_hints

from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes import program
from roborefer_vlm.scenes.program import (
    Constraint,
    Feature,
    Order,
    Part,
    Question,
    Request,
    Space,
    Thing,
    Viewer,
)

Node = Viewer | Feature | Constraint | Order | Thing | Part | Space | Request | Question

MOST_DEPTH = 40
_NODES: dict[str, type[Any]] = {
    kind.__name__.lower(): kind
    for kind in (Viewer, Feature, Constraint, Order, Thing, Part, Space, Request, Question)
}


def program_to_json(node: Node) -> dict[str, Any]:
    """Return a program, or any part of one, as JSON values."""
    result: dict[str, Any] = {"node": type(node).__name__.lower()}
    for field in fields(node):
        value = getattr(node, field.name)
        if value != field.default:
            result[field.name] = _plain(value)
    return result


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, str | int | float) or value is None:
        return value
    return program_to_json(value)


def program_from_json(value: Any) -> Node:
    """Return the program that JSON values stand for.

    Raises:
        QueryError: They stand for none; the message names the place and what would be right.
    """
    node: Node = _node(value, tuple(_NODES.values()), "program", 0)
    return node


def _node(value: Any, kinds: tuple[type[Any], ...], place: str, depth: int) -> Any:
    names = [kind.__name__.lower() for kind in kinds]
    if depth > MOST_DEPTH:
        raise QueryError(f"{place} is nested deeper than {MOST_DEPTH}")
    if not isinstance(value, dict) or value.get("node") not in names:
        shown = value.get("node") if isinstance(value, dict) else value
        raise QueryError(f"{place} is {str(shown)[:60]!r}; a node is needed: {', '.join(names)}")
    kind: Any = _NODES[value["node"]]
    known, hints = _fields(kind)
    unknown = set(value) - set(known) - {"node"}
    if unknown:
        raise QueryError(
            f"{place} has '{min(unknown)}', which no {value['node']} has;"
            f" fields: {', '.join(known)}"
        )
    given: dict[str, Any] = {}
    for name, field in known.items():
        if name in value:
            given[name] = _read(value[name], hints[name], f"{place}.{name}", depth + 1)
        elif field.default is MISSING:
            raise QueryError(f"{place} lacks '{name}'")
    return kind(**given)


@cache
def _fields(kind: Any) -> tuple[dict[str, Field[Any]], dict[str, Any]]:
    return {field.name: field for field in fields(kind)}, get_type_hints(kind, vars(program))


def _read(value: Any, hint: Any, place: str, depth: int) -> Any:
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if value is None and type(None) in options:
        return None
    first = options[0]
    if get_origin(first) is tuple:
        if not isinstance(value, list):
            raise QueryError(f"{place} is {str(value)[:60]!r}; a list is needed")
        item = get_args(first)[0]
        return tuple(_read(v, item, f"{place}[{i}]", depth) for i, v in enumerate(value))
    if first in _NODES.values():
        return _node(value, tuple(o for o in options if o is not type(None)), place, depth)
    if issubclass(first, StrEnum):
        if value not in [member.value for member in first]:
            raise QueryError(f"{place} is {str(value)[:60]!r}; use {', '.join(first)}")
        return first(value)
    return _scalar(value, first, place)


def _scalar(value: Any, kind: type[Any], place: str) -> Any:
    right = type(value) is kind or (kind is float and type(value) is int)
    if not right or (kind is float and not isfinite(value)):
        raise QueryError(f"{place} is {str(value)[:60]!r}; a {kind.__name__} is needed")
    return kind(value)
