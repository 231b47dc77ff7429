# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages as bytes, and back."""

from __future__ import annotations

from typing import Any

from pocket_ros2 import idl


def serialize_message(message: Any) -> bytes:
    return bytes(idl.type_support(type(message)).serialize(message))


def deserialize_message(serialized_message: bytes, message_type: Any) -> Any:
    return idl.type_support(message_type).deserialize(serialized_message)
