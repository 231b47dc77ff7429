# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Turns what launch files may write into one form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from launch.launch_description_entity import LaunchDescriptionEntity
from launch.substitution import Substitution

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


def as_substitutions(subs: Any) -> list[Substitution]:
    """Return a flat list for text, numbers, paths, substitutions and (nested) lists of these."""
    from launch.substitutions import TextSubstitution

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
    from launch.substitutions import SubstitutionFailure

    text = as_text(context, subs)
    value = yaml.safe_load(text)
    if not isinstance(value, bool):
        raise SubstitutionFailure(f"expected a boolean such as 'true' or 'false', not {text!r}")
    return value


def as_pairs(pairs: Any) -> list[tuple[Any, Any]]:
    """Return a mapping, pairs or None as a list of pairs."""
    return list(pairs.items() if isinstance(pairs, Mapping) else pairs or ())


def as_entities(entities: Any) -> list[LaunchDescriptionEntity]:
    """Return None, one entity or several as a list."""
    if entities is None:
        return []
    found = [entities] if isinstance(entities, LaunchDescriptionEntity) else list(entities)
    for entity in found:
        if not isinstance(entity, LaunchDescriptionEntity):
            raise TypeError(f"expected a launch description entity, not {entity!r}")
    return found


def described(subs: Any) -> str:
    return " + ".join(sub.describe() for sub in as_substitutions(subs))
