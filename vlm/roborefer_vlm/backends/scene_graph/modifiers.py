# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What one modifier says, and how a row of them describes a thing or a free spot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from roborefer_vlm.backends.scene_graph.lexicon import Lexicon
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.program import (
    Anchor,
    Constraint,
    Feature,
    Order,
    OrderKey,
    Part,
    Space,
    Thing,
    Viewer,
)
from roborefer_vlm.scenes.relations import Relation


@dataclass(frozen=True)
class Others:
    """The thing described is none of these."""

    thing: Thing


@dataclass(frozen=True)
class Says:
    """An attribute that is, or is not, true."""

    attribute: str
    negated: bool = False


@dataclass(frozen=True)
class InPicture:
    """Only says that it is in view."""


@dataclass(frozen=True)
class PendingRank:
    """A superlative after its noun; an ordinal before the noun belongs to it."""

    key: OrderKey
    anchor: Thing | Part | None = None
    rank: int | None = None


@dataclass(frozen=True)
class MeasuredFrom:
    """The anchor of a superlative that stands before the noun."""

    anchor: Anchor


@dataclass(frozen=True)
class Corner:
    """Superlatives that hold together: "in the top left corner"."""

    keys: tuple[OrderKey, ...]


Mod = (
    Corner | MeasuredFrom | Constraint | Feature | PendingRank | Others | Says | InPicture | Frame
)


def described(base: Thing, mods: Sequence[Mod], rank: int | None) -> Thing | None:
    """Return the thing that a noun and its modifiers describe.

    Args:
        base: The noun with what stands before it.
        mods: What stands after it, in order.
        rank: An ordinal before the noun without a superlative of its own ("the third mug").

    Returns:
        None where they do not go together, such as an ordinal that counts nothing.
    """
    constraints = list(base.constraints)
    features, attributes = list(base.features), list(base.attributes)
    excluded, orders, others = list(base.excluded), list(base.orders), list(base.others)
    for mod in mods:
        if isinstance(mod, Constraint):
            constraints.append(mod)
        elif isinstance(mod, Feature):
            features.append(mod)
        elif isinstance(mod, Says):
            (excluded if mod.negated else attributes).append(mod.attribute)
        elif isinstance(mod, Others):
            others.append(mod.thing)
        elif isinstance(mod, PendingRank):
            chosen = mod.rank if mod.rank is not None else rank
            rank = rank if mod.rank is not None else None
            orders.append(order_of(mod, chosen))
        elif isinstance(mod, Corner):
            orders += [Order(key) for key in mod.keys]
        elif isinstance(mod, MeasuredFrom):
            if not _measure_from(orders, mod.anchor):
                return None
        elif isinstance(mod, Frame):
            if not constraints:
                return None
            constraints = [replace(c, frame=mod) for c in constraints]
    if rank is not None:
        # "The second mug" is counted as one reads.
        orders.append(order_of(PendingRank(OrderKey.LEFT), rank))
    return replace(
        base,
        attributes=tuple(attributes),
        excluded=tuple(excluded),
        features=tuple(features),
        constraints=tuple(constraints),
        orders=tuple(orders),
        others=tuple(others),
    )


def _measure_from(orders: list[Order], anchor: Anchor) -> bool:
    """Give the last superlative its anchor; False where it has one or measures no distance."""
    if not orders or orders[-1].anchor or orders[-1].key not in (OrderKey.NEAR, OrderKey.FAR):
        return False
    if not isinstance(anchor, Viewer):
        orders[-1] = replace(orders[-1], anchor=anchor)
    return True


def spaced(mods: Sequence[Mod], orders: Sequence[Order], words: Lexicon) -> Space | None:
    """Return the free spot that modifiers describe; None where they fit things only.

    The first "on" names the surface.
    """
    constraints: list[Constraint] = []
    all_orders = list(orders)
    surface: Thing | Part | None = None
    for mod in mods:
        if isinstance(mod, Frame):
            if not constraints:
                return None
            constraints = [replace(c, frame=mod) for c in constraints]
        elif isinstance(mod, Constraint):
            if mod.inverse:
                return None
            anchor = mod.anchors[0] if mod.anchors else None
            lies_on = mod.relation is Relation.ON and not mod.negated
            # "In the left corner of the table" is on it.
            inside = mod.relation is Relation.INSIDE and not mod.negated
            on_part = inside and isinstance(anchor, Part) and words.is_surface(anchor.of.noun)
            if (lies_on or on_part) and surface is None and isinstance(anchor, Thing | Part):
                surface = anchor
            else:
                constraints.append(mod)
        elif isinstance(mod, Corner):
            all_orders += [Order(key) for key in mod.keys]
        elif isinstance(mod, MeasuredFrom):
            if not _measure_from(all_orders, mod.anchor):
                return None
        elif isinstance(mod, PendingRank):
            all_orders.append(order_of(mod, mod.rank))
        elif isinstance(mod, Says):
            if mod.attribute not in words.free:
                return None
        elif not isinstance(mod, InPicture):
            return None
    return Space(tuple(constraints), tuple(all_orders), surface)


_OPPOSITES = (
    (OrderKey.LEFT, OrderKey.RIGHT),
    (OrderKey.NEAR, OrderKey.FAR),
    (OrderKey.HIGH, OrderKey.LOW),
    (OrderKey.TALL, OrderKey.SHORT),
    (OrderKey.BIG, OrderKey.SMALL),
    (OrderKey.WIDE, OrderKey.NARROW),
    (OrderKey.THICK, OrderKey.THIN),
)
OPPOSITE = dict(_OPPOSITES) | {second: first for first, second in _OPPOSITES}


def order_of(mod: PendingRank, rank: int | None) -> Order:
    """Return the order; the last one by a key is the first one by the opposite key."""
    if rank is not None and rank < 0:
        return Order(OPPOSITE.get(mod.key, mod.key), -rank, mod.anchor)
    return Order(mod.key, rank or 1, mod.anchor)
