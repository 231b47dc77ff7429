# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Text that becomes known only when it is needed, and the ways to write it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class SubstitutionFailure(Exception):
    """A text cannot be computed."""


class Substitution:
    def perform(self, context: LaunchContext) -> str:
        raise NotImplementedError(f"{type(self).__name__} does not define perform()")

    def describe(self) -> str:
        inputs = (value for value in vars(self).values() if value not in (None, ""))
        return f"{type(self).__name__}({', '.join(map(described, inputs))})"


SomeSubstitutionsType = str | Path | Substitution | Iterable[str | Path | Substitution]


@dataclass(kw_only=True, eq=False)
class TextSubstitution(Substitution):
    text: str

    def describe(self) -> str:
        return f"'{self.text}'"

    def perform(self, context: LaunchContext) -> str:
        return self.text


def as_substitutions(subs: Any) -> list[Substitution]:
    """Return a flat list for text, numbers, paths, substitutions and (nested) lists of these."""
    if isinstance(subs, Substitution):
        return [subs]
    if isinstance(subs, str | Path | bool | int | float):
        return [TextSubstitution(text=str(subs))]
    if isinstance(subs, Iterable):
        return [one for part in subs for one in as_substitutions(part)]
    raise TypeError(f"expected text, a path, a Substitution or a list of these, not {subs!r}")


def as_text(context: LaunchContext, subs: Any) -> str:
    return "".join(context.perform_substitution(sub) for sub in as_substitutions(subs))


def as_bool(context: LaunchContext, subs: Any) -> bool:
    """Return the truth value of a text that must be a YAML boolean."""
    text = as_text(context, subs)
    value = yaml.safe_load(text)
    if not isinstance(value, bool):
        raise SubstitutionFailure(f"expected a boolean such as 'true' or 'false', not {text!r}")
    return value


def as_pairs(pairs: Any) -> list[tuple[Any, Any]]:
    """Return a mapping, pairs or None as a list of pairs."""
    return list(pairs.items() if isinstance(pairs, Mapping) else pairs or ())


def described(subs: Any) -> str:
    return " + ".join(sub.describe() for sub in as_substitutions(subs))
