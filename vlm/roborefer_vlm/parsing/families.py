# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The coordinate conventions of the known pointing models, read from families.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from math import ceil, floor, sqrt
from typing import Any

from roborefer_vlm.exceptions import ConfigurationError


class Format(StrEnum):
    """How points are written."""

    TUPLES = "tuples"
    XML = "xml"
    JSON = "json"


class Scale(StrEnum):
    """What spans the picture."""

    UNIT = "unit"
    PERCENT = "percent"
    THOUSAND = "thousand"
    PIXEL = "pixel"


class Order(StrEnum):
    """Which coordinate comes first."""

    XY = "xy"
    YX = "yx"


_SPAN = {Scale.UNIT: 1.0, Scale.PERCENT: 100.0, Scale.THOUSAND: 1000.0}


@dataclass(frozen=True)
class ResizeRule:
    """How a model scales a picture before it looks at it (as Qwen2-VL, arXiv 2409.12191).

    Attributes:
        multiple: Both sides become multiples of this.
        min_pixels: Smaller pictures are enlarged to this area.
        max_pixels: Larger pictures are shrunk to this area.
    """

    multiple: int
    min_pixels: int
    max_pixels: int

    def __post_init__(self) -> None:
        if not (self.multiple >= 1 and self.multiple**2 <= self.min_pixels <= self.max_pixels):
            raise ConfigurationError(
                f"resize {self} needs 1 <= multiple^2 <= min_pixels <= max_pixels"
            )

    def apply(self, width: int, height: int) -> tuple[int, int]:
        """Return the (width, height) that the model sees of a picture of this size."""
        step = self.multiple
        sides = (max(step, round(width / step) * step), max(step, round(height / step) * step))
        area = sides[0] * sides[1]
        if self.min_pixels <= area <= self.max_pixels:
            return sides
        if area > self.max_pixels:
            shrink = sqrt(self.max_pixels / (width * height))
            wide, high = (
                max(step, floor(side * shrink / step) * step) for side in (width, height)
            )
        else:
            grow = sqrt(self.min_pixels / (width * height))
            wide, high = (ceil(side * grow / step) * step for side in (width, height))
        return wide, high


@dataclass(frozen=True)
class Family:
    """How the models of one family are asked and how they write points; see families.toml."""

    name: str
    patterns: tuple[str, ...]
    prompt: str
    markers: tuple[str, ...]
    format: Format
    scale: Scale
    order: Order
    numbers: int = 2
    resize: ResizeRule | None = None

    def __post_init__(self) -> None:
        if self.prompt.count("{text}") != 1:
            raise ConfigurationError(f"prompt of family '{self.name}' needs {{text}} once")
        if self.numbers not in (2, 3):
            raise ConfigurationError(
                f"numbers of family '{self.name}' is {self.numbers}; 2 or 3 are known"
            )
        if self.resize is not None and self.scale is not Scale.PIXEL:
            raise ConfigurationError(
                f"resize of family '{self.name}' has no meaning with scale '{self.scale}'"
            )

    def ask(self, text: str) -> str:
        """Return what to send for a sentence; one that says how to answer stays as it is."""
        if any(marker.lower() in text.lower() for marker in self.markers):
            return text
        return self.prompt.replace("{text}", text)

    def span(self, width: int, height: int) -> tuple[float, float]:
        """Return the coordinates of the right and lower border of a sent picture of this size."""
        if self.scale is not Scale.PIXEL:
            return _SPAN[self.scale], _SPAN[self.scale]
        if self.resize is not None:
            width, height = self.resize.apply(width, height)
        return float(width), float(height)


def _family(record: Mapping[str, Any], common_markers: Sequence[str]) -> Family:
    fields = dict(record)
    name = fields.get("name", "?")
    try:
        rule = fields.pop("resize", None)
        return Family(
            patterns=tuple(fields.pop("patterns")),
            markers=(*fields.pop("markers"), *common_markers),
            format=Format(fields.pop("format")),
            scale=Scale(fields.pop("scale")),
            order=Order(fields.pop("order")),
            resize=ResizeRule(**rule) if rule is not None else None,
            **fields,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"family '{name}' of families.toml: {error}") from error


def read_families(text: str) -> dict[str, Family]:
    """Read a table in the form of families.toml, by name and in its order.

    Raises:
        ConfigurationError: The table lacks something or names a family twice.
    """
    try:
        table = tomllib.loads(text)
        records = table["family"]
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise ConfigurationError(f"families.toml holds no [[family]] table: {error}") from error
    families: dict[str, Family] = {}
    for record in records:
        family = _family(record, table.get("common_markers", ()))
        if family.name in families:
            raise ConfigurationError(f"family '{family.name}' stands twice in families.toml")
        families[family.name] = family
    return families


@cache
def families() -> Mapping[str, Family]:
    """Return all known families by name."""
    return read_families(
        resources.files(__package__).joinpath("families.toml").read_text(encoding="utf-8")
    )


def family_named(name: str) -> Family:
    """Return a family by its name.

    Raises:
        ConfigurationError: There is none; the message lists those that are.
    """
    try:
        return families()[name]
    except KeyError:
        raise ConfigurationError(
            f"family '{name}' is unknown; known families: {', '.join(families())}"
        ) from None


def family_of_model(model: str) -> Family:
    """Return the family whose patterns fit the last part of a model's name or path."""
    last = model.rstrip("/").rpartition("/")[2].lower()
    for family in families().values():
        if any(fnmatchcase(last, pattern) for pattern in family.patterns):
            return family
    raise ConfigurationError(f"no family of families.toml fits model '{model}'")
