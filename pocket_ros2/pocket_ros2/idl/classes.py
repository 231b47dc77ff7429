# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes the Python classes of messages, services and actions, as rosidl generates them."""

from __future__ import annotations

import functools
import re
import struct
import threading
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from pocket_ros2.idl import catalogue, cdr_reader, cdr_writer
from pocket_ros2.idl.cdr import CdrError
from pocket_ros2.idl.fields import constructor, setter
from pocket_ros2.idl.rihs import type_hash
from pocket_ros2.subset import unsupported


class TypeSupport:
    """What the wire needs to know about an interface type."""

    def __init__(self, name: str) -> None:
        self.ros_name = name
        package, kind, short = name.split("/")
        self.dds_name = f"{package}::{kind}::dds_::{short}_"

    @functools.cached_property
    def rihs(self) -> str:
        """The type hash, `RIHS01_...`."""
        return type_hash(self.ros_name)

    @functools.cached_property
    def _put(self) -> Any:
        return cdr_writer.serializer(self.ros_name)

    @functools.cached_property
    def _get(self) -> dict[bytes, Callable[[Any, int], Any]]:
        return {b"\0\1": cdr_reader.deserializer(self.ros_name, "<")}

    def serialize(self, msg: Any) -> bytearray:
        """Return the message as CDR bytes.

        Raises:
            TypeError: A list in the message holds a value of a wrong type, or msg itself is one.
        """
        try:
            return self._put(msg)  # type: ignore[no-any-return]
        except (AttributeError, TypeError, ValueError, OverflowError, struct.error) as error:
            raise TypeError(f"cannot serialise {msg!r} as {self.ros_name}: {error}") from error

    def deserialize(self, buf: bytes | bytearray | memoryview) -> Any:
        """Return a new message made from CDR bytes; it does not share memory with them.

        Raises:
            CdrError: The bytes are truncated, or are no CDR of this type.
        """
        header = bytes(buf[:2])
        get = self._get.get(header)
        if get is None:
            if header != b"\0\0":
                raise CdrError(f"unknown encapsulation {header!r}; plain CDR is b'\\0\\1'")
            get = self._get[header] = cdr_reader.deserializer(self.ros_name, ">")
        try:
            return get(buf, len(buf))
        except (struct.error, UnicodeDecodeError, OverflowError) as error:
            raise CdrError(f"corrupted {self.ros_name}: {error}") from None


class _Meta(type):
    """Makes constants read-only on the class, as they are on its instances."""

    _constants: dict[str, Any] = {}

    def __setattr__(cls, name: str, value: Any) -> None:
        if name in cls._constants:
            raise AttributeError(f"constant {name} of {cls.__name__} cannot be set")
        super().__setattr__(name, value)

    def __getattr__(cls, name: str) -> Any:
        if name in ("SLOT_TYPES", "Event"):
            raise unsupported(f"{cls.__name__}.{name}")
        raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")


class Message(metaclass=_Meta):
    """Base of all generated structures."""

    __slots__ = ()
    _fields_and_field_types: ClassVar[dict[str, str]] = {}
    _TYPE_SUPPORT: ClassVar[TypeSupport]

    @classmethod
    def get_fields_and_field_types(cls) -> dict[str, str]:
        """Return the field types as text, by field name."""
        return dict(cls._fields_and_field_types)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, self.__class__):
            return False
        for name in self._fields_and_field_types:
            same = getattr(self, name) == getattr(other, name)
            if not (same if isinstance(same, bool) else same.all()):
                return False
        return True

    __hash__ = None  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        if name == "SLOT_TYPES":
            raise unsupported(f"{type(self).__name__}.{name}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        values = (f"{name}={_shown(getattr(self, name))}" for name in self._fields_and_field_types)
        module = self.__class__.__module__.rpartition(".")[0]
        return f"{module}.{self.__class__.__name__}({', '.join(values)})"


def _shown(value: Any) -> str:
    text = repr(value)
    if text.startswith("array('"):
        return text[len("array('x', ") : -1] or "[]"
    return text


class _Group(metaclass=_Meta):
    _TYPE_SUPPORT: ClassVar[TypeSupport]

    def __init__(self) -> None:
        raise NotImplementedError(f"{type(self).__name__} has no instances; its parts have")


class Service(_Group):
    """Base of all service classes, which hold the two messages."""


class Action(_Group):
    """Base of all action classes, which hold the messages and services of an action."""


def snake(name: str) -> str:
    """Return the module that rosidl puts an interface in, without its leading underscore."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


_T = TypeVar("_T")
_lock = threading.RLock()


def _once(make: Callable[[str], _T]) -> Callable[[str], _T]:
    """Make each class once, also when threads ask for it at the same moment."""
    made: dict[str, _T] = {}

    def get(name: str) -> _T:
        if name not in made:
            with _lock:
                if name not in made:
                    made[name] = make(name)
        return made[name]

    return get


def _make(base: type, name: str, content: dict[str, Any]) -> Any:
    package, kind, short = name.split("/")
    owner = short.partition("_")[0]
    content |= {
        "__module__": f"{package}.{kind}._{snake(owner)}",
        "__doc__": f"{name}, generated from its definition.",
        "_TYPE_SUPPORT": TypeSupport(name),
    }
    return type(base)(short, (base,), content)


@_once
def message_class(name: str) -> type[Message]:
    """Return the class of a message, or of a part of a service or an action."""
    message = catalogue.message(name)
    constants: dict[str, Any] = dict(message.constants)
    for field in message.fields:
        if field.default is not None:
            constants[f"{field.name.upper()}__DEFAULT"] = field.default
    content: dict[str, Any] = {
        **constants,
        "__slots__": tuple(f"_{field.name}" for field in message.fields),
        "_constants": constants,
        "_fields_and_field_types": {field.name: str(field.type) for field in message.fields},
    }
    classes = {f.type.base: message_class(f.type.base) for f in message.fields if f.type.nested}
    made: type[Message] = _make(Message, name, content)
    for field in message.fields:
        slot = made.__dict__[f"_{field.name}"]
        nested = classes.get(field.type.base)
        put = setter(field, slot.__set__, nested)
        setattr(made, field.name, property(slot.__get__, put, None, f"Field '{field.name}'."))
    made.__init__ = constructor(message, classes)  # type: ignore[method-assign]
    return made


@_once
def service_class(name: str) -> type[Service]:
    """Return the class of a service, or of one of the two services within an action."""
    parts = {part: message_class(f"{name}_{part}") for part in ("Request", "Response")}
    made: type[Service] = _make(Service, name, parts)
    return made


@_once
def action_class(name: str) -> type[Action]:
    """Return the class of an action."""
    content: dict[str, Any] = {
        part: message_class(f"{name}_{part}") for part in ("Goal", "Result", "Feedback")
    }
    content["Impl"] = type(
        "Impl",
        (),
        {
            "SendGoalService": service_class(f"{name}_SendGoal"),
            "GetResultService": service_class(f"{name}_GetResult"),
            "FeedbackMessage": message_class(f"{name}_FeedbackMessage"),
            "CancelGoalService": service_class("action_msgs/srv/CancelGoal"),
            "GoalStatusMessage": message_class("action_msgs/msg/GoalStatusArray"),
        },
    )
    made: type[Action] = _make(Action, name, content)
    return made


def load(name: str) -> type:
    """Return the class of `pkg/msg/Name`, `pkg/srv/Name` or `pkg/action/Name`, or of a part.

    Raises:
        InterfaceError: There is no such interface.
    """
    _, kind, short = catalogue.split(name)
    if kind == "msg":
        return message_class(name)
    if short.endswith(("_SendGoal", "_GetResult")):
        return service_class(name)
    if "_" in short:
        return message_class(name)
    return service_class(name) if kind == "srv" else action_class(name)


def type_support(cls: type) -> TypeSupport:
    """Return the type support of a message, service or action class.

    Raises:
        TypeError: cls is something else.
    """
    if isinstance(cls, _Meta) and "_TYPE_SUPPORT" in cls.__dict__:
        return cls._TYPE_SUPPORT  # type: ignore[no-any-return]
    raise TypeError(f"{cls!r} is not a message, service or action class such as std_msgs.msg.Bool")
