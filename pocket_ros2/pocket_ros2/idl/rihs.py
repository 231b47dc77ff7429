# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Type hashes (RIHS01): the part of a topic key that keeps different definitions apart."""

from __future__ import annotations

import functools
import hashlib
import json
from typing import Any

from pocket_ros2.idl import catalogue
from pocket_ros2.idl.model import PRIMITIVES, STRINGS, Field

_REPEATS = {"": 0, "array": 48, "bounded": 96, "sequence": 144}


@functools.cache
def type_hash(name: str) -> str:
    """Return the hash of a message, service or action, or of a part of one."""
    described: dict[str, dict[str, Any]] = {}
    _describe(name, described)
    top = described.pop(name)
    others = [described[other] for other in sorted(described)]
    text = json.dumps({"type_description": top, "referenced_type_descriptions": others})
    return f"RIHS01_{hashlib.sha256(text.encode()).hexdigest()}"


def _describe(name: str, described: dict[str, dict[str, Any]]) -> None:
    if name in described:
        return
    members = catalogue.message(name).members
    described[name] = {"type_name": name, "fields": [_field(member) for member in members]}
    for member in members:
        if member.type.nested:
            _describe(member.type.base, described)


def _field(field: Field) -> dict[str, Any]:
    kind = field.type
    if kind.base in PRIMITIVES:
        number = PRIMITIVES[kind.base].type_id
    elif kind.base in STRINGS:
        number = STRINGS[kind.base] + (4 if kind.string_bound else 0)
    else:
        number = 1
    repeat = "bounded" if kind.repeat == "sequence" and kind.size else kind.repeat
    return {
        "name": field.name,
        "type": {
            "type_id": number + _REPEATS[repeat],
            "capacity": kind.size,
            "string_capacity": kind.string_bound,
            "nested_type_name": kind.base if kind.nested else "",
        },
    }
