# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What stands between --ros-args and -- on a command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from rclpy._parameter_files import file_sections, read_yaml
from rclpy._rclpy_pybind11 import RCLInvalidROSArgsError, UnknownROSArgsError

_LEVELS = ("debug", "info", "warn", "error", "fatal")
_SCHEMES = {"rostopic://": "topic", "rosservice://": "service"}
_SWITCHES = ("rosout-logs", "stdout-logs", "external-lib-logs")


class Remap(NamedTuple):
    """A rule; kind is "topic", "service", "ns", "node" or "" for topics and services."""

    node: str
    kind: str
    source: str
    target: str


@dataclass
class RosArguments:
    remaps: list[Remap] = field(default_factory=list)
    parameters: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    log_levels: list[tuple[str, str]] = field(default_factory=list)
    switches: dict[str, bool] = field(default_factory=dict)
    enclave: str = "/"
    unparsed: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @classmethod
    def parse(cls, argv: list[str], strict: bool = True) -> RosArguments:
        """Split a command line.

        Raises:
            RCLInvalidROSArgsError: A value is missing or malformed.
            UnknownROSArgsError: There is no such argument, and strict is true.
        """
        found = cls()
        arguments = iter(argv)
        inside = False
        for argument in arguments:
            argument.encode()  # Refuses what the locale could not decode.
            if argument == "--ros-args":
                inside = True
            elif not inside:
                found.unparsed.append(argument)
            elif argument == "--":
                inside = False
            else:
                found._take(argument, arguments)
        if found.unknown and strict:
            raise UnknownROSArgsError(f"Found unknown ROS arguments: {found.unknown}")
        return found

    def _take(self, argument: str, rest: Iterator[str]) -> None:
        def value() -> str:
            following = next(rest, None)
            if following is None:
                raise RCLInvalidROSArgsError(f"'{argument}' needs a value after it")
            return following

        if argument in ("-r", "--remap"):
            self.remaps.append(_remap(value()))
        elif argument in ("-p", "--param"):
            self.parameters.append(_parameter(value()))
        elif argument == "--params-file":
            self.parameters += _parameter_file(value())
        elif argument == "--log-level":
            self.log_levels.append(_log_level(value()))
        elif argument in ("-e", "--enclave"):
            self.enclave = "/" + value().strip("/")
        elif argument in ("--log-config-file", "--log-file-name"):
            value()
        elif argument.startswith(("--enable-", "--disable-")) and argument.endswith(_SWITCHES):
            verb, switch = argument[2:].split("-", 1)
            self.switches[switch] = verb == "enable"
        elif ":=" in argument and not argument.startswith("-"):
            self.remaps.append(_remap(argument))
        else:
            self.unknown.append(argument)

    def configure_logging(self) -> None:
        from rclpy import _logging_console, logging

        _logging_console.enabled = self.switches.get("stdout-logs", True)
        for name, level in self.log_levels:
            logging.set_logger_level(name, logging.get_logging_severity_from_string(level))

    def remap(self, kinds: tuple[str, ...], node: str) -> Iterator[Remap]:
        """Return the rules for a node, in order."""
        return (rule for rule in self.remaps if rule.kind in kinds and rule.node in ("", node))


def _assignment(text: str, option: str) -> tuple[str, str]:
    name, separator, value = text.partition(":=")
    if not separator or not name or (option == "-r" and not value):
        raise RCLInvalidROSArgsError(f"'{option} {text}' does not have the form name:=value")
    return name, value


def _remap(text: str) -> Remap:
    source, target = _assignment(text, "-r")
    node, separator, rest = source.partition(":")
    kind = ""
    for scheme, meaning in _SCHEMES.items():
        if source.startswith(scheme):
            return Remap("", meaning, source.removeprefix(scheme), target.removeprefix(scheme))
    if separator:
        source = rest
    else:
        node = ""
    if source == "__ns":
        kind = "ns"
    elif source in ("__node", "__name"):
        kind = "node"
    return Remap(node, kind, source, target)


def _parameter(text: str) -> tuple[str, dict[str, Any]]:
    name, value = _assignment(text, "-p")
    node, _, rest = name.rpartition(":")
    try:
        return node or "/**", {rest: read_yaml(value)}
    except yaml.YAMLError as error:
        raise RCLInvalidROSArgsError(f"'-p {text}' has a value that is no YAML") from error


def _parameter_file(path: str) -> list[tuple[str, dict[str, Any]]]:
    try:
        return file_sections(Path(path))
    except (OSError, RuntimeError) as error:
        raise RCLInvalidROSArgsError(f"'--params-file {path}': {error}") from error


def _log_level(text: str) -> tuple[str, str]:
    name, _, level = text.rpartition(":=")
    if level.lower() not in _LEVELS:
        raise RCLInvalidROSArgsError(
            f"'--log-level {text}' does not end in one of {', '.join(_LEVELS)}"
        )
    return name, level
