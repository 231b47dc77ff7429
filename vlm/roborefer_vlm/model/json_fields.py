# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Typed reading of the JSON files of a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from roborefer_vlm.exceptions import CheckpointError


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises:
        CheckpointError: The file is missing, not JSON, or no object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing; a checkpoint needs it") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}; an object is needed")
    return content


@dataclass(frozen=True)
class Fields:
    """The keys of one JSON object, with errors that name the file and the key.

    Attributes:
        source: Name of the file, for messages.
        values: The object. Keys that nobody asks for do no harm.
    """

    source: str
    values: Mapping[str, Any]

    def integer(
        self,
        key: str,
        default: int | None = None,
        *,
        least: int | None = 1,
        most: int | None = None,
    ) -> int:
        """Return a whole number from `least` to `most`; without default the key must be there."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(key, value, "a whole number")
        if least is not None and value < least:
            raise self.error(key, value, f"at least {least}")
        if most is not None and value > most:
            raise self.error(key, value, f"at most {most}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """Return a finite number greater than zero."""
        value = self._get(key, default)
        if isinstance(value, int | float) and not isinstance(value, bool):
            with suppress(OverflowError):
                number = float(value)
                if 0 < number < inf:
                    return number
        raise self.error(key, value, "a finite number greater than 0")

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false; null counts as the default."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, value, "true or false")
        return value

    def word(
        self, key: str, default: str | None = None, *, choices: Collection[str] | None = None
    ) -> str:
        """Return a string, one of `choices` where they are given."""
        value = self._get(key, default)
        if not isinstance(value, str):
            raise self.error(key, value, "a string")
        if choices is not None and value not in choices:
            raise self.error(key, value, f"one of {', '.join(sorted(choices))}")
        return value

    def error(self, key: str, found: object, right: str) -> CheckpointError:
        """Build the error for a value that cannot be used."""
        return CheckpointError(f"{self.source}: '{key}' is {found!r:.200}; {right} is needed")

    def _get(self, key: str, default: object) -> Any:
        value = self.values.get(key)
        if value is None:
            value = default
        if value is None:
            raise CheckpointError(f"{self.source}: '{key}' is missing")
        return value
