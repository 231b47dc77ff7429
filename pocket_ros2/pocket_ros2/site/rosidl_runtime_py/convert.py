# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import OrderedDict
from typing import Any

import yaml
from pocket_ros2.idl import Message

_MARK = "..."


def message_to_ordereddict(
    msg: Any,
    *,
    truncate_length: int | None = None,
    no_arr: bool = False,
    no_str: bool = False,
) -> OrderedDict[str, Any]:
    """Return a message as nested dictionaries; long values end in an ellipsis if asked for."""
    return OrderedDict(
        (name, _plain(getattr(msg, name), kind, truncate_length, no_arr, no_str))
        for name, kind in msg.get_fields_and_field_types().items()
    )


def _plain(value: Any, kind: str, most: int | None, no_arr: bool, no_str: bool) -> Any:
    if isinstance(value, (str, bytes)):
        if no_str and isinstance(value, str):
            return f"<string length: <{len(value)}>>"
        if isinstance(value, bytes):
            return value[0] if len(value) == 1 else list(value)
        return value if most is None or len(value) <= most else value[:most] + _MARK
    if isinstance(value, Message):
        return message_to_ordereddict(value, truncate_length=most, no_arr=no_arr, no_str=no_str)
    if not hasattr(value, "__len__"):
        return value
    if no_arr:
        shown = kind.removeprefix("sequence<").removesuffix(">")
        return (
            f"<{'array' if kind[-1] == ']' else 'sequence'} type: {shown}, length: {len(value)}>"
        )
    items = value if most is None else value[:most]
    items = items.tolist() if hasattr(items, "tolist") else items
    made = [_plain(item, "", most, no_arr, no_str) for item in items]
    return made if most is None or len(value) <= most else [*made, _MARK]


class _Dumper(yaml.SafeDumper):
    """Keeps dictionaries in order and never writes anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(OrderedDict, lambda dumper, data: dumper.represent_dict(data.items()))


def message_to_yaml(msg: Any, *, flow_style: bool = False, **options: Any) -> str:
    """Return a message as YAML; options are those of message_to_ordereddict."""
    return yaml.dump(
        message_to_ordereddict(msg, **options),
        Dumper=_Dumper,
        allow_unicode=True,
        sort_keys=False,
        width=float("inf"),
        default_flow_style=flow_style,
    )


def message_to_csv(msg: Any, **options: Any) -> str:
    """Return a message as one line of CSV; options are those of message_to_ordereddict."""
    return ",".join(_cells(message_to_ordereddict(msg, **options)))


def _cells(value: Any) -> list[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [cell for item in value for cell in _cells(item)]
    return [str(value)]
