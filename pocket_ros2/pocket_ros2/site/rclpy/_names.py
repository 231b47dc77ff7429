# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Rules for names: what is valid, and how a name becomes absolute."""

from __future__ import annotations

import re

from rclpy.exceptions import (
    InvalidNamespaceException,
    InvalidNodeNameException,
    InvalidServiceNameException,
    InvalidTopicNameException,
    NameValidationException,
)

_MAX_LENGTH = 255


def _first(pattern: str, text: str) -> int | None:
    match = re.search(pattern, text)
    return match.start() if match else None


def _common_problem(name: str, what: str) -> tuple[str, int] | None:
    """Return what is wrong with slashes and tokens, and where."""
    if len(name) > 1 and name.endswith("/"):
        return f"{what} must not end with a forward slash", len(name) - 1
    if (at := _first("//", name)) is not None:
        return f"{what} must not contain repeated '/'", at + 1
    if (at := _first(r"(?:(?<=/)|^)[0-9]", name)) is not None:
        return f"{what} token must not start with a number", at
    if len(name) > _MAX_LENGTH:
        return f"{what} must not be longer than {_MAX_LENGTH} characters", _MAX_LENGTH
    return None


def _topic_problem(name: str) -> tuple[str, int] | None:
    what = "topic name"
    if not name:
        return f"{what} must not be empty string", 0
    plain = re.sub(r"\{[^{}]*\}", lambda match: "x" * len(match[0]), name)
    for match in re.finditer(r"\{([^{}]*)\}", name):
        if not re.fullmatch(r"[A-Za-z0-9_]*", match[1]):
            return (
                "substitution name must not contain characters other than alphanumerics or '_'",
                match.start() + 1,
            )
        if match[1][:1].isdigit():
            return "substitution name must not start with a number", match.start() + 1
    if (at := _first(r"[^A-Za-z0-9_/~{}]", plain)) is not None:
        return (
            f"{what} must not contain characters other than alphanumerics, "
            "'_', '~', '{', or '}'",
            at,
        )
    if (at := _first(r"[{}]", plain)) is not None:
        return f"{what} must not have unbalanced curly braces ({{}})", at
    if (at := _first(r"(?<=.)~", plain)) is not None:
        return f"{what} must not have tilde (~) unless it is the first character", at
    if plain.startswith("~") and plain != "~" and plain[1] != "/":
        return f"{what} must not have a tilde (~) which is not followed by a forward slash (/)", 1
    return _common_problem(plain, what)


def _full_problem(name: str, what: str) -> tuple[str, int] | None:
    if not name:
        return f"{what} must not be empty", 0
    if not name.startswith("/"):
        return f"{what} must be absolute, it must lead with a '/'", 0
    if (at := _first(r"[^A-Za-z0-9_/]", name)) is not None:
        return f"{what} must not contain characters other than alphanumerics, '_', or '/'", at
    return _common_problem(name, what)


def _check(
    problem: tuple[str, int] | None, error: type[NameValidationException], name: str
) -> bool:
    if problem is not None:
        raise error(name, *problem)
    return True


def _check_text(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"a name must be a str, not {name!r}")


def validate_topic_name(name: str, *, is_service: bool = False) -> bool:
    """Check a name that may be relative and hold substitutions."""
    _check_text(name)
    error = InvalidServiceNameException if is_service else InvalidTopicNameException
    return _check(_topic_problem(name), error, name)


def validate_full_topic_name(name: str, *, is_service: bool = False) -> bool:
    """Check an absolute name."""
    _check_text(name)
    error = InvalidServiceNameException if is_service else InvalidTopicNameException
    problem = ("topic name must not be only '/'", 0) if name == "/" else None
    return _check(problem or _full_problem(name, "topic name"), error, name)


def validate_namespace(namespace: str) -> bool:
    _check_text(namespace)
    problem = None if namespace == "/" else _full_problem(namespace, "namespace")
    return _check(problem, InvalidNamespaceException, namespace)


def validate_node_name(node_name: str) -> bool:
    _check_text(node_name)
    problem = None
    if not node_name:
        problem = ("node name must not be empty", 0)
    elif (at := _first(r"[^A-Za-z0-9_]", node_name)) is not None:
        problem = ("node name must not contain characters other than alphanumerics or '_'", at)
    elif node_name[0].isdigit():
        problem = ("node name must not start with a number", 0)
    elif len(node_name) > _MAX_LENGTH:
        problem = (f"node name must not be longer than {_MAX_LENGTH} characters", _MAX_LENGTH)
    return _check(problem, InvalidNodeNameException, node_name)


def expand_topic_name(topic_name: str, node_name: str, node_namespace: str) -> str:
    """Return the absolute name that a node means by a name."""
    validate_topic_name(topic_name)
    validate_node_name(node_name)
    validate_namespace(node_namespace)
    prefix = node_namespace.rstrip("/")
    substitutions = {"node": node_name, "namespace": node_namespace, "ns": node_namespace}

    def substitute(match: re.Match[str]) -> str:
        if match[1] not in substitutions:
            raise ValueError(
                f"topic name '{topic_name}' has the unknown substitution '{match[0]}'; known: "
                + ", ".join(f"{{{known}}}" for known in substitutions)
            )
        return substitutions[match[1]]

    if topic_name.startswith("~"):
        topic_name = f"{prefix}/{node_name}{topic_name[1:]}"
    name = re.sub(r"\{([^{}]*)\}", substitute, topic_name)
    return name if name.startswith("/") else f"{prefix}/{name}"
