# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Where interface definitions are found, and what services and actions are made of."""

from __future__ import annotations

import functools
import os
import re
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
_DERIVED = re.compile(
    r"(.*?)_(Goal|Result|Feedback|FeedbackMessage|Event|Request|Response"
    r"|(?:SendGoal|GetResult)(?:_(?:Request|Response|Event))?)"
)


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

    Raises:
        InterfaceError: There is no such interface; the message lists what the package has.
    """
    package, _, rest = name.partition("/")
    kind, _, short = rest.partition("/")
    derived = _DERIVED.fullmatch(short)
    if derived is not None and kind != "msg":
        owner, part = f"{package}/{kind}/{derived[1]}", derived[2]
        for found in parts(owner):
            if found.name == name:
                return found
        return _made_up(owner, part, name)
    if kind == "msg":
        return parts(name)[0]
    raise InterfaceError(f"{name!r} is not a structure; its parts are, for example {name}_Request")


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


def _made_up(owner: str, part: str, name: str) -> Message:
    """Write down the structures that services and actions imply."""
    goal_id = Field("goal_id", Type("unique_identifier_msgs/msg/UUID"))
    service, _, event = name.rpartition("_")
    fields: dict[str, tuple[Field, ...]] = {
        "FeedbackMessage": (goal_id, Field("feedback", Type(f"{owner}_Feedback"))),
        "SendGoal_Request": (goal_id, Field("goal", Type(f"{owner}_Goal"))),
        "SendGoal_Response": (
            Field("accepted", Type("boolean")),
            Field("stamp", Type("builtin_interfaces/msg/Time")),
        ),
        "GetResult_Request": (goal_id,),
        "GetResult_Response": (
            Field("status", Type("int8")),
            Field("result", Type(f"{owner}_Result")),
        ),
    }
    if event == "Event":
        made: tuple[Field, ...] = (
            Field("info", Type("service_msgs/msg/ServiceEventInfo")),
            Field("request", Type(f"{service}_Request", 0, "sequence", 1)),
            Field("response", Type(f"{service}_Response", 0, "sequence", 1)),
        )
    elif part in fields and "/action/" in owner:
        made = fields[part]
    else:
        raise InterfaceError(f"interface {name!r} is unknown: {owner} has no part {part}")
    return Message(name, made, {})


def outline(name: str) -> tuple[Field, ...]:
    """Return the members under which a service or an action as a whole is described."""
    if "/msg/" in name:
        return message(name).members
    labels = {"Request": "request_message", "Response": "response_message"}
    labels["Event"] = "event_message"
    if "/action/" in name and not name.endswith(("_SendGoal", "_GetResult")):
        labels = {"Goal": "goal", "Result": "result", "Feedback": "feedback"}
        labels |= {"SendGoal": "send_goal_service", "GetResult": "get_result_service"}
        labels["FeedbackMessage"] = "feedback_message"
    return tuple(Field(label, Type(f"{name}_{part}")) for part, label in labels.items())
