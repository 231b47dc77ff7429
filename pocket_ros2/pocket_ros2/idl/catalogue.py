# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Where interface definitions are found, and what services and actions are made of."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from pocket_ros2 import workspace
from pocket_ros2.idl.model import Field, InterfaceError, Message, Type
from pocket_ros2.idl.parser import parse

KINDS = ("msg", "srv", "action")
_PARTS = {
    "msg": ("",),
    "srv": ("_Request", "_Response"),
    "action": ("_Goal", "_Result", "_Feedback"),
}
_UUID = "unique_identifier_msgs/msg/UUID"
_TIME = "builtin_interfaces/msg/Time"


def interface_packages() -> dict[str, Path]:
    """Return the folders of all packages that have interfaces, by package name."""
    folders = {name: package_folder(name) for name in workspace.names()}
    return {name: folder for name, folder in folders.items() if folder is not None}


def package_folder(package: str) -> Path | None:
    """Return the folder that holds a package's `msg`, `srv` and `action`; None without any."""
    for prefix in workspace.prefixes():
        share = prefix / "share" / package
        if any((share / kind).is_dir() for kind in KINDS):
            return share
    source = workspace.source_packages().get(package)
    folder = source.path if source is not None else workspace.INTERFACES / package
    return folder if any((folder / kind).is_dir() for kind in KINDS) else None


def interfaces_in(package: str) -> list[str]:
    """Return the full names, such as `std_msgs/msg/String`, of a package's interfaces.

    Raises:
        InterfaceError: There is no such package, or it has no interfaces.
    """
    folder = package_folder(package)
    if folder is None:
        raise InterfaceError(f"package {package!r} has no interfaces or does not exist")
    return [f"{package}/{kind}/{name}" for kind in KINDS for name in files(folder, kind)]


@functools.cache
def files(folder: Path, kind: str) -> dict[str, Path]:
    """Return the definition files of one kind by interface name, as ROS_DISTRO has them."""
    found = {}
    distro = os.environ.get("ROS_DISTRO", "jazzy")
    for file in sorted((folder / kind).glob(f"*.{kind}"), key=lambda f: f.name.count(".")):
        name, _, only = file.name.removesuffix(f".{kind}").partition(".")
        if only in ("", distro):
            found[name] = file
    return dict(sorted(found.items()))


@functools.cache
def message(name: str) -> Message:
    """Return the structure called name: a message or a part of a service or an action.

    A service or an action itself has its parts as members, for its type hash only.

    Raises:
        InterfaceError: There is no such interface; the message lists what the package has.
    """
    package, kind, short = split(name)
    known = _structures(f"{package}/{kind}/{short.partition('_')[0]}")
    if name not in known:
        raise InterfaceError(f"interface {name!r} is unknown; there is: {', '.join(known)}")
    return known[name]


@functools.cache
def _structures(name: str) -> dict[str, Message]:
    """Return all structures that one definition file stands for."""
    made = [*parts(name)]
    if "/srv/" in name:
        made += _service(name)
    elif "/action/" in name:
        goal, result, feedback = (part.name for part in made)
        made += [
            _made(f"{name}_FeedbackMessage", goal_id=_UUID, feedback=feedback),
            _made(f"{name}_SendGoal_Request", goal_id=_UUID, goal=goal),
            _made(f"{name}_SendGoal_Response", accepted="boolean", stamp=_TIME),
            _made(f"{name}_GetResult_Request", goal_id=_UUID),
            _made(f"{name}_GetResult_Response", status="int8", result=result),
            *_service(f"{name}_SendGoal"),
            *_service(f"{name}_GetResult"),
            _made(
                name,
                goal=goal,
                result=result,
                feedback=feedback,
                send_goal_service=f"{name}_SendGoal",
                get_result_service=f"{name}_GetResult",
                feedback_message=f"{name}_FeedbackMessage",
            ),
        ]
    return {part.name: part for part in made}


def _service(name: str) -> list[Message]:
    request, response, event = (f"{name}_{part}" for part in ("Request", "Response", "Event"))
    fields = (
        Field("info", Type("service_msgs/msg/ServiceEventInfo")),
        Field("request", Type(request, 0, "sequence", 1)),
        Field("response", Type(response, 0, "sequence", 1)),
    )
    whole = _made(name, request_message=request, response_message=response, event_message=event)
    return [Message(event, fields, {}), whole]


def _made(name: str, **types: str) -> Message:
    return Message(name, tuple(Field(label, Type(base)) for label, base in types.items()), {})


@functools.cache
def parts(name: str) -> tuple[Message, ...]:
    """Return the written parts of an interface: 1 for a message, 2 for a service, 3, action."""
    package, kind, short = split(name)
    folder = package_folder(package)
    file = files(folder, kind).get(short) if folder is not None else None
    if file is None:
        known = ", ".join(files(folder, kind)) if folder is not None else ""
        raise InterfaceError(f"interface {name!r} is unknown; {package} has: {known or 'nothing'}")
    names = tuple(f"{name}{part}" for part in _PARTS[kind])
    return parse(file.read_text(encoding="utf-8"), names, str(file))


def split(name: str) -> tuple[str, str, str]:
    """Split `pkg/kind/Name`.

    Raises:
        InterfaceError: The name has another form.
    """
    pieces = tuple(name.split("/"))
    if len(pieces) != 3 or pieces[1] not in KINDS or not all(pieces):
        raise InterfaceError(f"bad interface name {name!r}: expected package/msg|srv|action/Name")
    return pieces[0], pieces[1], pieces[2]
