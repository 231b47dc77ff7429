# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Transforming messages of any registered type."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from rclpy.duration import Duration
from std_msgs.msg import Header


class TypeException(Exception):
    """No conversion is registered for a type."""

    def __init__(self, errstr: str) -> None:
        super().__init__(errstr)
        self.errstr = errstr


class NotImplementedException(Exception):
    """A buffer lacks a method of the interface."""

    errstr = "CanTransform or LookupTransform not implemented"


class _Table(dict):
    """Functions by type, shared by the whole process."""

    def __missing__(self, key: Any) -> Any:
        raise TypeException(f"Type {key} is not loaded or supported")


class TransformRegistration:
    """Which function transforms which message type."""

    _transforms = _Table()

    def add(self, key: Any, callback: Callable[[Any, Any], Any]) -> None:
        self._transforms[key] = callback

    def get(self, key: Any) -> Callable[[Any, Any], Any]:
        return self._transforms[key]


class ConvertRegistration:
    """Which function converts between a message and another type."""

    _from_msg, _to_msg, _convert = _Table(), _Table(), _Table()

    def add_from_msg(self, key: Any, callback: Callable[[Any], Any]) -> None:
        self._from_msg[key] = callback

    def add_to_msg(self, key: Any, callback: Callable[[Any], Any]) -> None:
        self._to_msg[key] = callback

    def add_convert(self, key: Any, callback: Callable[[Any], Any]) -> None:
        self._convert[key] = callback

    def get_from_msg(self, key: Any) -> Callable[[Any], Any]:
        return self._from_msg[key]

    def get_to_msg(self, key: Any) -> Callable[[Any], Any]:
        return self._to_msg[key]

    def get_convert(self, key: Any) -> Callable[[Any], Any]:
        return self._convert[key]


def convert(a: Any, b_type: type) -> Any:
    """Return a as b_type: by a direct conversion, as a copy, or through a message."""
    registered = ConvertRegistration()
    try:
        direct = registered.get_convert((type(a), b_type))
    except TypeException:
        if type(a) is b_type:
            return deepcopy(a)
        return registered.get_from_msg(b_type)(registered.get_to_msg(type(a))(a))
    return direct(a)


def Stamped(obj: Any, stamp: Any, frame_id: str) -> Any:
    """Give obj a header, and return it."""
    obj.header = Header(frame_id=frame_id, stamp=stamp)
    return obj


class BufferInterface:
    """Transforms stamped messages; a subclass brings the lookups."""

    def __init__(self) -> None:
        self.registration = TransformRegistration()

    def transform(self, object_stamped, target_frame, timeout=Duration(), new_type=None) -> Any:
        """Return the message in target_frame at its own stamp.

        Raises:
            TypeException: The type is not registered; import tf2_geometry_msgs or the like.
        """
        do_transform = self.registration.get(type(object_stamped))
        header = object_stamped.header
        found = self.lookup_transform(target_frame, header.frame_id, header.stamp, timeout)
        moved = do_transform(object_stamped, found)
        return moved if new_type is None else convert(moved, new_type)

    def transform_full(
        self,
        object_stamped,
        target_frame,
        target_time,
        fixed_frame,
        timeout=Duration(),
        new_type=None,
    ) -> Any:
        """Return the message in target_frame as it is at target_time, held by fixed_frame."""
        do_transform = self.registration.get(type(object_stamped))
        header = object_stamped.header
        found = self.lookup_transform_full(
            target_frame, target_time, header.frame_id, header.stamp, fixed_frame, timeout
        )
        moved = do_transform(object_stamped, found)
        return moved if new_type is None else convert(moved, new_type)

    def _missing(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedException(NotImplementedException.errstr)

    lookup_transform = lookup_transform_full = can_transform = can_transform_full = _missing
