# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from pocket_ros2.idl.catalogue import message as definition
from pocket_ros2.idl.model import Type

from pocket_ros2 import idl


def set_message_fields(
    msg: Any,
    values: dict[str, Any],
    expand_header_auto: bool = False,
    expand_time_now: bool = False,
) -> list[Any]:
    """Fill a message from nested dictionaries, numbers becoming what each field needs.

    Returns:
        Functions that put a given time wherever `auto` stood for a header or `now` for a stamp.

    Raises:
        AttributeError: The message has no such field.
        TypeError: values is no dictionary, or a value does not fit its field.
    """
    if not isinstance(values, dict):
        raise TypeError(f"expected a dictionary for {type(msg).__name__}, got {values!r}")
    fields = {f.name: f.type for f in definition(idl.type_support(type(msg)).ros_name).fields}
    later: list[Any] = []
    for name, value in values.items():
        if name not in fields:
            raise AttributeError(
                f"{type(msg).__name__} has no field {name!r}; it has: {[*fields]}"
            )
        base = fields[name].base
        if value == "auto" and expand_header_auto and base == "std_msgs/msg/Header":
            later.append(lambda stamp, header=getattr(msg, name): setattr(header, "stamp", stamp))
        elif value == "now" and expand_time_now and base == "builtin_interfaces/msg/Time":
            later.append(lambda stamp, name=name: setattr(msg, name, stamp))
        else:
            try:
                made = _made(fields[name], value, (expand_header_auto, expand_time_now), later)
                setattr(msg, name, made)
            except (AssertionError, ValueError, TypeError) as error:
                raise TypeError(f"{type(msg).__name__}.{name}: {error}") from None
    return later


def _made(kind: Type, value: Any, expand: tuple[bool, bool], later: list[Any]) -> Any:
    if kind.repeat:
        if isinstance(value, (str, dict)) or not hasattr(value, "__len__"):
            raise TypeError(f"expected a sequence, got {value!r}")
        return [_made(kind.element, item, expand, later) for item in value]
    if kind.nested:
        if isinstance(value, idl.Message):
            return value
        made = idl.load(kind.base)()
        later.extend(set_message_fields(made, value, *expand))
        return made
    if kind.base == "octet" and isinstance(value, int):
        return bytes([value])
    if kind.base in ("float", "double"):
        return float(value)
    if kind.base in ("string", "wstring"):
        return str(value)
    if kind.base == "boolean":
        return bool(value)
    return value if isinstance(value, (bool, float, bytes)) else int(value)
