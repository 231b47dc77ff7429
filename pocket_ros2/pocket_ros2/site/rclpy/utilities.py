# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The default context, and what concerns the process as a whole."""

from __future__ import annotations

import sys
import threading
from typing import Any

from pocket_ros2 import idl
from rclpy._arguments import RosArguments
from rclpy.constants import S_TO_NS
from rclpy.context import Context

g_default_context: Context | None = None
g_context_lock = threading.Lock()


def get_default_context(*, shutting_down: bool = False) -> Context:
    global g_default_context
    with g_context_lock:
        context = g_default_context or Context()
        g_default_context = None if shutting_down else context
        return context


def remove_ros_args(args: list[str] | None = None) -> list[str]:
    """Return the arguments that are not meant for ROS."""
    return RosArguments.parse(sys.argv if args is None else args, strict=False).unparsed


def ok(*, context: Context | None = None) -> bool:
    return (context or get_default_context()).ok()


def shutdown(*, context: Context | None = None) -> None:
    (context or get_default_context(shutting_down=True)).shutdown()


def try_shutdown(*, context: Context | None = None) -> None:
    (context or get_default_context(shutting_down=True)).try_shutdown()


def get_rmw_implementation_identifier() -> str:
    return "rmw_zenoh_cpp"


def get_available_rmw_implementations() -> set[str]:
    return {get_rmw_implementation_identifier()}


def check_is_valid_msg_type(msg_type: Any) -> None:
    idl.type_support(msg_type)


def check_is_valid_srv_type(srv_type: Any) -> None:
    if not hasattr(srv_type, "Request") or not hasattr(srv_type, "_TYPE_SUPPORT"):
        raise TypeError(f"{srv_type!r} is not a service class such as std_srvs.srv.Trigger")


def timeout_sec_to_nsec(timeout_sec: float | None) -> int:
    """Return nanoseconds, -1 for None or a negative number."""
    return -1 if timeout_sec is None or timeout_sec < 0 else int(float(timeout_sec) * S_TO_NS)
