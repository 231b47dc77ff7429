# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The library of everyday things, read from one declarative file.

A *thing* is a kind with its parts; a *make* is a thing in one colour and size, which is what
stands on a table. Coordinates as in things.toml: metres, z up, lowest point at z = 0.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import product
from math import cos, hypot, isfinite, radians, sin
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from roborefer_sim.exceptions import LibraryError

Array = npt.NDArray[np.float64]
LIBRARY_FILE = Path(__file__).with_name("things.toml")

# Lengths that each shape needs; every one of them scales with its thing.
SHAPES: dict[str, dict[str, int]] = {
    "box": {"size": 3},
    "cylinder": {"radius": 1, "height": 1},
    "sphere": {"radius": 1},
    "ellipsoid": {"size": 3},
    "capsule": {"radius": 1, "height": 1},
    "wall": {"radius": 1, "height": 1, "thickness": 1},
}
WALL_PIECES = 16


@dataclass(frozen=True, eq=False)
class Solid:
    """A convex solid at its place in a thing.

    Attributes:
        shape: box, cylinder, sphere, ellipsoid or capsule.
        half: Half lengths along its own axes, shape (3,), metres; a capsule's third one is
            without its caps.
        center: Shape (3,), metres.
        rotation: Shape (3, 3); columns are its axes.
        color: Red, green and blue, 0 to 1.
    """

    shape: str
    half: Array
    center: Array
    rotation: Array
    color: tuple[float, float, float]

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Lowest and highest coordinates of a box around it, each of shape (3,)."""
        turned = np.abs(self.rotation)
        if self.shape in {"box", "ellipsoid", "sphere"}:
            squared = self.shape != "box"
            reach = np.sqrt(turned**2 @ self.half**2) if squared else turned @ self.half
        else:
            radius, half_height = self.half[0], self.half[2]
            along = turned[:, 2]
            across = np.sqrt(np.maximum(0.0, 1.0 - along**2))
            caps = radius if self.shape == "capsule" else radius * across
            reach = along * half_height + caps
        return self.center - reach, self.center + reach


@dataclass(frozen=True)
class Part:
    """One line of a thing's `parts`, checked."""

    shape: str
    lengths: Mapping[str, tuple[float, ...]]
    at: tuple[float, float, float]
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0)
    color: str = "body"
    flare: float = 0.0


@dataclass(frozen=True)
class Inside:
    """Room for other things: a round one (radius) or a rectangular one (size), open upwards."""

    height: float
    radius: float = 0.0
    size: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Thing:
    """A kind of thing.

    Attributes:
        key: Its name in the file.
        noun: What people call it.
        also: Other words for it.
        kinds: Wider words, such as "fruit".
        mass: At scale 1, kilograms; it grows with the cube of the scale.
        colors: Palette names in which it is made.
        scales: Sizes in which it is made, as a factor.
        parts: What it consists of.
        front: Unit vector towards its front in its own axes, or None.
        front_name: What is there, such as "handle".
        inside: Room for other things, or None.
        rolls: Whether it may roll away, so that it is damped and placed with care.
    """

    key: str
    noun: str
    also: tuple[str, ...]
    kinds: tuple[str, ...]
    mass: float
    colors: tuple[str, ...]
    scales: tuple[float, ...]
    parts: tuple[Part, ...]
    front: tuple[float, float, float] | None = None
    front_name: str = ""
    inside: Inside | None = None
    rolls: bool = False


@dataclass(frozen=True, eq=False)
class Make:
    """A thing in one colour and size.

    Attributes:
        thing: The kind.
        color: Palette name.
        scale: Factor on every length.
        solids: Its convex parts, scaled.
        mass: Kilograms.
    """

    thing: Thing
    color: str
    scale: float
    solids: tuple[Solid, ...]
    mass: float

    @property
    def phrase(self) -> str:
        """What people call it, with its colour: "red mug"."""
        return f"{self.color} {self.thing.noun}"

    @cached_property
    def bounds(self) -> tuple[Array, Array]:
        """Lowest and highest coordinates, each of shape (3,), metres."""
        low, high = zip(*(solid.bounds for solid in self.solids), strict=True)
        return np.min(low, axis=0), np.max(high, axis=0)

    @cached_property
    def footprint_radius(self) -> float:
        """Radius of the circle around the origin that holds it, seen from above, metres."""
        low, high = self.bounds
        return hypot(*np.maximum(-low, high)[:2])


@dataclass(frozen=True)
class Library:
    """All things and the palette."""

    things: Mapping[str, Thing]
    palette: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    # What was made before: random tables ask for the same makes again and again.
    _made: dict[tuple[str, str, float], Make] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def thing(self, key: str) -> Thing:
        """Return the thing of this name.

        Raises:
            LibraryError: There is none; the message lists those that exist.
        """
        if key not in self.things:
            raise LibraryError(f"no thing '{key}'; known are {', '.join(sorted(self.things))}")
        return self.things[key]

    def make(self, key: str, color: str | None = None, scale: float | None = None) -> Make:
        """Build a thing in a colour and size; both default to the first in the file.

        Raises:
            LibraryError: The thing, colour or size is not one that the library knows.
        """
        thing = self.thing(key)
        color = thing.colors[0] if color is None else color
        scale = thing.scales[0] if scale is None else float(scale)
        if (key, color, scale) not in self._made:
            self._made[key, color, scale] = self._make(thing, color, scale)
        return self._made[key, color, scale]

    def _make(self, thing: Thing, color: str, scale: float) -> Make:
        if color not in self.palette:
            raise LibraryError(f"no colour '{color}'; known are {', '.join(self.palette)}")
        if not 0.2 <= scale <= 5:
            raise LibraryError(f"scale {scale} of '{thing.key}' is not within 0.2 and 5")
        solids: list[Solid] = []
        for part in thing.parts:
            name = color if part.color == "body" else part.color
            solids += _solids_of(part, scale, self.palette[name])
        return Make(thing, color, scale, tuple(solids), thing.mass * scale**3)

    def makes(self) -> Sequence[tuple[str, str, float]]:
        """List every (thing, colour, scale) of the file, in its order."""
        return [
            (key, color, scale)
            for key, thing in self.things.items()
            for color, scale in product(thing.colors, thing.scales)
        ]


def rotation_from_degrees(turn: Sequence[float]) -> Array:
    """Rotation about x, then y, then z (fixed axes), degrees; shape (3, 3)."""
    matrix = np.eye(3)
    for axis, angle in enumerate(turn):
        c, s = cos(radians(angle)), sin(radians(angle))
        i, j = (axis + 1) % 3, (axis + 2) % 3
        single = np.eye(3)
        single[i, i] = single[j, j] = c
        single[i, j], single[j, i] = -s, s
        matrix = single @ matrix
    return matrix


def _solids_of(part: Part, scale: float, color: tuple[float, float, float]) -> list[Solid]:
    lengths = {name: np.array(value) * scale for name, value in part.lengths.items()}
    center, rotation = np.array(part.at) * scale, rotation_from_degrees(part.turn)
    if part.shape == "wall":
        return _wall(lengths, center, rotation, radians(part.flare), color)
    if "size" in lengths:
        half = lengths["size"] / 2
    else:
        radius = lengths["radius"][0]
        half = np.full(3, radius)
        if "height" in lengths:
            half[2] = lengths["height"][0] / 2
    return [Solid(part.shape, half, center, rotation, color)]


def _wall(
    lengths: Mapping[str, Array],
    center: Array,
    rotation: Array,
    flare: float,
    color: tuple[float, float, float],
) -> list[Solid]:
    """Approximate a round wall by flat pieces that overlap at their edges; radius is outside."""
    radius, height, thickness = (float(lengths[n][0]) for n in ("radius", "height", "thickness"))
    widest = radius + sin(flare) * height / 2
    width = np.tan(np.pi / WALL_PIECES) * widest
    half = np.array([thickness / 2, width, height / 2])
    pieces = []
    for piece in range(WALL_PIECES):
        around = rotation_from_degrees((0, 0, 360 * piece / WALL_PIECES))
        tilt = rotation_from_degrees((0, np.degrees(flare), 0))
        offset = around @ np.array([radius - thickness / 2, 0.0, 0.0])
        pieces.append(
            Solid("box", half, center + rotation @ offset, rotation @ around @ tilt, color)
        )
    return pieces


def read_library(text: str, source: str = "things.toml") -> Library:
    """Read a library from TOML.

    Raises:
        LibraryError: The text is no TOML, or a thing lacks something or has a value that cannot
            be; the message names source, thing and value.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LibraryError(f"{source} is no TOML: {error}") from error
    palette = {
        name: _numbers(rgb, 3, f"{source}: colour '{name}'")
        for name, rgb in data.get("palette", {}).items()
    }
    things = {
        key: _read_thing(key, entry, palette, source)
        for key, entry in data.get("things", {}).items()
    }
    if not things:
        raise LibraryError(f"{source} has no [things.NAME]")
    return Library(things, {name: (r, g, b) for name, (r, g, b) in palette.items()})


def _numbers(value: Any, count: int, where: str) -> tuple[float, ...]:
    values = value if isinstance(value, list) else [value]
    if len(values) != count or not all(
        isinstance(v, int | float) and not isinstance(v, bool) and isfinite(v) for v in values
    ):
        raise LibraryError(f"{where} is {value!r}; {count} finite numbers are needed")
    return tuple(float(v) for v in values)


def _read_thing(
    key: str, entry: Mapping[str, Any], palette: Mapping[str, Any], source: str
) -> Thing:
    where = f"{source}: thing '{key}'"
    missing = {"noun", "mass", "colors", "scales", "parts"} - set(entry)
    if missing:
        raise LibraryError(f"{where} lacks {', '.join(sorted(missing))}")
    unknown = set(entry) - set(Thing.__dataclass_fields__)
    if unknown:
        raise LibraryError(f"{where} has unknown fields {', '.join(sorted(unknown))}")
    parts = tuple(_read_part(part, palette, where) for part in entry["parts"])
    wrong = set(entry["colors"]) - set(palette)
    if wrong or not entry["colors"]:
        raise LibraryError(f"{where} has colours {sorted(wrong)} that the palette lacks, or none")
    (mass,) = _numbers(entry["mass"], 1, f"{where}, mass")
    scales = _numbers(entry["scales"], len(entry["scales"]), f"{where}, scales")
    if mass <= 0 or not scales or min(scales) <= 0:
        raise LibraryError(f"{where} needs a positive mass and positive scales")
    thing = Thing(
        key=key,
        noun=str(entry["noun"]),
        also=tuple(entry.get("also", ())),
        kinds=tuple(entry.get("kinds", ())),
        mass=mass,
        colors=tuple(entry["colors"]),
        scales=scales,
        parts=parts,
        front_name=str(entry.get("front_name", "")),
        inside=_read_inside(entry["inside"], where) if "inside" in entry else None,
        rolls=bool(entry.get("rolls", False)),
    )
    if "front" in entry:
        x, y, z = _numbers(entry["front"], 3, f"{where}, front")
        thing = replace(thing, front=(x, y, z))
    return thing


def _read_inside(entry: Mapping[str, Any], where: str) -> Inside:
    (height,) = _numbers(entry.get("height"), 1, f"{where}, inside.height")
    if "radius" in entry:
        return Inside(height, radius=_numbers(entry["radius"], 1, f"{where}, inside.radius")[0])
    x, y = _numbers(entry.get("size"), 2, f"{where}, inside.size")
    return Inside(height, size=(x, y))


def _read_part(entry: Mapping[str, Any], palette: Mapping[str, Any], where: str) -> Part:
    shape = entry.get("shape")
    if shape not in SHAPES:
        raise LibraryError(f"{where} has a part of shape {shape!r}; known are {', '.join(SHAPES)}")
    lengths = {
        name: _numbers(entry.get(name), count, f"{where}, {shape}.{name}")
        for name, count in SHAPES[shape].items()
    }
    if min(min(values) for values in lengths.values()) <= 0:
        raise LibraryError(f"{where} has a {shape} with a length that is not positive")
    color = str(entry.get("color", "body"))
    if color != "body" and color not in palette:
        raise LibraryError(f"{where} has a part of colour '{color}' that the palette lacks")
    known = {"shape", "at", "turn", "color", "flare", *lengths}
    if unknown := set(entry) - known:
        raise LibraryError(f"{where} has a {shape} with unknown fields {sorted(unknown)}")
    at = _numbers(entry.get("at"), 3, f"{where}, {shape}.at")
    turn = _numbers(entry.get("turn", [0, 0, 0]), 3, f"{where}, {shape}.turn")
    (flare,) = _numbers(entry.get("flare", 0), 1, f"{where}, {shape}.flare")
    return Part(shape, lengths, at, turn, color, flare)  # type: ignore[arg-type]


@cache
def standard_library() -> Library:
    """The library that comes with the package."""
    return read_library(LIBRARY_FILE.read_text(encoding="utf-8"))
