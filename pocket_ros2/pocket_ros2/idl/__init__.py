# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Interfaces: definitions, type hashes, Python classes and their bytes on the wire."""

from __future__ import annotations

from pocket_ros2.idl.catalogue import interface_packages, interfaces_in
from pocket_ros2.idl.cdr import CdrError
from pocket_ros2.idl.classes import Message, TypeSupport, load, type_support
from pocket_ros2.idl.model import InterfaceError

__all__ = [
    "CdrError",
    "InterfaceError",
    "Message",
    "TypeSupport",
    "interface_packages",
    "interfaces_in",
    "load",
    "type_support",
]
