# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The border of the subset: everything beyond it is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn


def unsupported(api: str) -> NotImplementedError:
    """Return the error to raise where a program asks for ROS 2 API outside the subset.

    Args:
        api: Full name as ROS 2 documents it, for example `rclpy.node.Node.create_x(option=)`.
    """
    return NotImplementedError(
        f"{api} is not part of pocket_ros2; docs/api.md lists what is, "
        "and a real ROS 2 installation has it all"
    )


def refuser(module: str, *names: str) -> Callable[[str], NoReturn]:
    """Return a module-level `__getattr__` that refuses these names of the upstream module."""

    def refuse(name: str) -> NoReturn:
        if name in names:
            raise unsupported(f"{module}.{name}")
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return refuse
