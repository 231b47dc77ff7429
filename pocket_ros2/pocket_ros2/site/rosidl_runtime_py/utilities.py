# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import functools
from typing import Any

from pocket_ros2 import idl


def get_interface(identifier: str) -> Any:
    """Return the class of an interface; `std_msgs/String` is short for `std_msgs/msg/String`."""
    package, _, rest = identifier.partition("/")
    try:
        return idl.load(f"{package}/{rest if '/' in rest else f'msg/{rest}'}")
    except idl.InterfaceError as error:
        raise ValueError(str(error)) from None


def _get(identifier: str, kind: str) -> Any:
    package, *rest = identifier.split("/")
    if len(rest) == 1:
        rest.insert(0, kind)
    if len(rest) != 2 or rest[0] != kind:
        raise ValueError(f"expected {identifier!r} to be of the form package/{kind}/Name")
    return get_interface("/".join((package, *rest)))


get_message = functools.partial(_get, kind="msg")
get_service = functools.partial(_get, kind="srv")
get_action = functools.partial(_get, kind="action")
