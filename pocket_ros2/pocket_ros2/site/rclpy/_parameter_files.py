# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameter values in YAML: files by node name, and single values of the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

_SECTION = "ros__parameters"


class _Loader(yaml.SafeLoader):
    """Reads as ROS 2 does: keys are always text, 1e3 is a number, dates and 1:30 are text."""

    yaml_implicit_resolvers = {
        first: [rule for rule in rules if rule[0].rsplit(":", 1)[1] in ("bool", "null", "merge")]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    bool_values = {**yaml.SafeLoader.bool_values, "y": True, "n": False}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
        """Construct the values below keys that stay as they are written."""
        self.flatten_mapping(node)
        return {str(key.value): self.construct_object(value, deep) for key, value in node.value}


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:[yYnN])$"), list("yYnN"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^[-+]?(?:0x[0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)


def read_yaml(text: str) -> Any:
    """Read one YAML document.

    Raises:
        yaml.YAMLError: The text is no YAML.
    """
    return yaml.load(text, _Loader)


def read_yaml_file(path: Path) -> dict[str, Any]:
    """Read a YAML file whose outermost level is a mapping.

    Raises:
        OSError: The file cannot be read.
        RuntimeError: It is something else.
    """
    try:
        document = read_yaml(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise RuntimeError(f"cannot read the parameter file {path}: {error}") from error
    if not isinstance(document, dict):
        raise RuntimeError(f"the parameter file {path} must map node names to {_SECTION}")
    return document


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Return a nested mapping as dotted names."""
    if not isinstance(tree, Mapping):
        raise RuntimeError(
            f"{prefix or _SECTION} must map parameter names to values, not {tree!r}"
        )
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        full = f"{prefix}.{name}" if prefix else name
        if isinstance(value, Mapping):
            flat.update(flatten(value, full))
        else:
            flat[full] = value
    return flat


def _sections(
    tree: Mapping[str, Any], path: Path, node: str = ""
) -> Iterable[tuple[str, dict[str, Any]]]:
    for name, value in tree.items():
        if name == _SECTION:
            if not node:
                raise RuntimeError(f"{path}: {_SECTION} must stand below a node name")
            yield node, flatten(value)
        elif isinstance(value, Mapping):
            yield from _sections(value, path, f"{node}/{name.strip('/')}")
        else:
            raise RuntimeError(f"{path}: {node}/{name} must hold {_SECTION}, not {value!r}")


def matches(pattern: str, node_fqn: str) -> bool:
    """Tell whether a node name pattern means this node; * is one name, ** any number of them."""
    tokens = pattern.strip("/").split("/")
    expression = "".join(
        "(?:/[^/]+)*" if token == "**" else "/" + re.escape(token).replace(r"\*", "[^/]*")
        for token in tokens
    )
    return re.fullmatch(expression, node_fqn) is not None


def file_sections(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the node names of a parameter file, each with what it says by dotted name."""
    return list(_sections(read_yaml_file(path), path))


def overrides_for(sections: Iterable[tuple[str, dict[str, Any]]], node_fqn: str) -> dict[str, Any]:
    """Return what sections say to one node.

    Below one node name the last value counts. Among several names that mean the node, the one
    that was first mentioned last counts, whether it has wildcards or not.
    """
    by_name: dict[str, dict[str, Any]] = {}
    for name, values in sections:
        by_name.setdefault("/" + name.strip("/"), {}).update(values)
    overrides: dict[str, Any] = {}
    for name, values in by_name.items():
        if matches(name, node_fqn):
            overrides.update(values)
    return overrides
