# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Things of no known kind, to stand among those of the library: nobody has a word for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

import numpy as np

from roborefer_sim.core.library import Library, Part, Thing

# What the keys of these things begin with, and their noun.
STRANGE = "strange"


class Body(StrEnum):
    """What a strange thing looks like."""

    # A book, larger than any sponge.
    SLAB = "slab"
    # A tin, wider than any can.
    TUB = "tub"
    # A body with a smaller one on top, as of a lamp, bell or chess piece.
    LAMP = "lamp"
    # A cross, an angle, a tool.
    CROSS = "cross"
    # A stack of boxes that shrink, as a stair or house.
    STAIR = "stair"


def with_strangers(
    library: Library, rng: np.random.Generator, count: int, bodies: Sequence[Body] = tuple(Body)
) -> Library:
    """Add things that are no known kind: odd bodies made of two to four parts, or odd sizes.

    Args:
        library: What is known.
        rng: Where chance comes from.
        count: How many to add.
        bodies: What they may look like; SLAB and TUB can be taken for large things of the library.
    """
    things = dict(library.things)
    for number in range(count):
        key = f"{STRANGE}_{number}"
        things[key] = _stranger(key, rng, tuple(library.palette), bodies)
    return replace(library, things=things)


def _stranger(
    key: str, rng: np.random.Generator, palette: tuple[str, ...], bodies: Sequence[Body]
) -> Thing:
    body = bodies[int(rng.integers(len(bodies)))]
    parts: list[Part] = []
    if body is Body.SLAB:
        size = (rng.uniform(0.12, 0.2), rng.uniform(0.1, 0.16), rng.uniform(0.015, 0.04))
        parts = [_part("box", size, (0, 0, size[2] / 2))]
    elif body is Body.TUB:
        radius, height = rng.uniform(0.045, 0.07), rng.uniform(0.03, 0.16)
        parts = [_part("cylinder", (radius, height), (0, 0, height / 2))]
    elif body is Body.LAMP:
        radius, height = rng.uniform(0.03, 0.05), rng.uniform(0.01, 0.03)
        thin, tall = rng.uniform(0.006, 0.012), rng.uniform(0.06, 0.14)
        head = rng.uniform(0.015, 0.035)
        parts = [
            _part("cylinder", (radius, height), (0, 0, height / 2)),
            _part("cylinder", (thin, tall), (0, 0, height + tall / 2), palette, rng),
            _part("sphere", (head,), (0, 0, height + tall), palette, rng),
        ]
    elif body is Body.CROSS:
        long, wide, high = (
            rng.uniform(0.09, 0.18),
            rng.uniform(0.012, 0.03),
            rng.uniform(0.01, 0.03),
        )
        other, shift = rng.uniform(0.05, 0.1), rng.uniform(-0.5, 0.5) * long
        parts = [
            _part("box", (long, wide, high), (0, 0, high / 2)),
            _part("box", (wide, other, high), (shift, 0, high / 2), palette, rng),
        ]
    else:
        step, z = np.array([0.09, 0.07, 0.03]) * rng.uniform(0.8, 1.3, 3), 0.0
        for _ in range(3):
            x, y, h = (float(v) for v in step)
            parts.append(_part("box", (x, y, h), (0, 0, z + h / 2), palette, rng))
            z, step = z + h, step * (0.65, 0.65, 1.0)
    colors = tuple(rng.choice(palette, 3, replace=False))
    return Thing(key=key, noun=STRANGE, also=(), kinds=(), mass=0.2, colors=colors,
                 scales=(1.0,), parts=tuple(parts))  # fmt: skip


def _part(
    shape: str,
    lengths: tuple[float, ...],
    at: tuple[float, float, float],
    palette: tuple[str, ...] = (),
    rng: np.random.Generator | None = None,
) -> Part:
    names = {"box": ("size",), "cylinder": ("radius", "height"), "sphere": ("radius",)}[shape]
    values = (
        {"size": tuple(map(float, lengths))}
        if shape == "box"
        else {name: (float(value),) for name, value in zip(names, lengths, strict=True)}
    )
    color = "body" if rng is None else str(rng.choice(palette))
    return Part(shape, values, tuple(map(float, at)), (0.0, 0.0, 0.0), color, 0.0)  # type: ignore[arg-type]
