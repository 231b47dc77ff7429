# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""`interface list | packages | show`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from pocket_ros2 import idl
from pocket_ros2.cli.common import CliError, group, verb
from pocket_ros2.idl import catalogue


def register(commands: Any) -> None:
    """Add the commands of this module."""
    verbs = group(commands, "interface", "look at message, service and action types")
    listing = verb(verbs, "list", _list, "print all types")
    listing.add_argument("package", nargs="?", help="only those of this package")
    verb(verbs, "packages", _packages, "print packages that define types")
    show = verb(verbs, "show", _show, "print a definition, nested types included")
    show.add_argument("type", help="for example geometry_msgs/msg/Pose")


def definition(name: str) -> str:
    """Return the text of an interface file, without licence lines.

    Raises:
        CliError: There is no such type.
    """
    try:
        package, kind, base = catalogue.split(name)
        path = catalogue.files(idl.interface_packages()[package], kind)[base]
    except (idl.InterfaceError, KeyError) as error:
        raise CliError(
            f"unknown type {name!r}; a full name looks like geometry_msgs/msg/Pose"
        ) from error
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line.rstrip() for line in lines if not line.startswith("# SPDX-")).strip()


def nested_type(line: str, package: str) -> str | None:
    """Return the full name of the message type that a line's field has, None if primitive."""
    code = line.partition("#")[0].split()
    if len(code) < 2 or "=" in "".join(code[1:]):
        return None
    base = code[0].partition("[")[0]
    if "/" in base:
        owner, _, name = base.rpartition("/")
        return f"{owner.removesuffix('/msg')}/msg/{name}"
    return f"{package}/msg/{base}" if base[0].isupper() else None


def _list(args: argparse.Namespace) -> None:
    if args.package and args.package not in idl.interface_packages():
        raise CliError(
            f"package {args.package!r} defines no types; 'interface packages' shows those that do"
        )
    for package in [args.package] if args.package else sorted(idl.interface_packages()):
        print("\n".join(idl.interfaces_in(package)))


def _packages(args: argparse.Namespace) -> None:
    print("\n".join(sorted(idl.interface_packages())))


def _show(args: argparse.Namespace) -> None:
    print("\n".join(_lines(args.type, "")))


def _lines(name: str, indent: str) -> Iterator[str]:
    """Yield the lines of a definition; a nested message follows its field, one tab deeper."""
    for line in definition(name).splitlines():
        yield f"{indent}{line}"
        nested = nested_type(line, name.partition("/")[0])
        if nested:
            yield from _lines(nested, indent + "\t")
