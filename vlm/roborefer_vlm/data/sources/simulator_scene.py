# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Random tables: what stands where, on what, and in which light; no physics is needed.

A thing of the library stands with its lowest point at z = 0, so its place on a table, on a flat
top or on the floor of a container is known exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import cos, sin

import numpy as np
from roborefer_sim.core.cell import Layout, Paint, Pattern, Placed
from roborefer_sim.core.clutter import DROP_M, Clutter, draw_things
from roborefer_sim.core.library import Library, Make, standard_library
from roborefer_sim.core.strangers import STRANGE, Body, with_strangers

from roborefer_vlm.data.sources.simulator_camera import Look
from roborefer_vlm.data.sources.simulator_settings import UNSEEN, SceneSplit, SimulatorSettings

# How much oftener colours that training never shows are drawn for held-out scenes.
UNSEEN_WEIGHT = 3
# From the middle of any thing to the edge of the table at least, metres.
LEAST_MARGIN_M = 0.13
MOST_MARGIN_M = 0.45
# Brightness of the main light at strength 1, and of the light from everywhere: in the shade of
# less of it, orange is brown.
LAMP = 0.42
AMBIENT = (0.40, 0.50)
LAMP_M = 1.9
# Between things in a box and its sides, metres.
SIDE_GAP_M = 0.006
# A bare top is a good stand for what is not wider than this times its own half width.
OVERHANG = 1.15
# Others could be taken for a large thing of the library, or for several blocks.
STRANGE_BODIES = (Body.LAMP, Body.CROSS)
Color = tuple[float, float, float]
# Least share of the colour that a thing is called after.
_CALLED_AFTER = 0.6


@dataclass(frozen=True, eq=False)
class Table:
    """A table with things.

    Attributes:
        placed: The things; x and y of the table's frame are those of the world.
        carriers: For each of them, the place in `placed` of what it stands on or in; None: the
            table.
        layout: Table, light and floor; its camera is to be replaced.
        backdrop: Colours at the upper and lower edge of a picture of what lies beyond the floor.
    """

    placed: tuple[Placed, ...]
    carriers: tuple[int | None, ...]
    layout: Layout
    backdrop: tuple[Color, Color]


def named(make: Make) -> bool:
    """Whether there is a word for a thing."""
    return not make.thing.key.startswith(STRANGE)


def library_of(split: SceneSplit) -> Library:
    """Return the things of a split in its colours; oftener drawn ones are repeated."""
    library = standard_library()
    things = {}
    for key, thing in library.things.items():
        unseen = tuple(color for color in thing.colors if (key, color) in UNSEEN)
        if split is SceneSplit.TRAINING:
            colors = tuple(color for color in thing.colors if color not in unseen)
        else:
            colors = thing.colors + unseen * (UNSEEN_WEIGHT - 1)
        things[key] = replace(thing, colors=colors)
    return replace(library, things=things)


def draw_table(
    rng: np.random.Generator, settings: SimulatorSettings, library: Library, look: Look
) -> Table:
    """Draw a table that a camera sees well.

    Args:
        rng: Where chance comes from.
        settings: What tables are like.
        library: Of the split, from `library_of`.
        look: The camera, or the first of several.

    Raises:
        SceneError: The camera sees too little of the table for the fewest things.
    """
    if rng.random() < settings.strangers:
        library = with_strangers(library, rng, int(rng.integers(3, 9)), STRANGE_BODIES)
    low, high = look.region
    clutter = Clutter(
        settings.fewest,
        settings.most,
        low,
        high,
        gap=float(rng.uniform(0.003, 0.03)),
        in_containers=settings.in_containers,
        same_kind=settings.same_kind,
    )
    placed, carriers = _stand(rng, draw_things(rng, clutter, library))
    placed, carriers = _stack(rng, placed, carriers, settings.on_others)
    turned = [_turned(thing, look.around) for thing in placed]
    layout = _draw_layout(rng, settings, turned)
    return Table(tuple(turned), tuple(carriers), layout, (_muted(rng), _muted(rng)))


def _stand(
    rng: np.random.Generator, drawn: Sequence[Placed]
) -> tuple[list[Placed], list[int | None]]:
    """Set what was drawn a little above table and containers down, and say on what."""
    placed: list[Placed] = []
    carriers: list[int | None] = []
    for thing in drawn:
        x, y, z = thing.position
        carrier = None
        if z > DROP_M:
            # A container was drawn before what is in it, and nothing else stands at its middle.
            carrier = next(i for i, other in enumerate(placed) if other.position[:2] == (x, y))
        if carrier is None:
            position = (x, y, 0.0)
        else:
            right, left = _aside(rng, thing.make, placed[carrier])
            position = (x + right, y + left, _floor(placed[carrier].make))
        placed.append(replace(thing, position=position))
        carriers.append(carrier)
    return placed, carriers


def _aside(rng: np.random.Generator, make: Make, container: Placed) -> tuple[float, float]:
    """Draw how far from the middle of a box a thing stands in it, along x and y, metres."""
    room = container.make.thing.inside
    if room is None or room.radius:
        return 0.0, 0.0
    taken = make.footprint_radius + SIDE_GAP_M
    free = np.maximum(np.array(room.size) * container.make.scale / 2 - taken, 0.0)
    a, b = free * rng.uniform(-1, 1, 2)
    c, s = cos(container.yaw), sin(container.yaw)
    return float(c * a - s * b), float(s * a + c * b)


def _floor(make: Make) -> float:
    """Height of the ground of a container at its middle, metres."""
    tops = []
    for solid in make.solids:
        low, high = solid.bounds
        if (low[:2] <= 0).all() and (high[:2] >= 0).all():
            tops.append(float(high[2]))
    return max(tops)


def _stack(
    rng: np.random.Generator,
    placed: list[Placed],
    carriers: list[int | None],
    chance: float,
) -> tuple[list[Placed], list[int | None]]:
    """Put some of the things that stand on the table on others with a flat top."""
    placed, carriers = list(placed), list(carriers)
    tops = [_flat_top(thing.make) for thing in placed]
    for index in range(len(placed)):
        thing = placed[index]
        if carriers[index] is not None or index in carriers or thing.make.thing.rolls:
            continue
        bases = [
            i
            for i, top in enumerate(tops)
            if i != index
            and carriers[i] is None
            and i not in carriers
            and thing.make.footprint_radius <= OVERHANG * top
        ]
        if bases and named(thing.make) and rng.random() < chance:
            base = int(rng.choice(bases))
            x, y, _ = placed[base].position
            height = float(placed[base].make.bounds[1][2])
            placed[index] = replace(thing, position=(x, y, height))
            carriers[index] = base
    return placed, carriers


def _flat_top(make: Make) -> float:
    """Half width of the flat top around a thing's axis, metres; 0: nothing can stand there."""
    if make.thing.inside is not None or not named(make):
        return 0.0
    highest = max(make.solids, key=lambda solid: float(solid.bounds[1][2]))
    low, high = highest.bounds
    level = highest.rotation[2, 2] > 1 - 1e-9 and highest.shape in {"box", "cylinder"}
    central = np.abs(highest.center[:2]).max() < 1e-6
    return float((high - low)[:2].min() / 2) if level and central else 0.0


def _turned(thing: Placed, angle: float) -> Placed:
    x, y, z = thing.position
    c, s = cos(angle), sin(angle)
    yaw = thing.yaw + angle
    return replace(
        thing, position=(c * x - s * y, s * x + c * y, z), yaw=(yaw + np.pi) % (2 * np.pi) - np.pi
    )


def _draw_layout(
    rng: np.random.Generator, settings: SimulatorSettings, placed: Sequence[Placed]
) -> Layout:
    places = np.array([thing.position[:2] for thing in placed])
    margins = rng.uniform(LEAST_MARGIN_M, MOST_MARGIN_M, (2, 2))
    low, high = places.min(axis=0) - margins[0], places.max(axis=0) + margins[1]
    table_color, table_paint = _draw_paint(rng, settings.painted)
    floor_color, floor_paint = _draw_paint(rng, settings.painted)
    around, tilt = rng.uniform(-np.pi, np.pi), rng.uniform(0.0, 0.8)
    toward = (sin(tilt) * cos(around), sin(tilt) * sin(around), -cos(tilt))
    middle = (low + high) / 2
    return Layout(
        table_low=(float(low[0]), float(low[1])),
        table_high=(float(high[0]), float(high[1])),
        with_arm=False,
        table_color=table_color,
        table_paint=table_paint,
        floor_color=floor_color,
        floor_paint=floor_paint,
        ambient=float(rng.uniform(*AMBIENT)),
        light=LAMP * float(rng.uniform(*settings.light)),
        lamp_position=(
            float(middle[0] - LAMP_M * toward[0]),
            float(middle[1] - LAMP_M * toward[1]),
            -LAMP_M * toward[2],
        ),
        lamp_direction=toward,
        shadows=bool(rng.random() < settings.shadows),
    )


def _draw_paint(rng: np.random.Generator, chance: float) -> tuple[Color, Paint]:
    first = _muted(rng)
    if rng.random() >= chance:
        return first, Paint()
    pattern = Pattern.CHECKER if rng.random() < 0.6 else Pattern.GRADIENT
    # The two colours of a tablecloth or wood lie close together more often than not.
    blend = rng.uniform(0.15, 0.7)
    second = _muted(rng)
    mixed = [(1 - blend) * a + blend * b for a, b in zip(first, second, strict=True)]
    return first, Paint(pattern, (mixed[0], mixed[1], mixed[2]), float(rng.uniform(0.8, 12.0)))


def _muted(rng: np.random.Generator) -> Color:
    """Draw a colour of furniture: any brightness, little saturation."""
    values = np.clip(rng.uniform(0.12, 0.75) * (1 + 0.2 * rng.standard_normal(3)), 0.04, 0.95)
    return float(values[0]), float(values[1]), float(values[2])


def named_colors(library: Library, make: Make) -> Mapping[str, float]:
    """Colours of a thing that has a name: the one that it is called after, and those of parts.

    The first has 0.6 at least. A marker with a white barrel and a blue cap is a blue marker, but
    it could also be meant by "the white object", which is then unclear.
    """
    shares = {**palette_shares(library, make)}
    own = max(shares.pop(make.color, 0.0), _CALLED_AFTER)
    rest = sum(shares.values())
    others = {name: (1 - own) * share / rest for name, share in shares.items()}
    return {make.color: own if others else 1.0, **others}


def palette_shares(library: Library, make: Make) -> Mapping[str, float]:
    """Share of each palette colour of the surface of a thing."""
    names = {color: name for name, color in library.palette.items()}
    shares: dict[str, float] = {}
    for solid in make.solids:
        low, high = solid.bounds
        x, y, z = high - low
        name = names[solid.color]
        shares[name] = shares.get(name, 0.0) + float(x * y + y * z + z * x)
    total = sum(shares.values())
    return {name: area / total for name, area in shares.items()}
