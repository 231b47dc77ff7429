# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Programs in plain English, in the one wording that the grammar reads back as the same program.

Used for reasoning steps, for messages, and by data generation. Where a modifier could belong to
several nouns, "and" ties it to the outer one, as the grammar has it.
"""

from __future__ import annotations

from functools import singledispatch

from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.program import (
    Ask,
    Constraint,
    Feature,
    Order,
    OrderKey,
    Part,
    PartName,
    Quantifier,
    Question,
    Request,
    Side,
    Space,
    Thing,
    Viewer,
)
from roborefer_vlm.scenes.relations import Relation

PHRASES: dict[Relation, str] = {
    Relation.LEFT: "to the left of",
    Relation.RIGHT: "to the right of",
    Relation.FRONT: "in front of",
    Relation.BEHIND: "behind",
    Relation.ABOVE: "above",
    Relation.BELOW: "below",
    Relation.DIRECTLY_LEFT: "directly to the left of",
    Relation.DIRECTLY_RIGHT: "directly to the right of",
    Relation.DIRECTLY_FRONT: "directly in front of",
    Relation.DIRECTLY_BEHIND: "directly behind",
    Relation.DIRECTLY_ABOVE: "directly above",
    Relation.DIRECTLY_BELOW: "directly below",
    Relation.NEAR: "near",
    Relation.FAR: "far from",
    Relation.BESIDE: "next to",
    Relation.AROUND: "around",
    Relation.TOUCH: "touching",
    Relation.FAR_FROM: "separated from",
    Relation.BETWEEN: "between",
    Relation.AMONG: "among",
    Relation.MIDDLE: "in the middle of",
    Relation.ON: "on",
    Relation.UNDER: "under",
    Relation.INSIDE: "inside",
    Relation.OUTSIDE: "outside",
    Relation.TALL: "taller than",
    Relation.SHORT: "shorter than",
    Relation.BIG: "bigger than",
    Relation.SMALL: "smaller than",
    Relation.WIDE: "wider than",
    Relation.THIN: "thinner than",
    Relation.FACE: "facing",
    Relation.BACK: "facing away from",
    Relation.DISTANCE: "from",
}
_IN_IT = {
    Relation.INSIDE: "inside it",
    Relation.ON: "on it",
    Relation.BESIDE: "next to it",
    Relation.LEFT: "to its left",
    Relation.RIGHT: "to its right",
    Relation.FRONT: "in front of it",
    Relation.BEHIND: "behind it",
    Relation.UNDER: "under it",
    Relation.ABOVE: "above it",
}
_ORDINALS = ("", "", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
_SUPERLATIVES = {
    OrderKey.MIDDLE: "middle",
    OrderKey.HIGH: "highest",
    OrderKey.LOW: "lowest",
    OrderKey.TALL: "tallest",
    OrderKey.SHORT: "shortest",
    OrderKey.BIG: "biggest",
    OrderKey.SMALL: "smallest",
    OrderKey.WIDE: "widest",
    OrderKey.NARROW: "narrowest",
    OrderKey.THICK: "thickest",
    OrderKey.THIN: "thinnest",
    OrderKey.LONG: "longest",
}
_FRAMES = {
    Frame.OBJECT: "from its own perspective",
    Frame.WORLD: "in the world frame",
}
_SIDES = {Side.NEAR: "near", Side.FAR: "far"}


@singledispatch
def describe(node: object) -> str:
    """Return a program, or a part of one, in words.

    Raises:
        TypeError: It is no node of a program.
    """
    raise TypeError(f"{type(node).__name__} is no part of a program")


@describe.register
def _(node: Viewer) -> str:
    return "the camera"


@describe.register
def _(node: Feature) -> str:
    if node.negated:
        return " ".join(("without a", *node.attributes, node.part))
    return " ".join(("with a", *node.attributes, node.part))


@describe.register
def _(node: Order) -> str:
    ordinal = _ordinal(node.rank)
    if node.anchor is not None:
        word = "closest to" if node.key is OrderKey.NEAR else "farthest from"
        return " ".join(filter(None, (ordinal, word, describe(node.anchor))))
    if node.key in (OrderKey.LEFT, OrderKey.RIGHT):
        if node.rank == 1:
            return f"on the far {node.key}"
        return f"{ordinal} from the {node.key}"
    if node.key in (OrderKey.NEAR, OrderKey.FAR):
        word = "closest to" if node.key is OrderKey.NEAR else "farthest from"
        return " ".join(filter(None, (ordinal, word, "the camera")))
    return " ".join(filter(None, ("that is the", ordinal, _SUPERLATIVES[node.key])))


@describe.register
def _(node: Constraint) -> str:
    words = ["not"] if node.negated else []
    if node.inverse:
        return " ".join((*words, "with", describe(node.anchors[0]), _IN_IT[node.relation]))
    if node.distance_m is not None:
        words += [f"{node.distance_m:g}", "meters"]
    words.append(PHRASES.get(node.relation, node.relation.replace("_", " ")))
    words.append(" and ".join(describe(anchor) for anchor in node.anchors))
    if node.frame in _FRAMES:
        words.append(_FRAMES[node.frame])
    return " ".join(filter(None, words))


@describe.register
def _(node: Thing) -> str:
    words = [*node.attributes, node.noun]
    if node.quantifier is Quantifier.ALL and node.count is not None:
        words = ["the", _number(node.count), *words[:-1], _plural(node.noun)]
    elif node.quantifier is Quantifier.ALL:
        words = ["every", *words]
    else:
        words = ["any" if node.quantifier is Quantifier.ANY else "the", *words]
    said = [describe(feature) for feature in node.features]
    said += [f"that is not {attribute}" for attribute in node.excluded]
    said += [f"other than {describe(other)}" for other in node.others]
    said += [describe(constraint) for constraint in node.constraints]
    said += [describe(order) for order in node.orders]
    return _tied(" ".join(words), said)


@describe.register
def _(node: Part) -> str:
    sides = [_SIDES.get(side, side.value) for side in node.sides]
    name = "center" if node.name is PartName.CENTER else node.name.value
    return " ".join(("the", *sides, name, "of", describe(node.of)))


@describe.register
def _(node: Space) -> str:
    head = "the free space"
    if node.surface is not None:
        head = f"{head} on {describe(node.surface)}"
    said = [describe(constraint) for constraint in node.constraints]
    said += [describe(order) for order in node.orders]
    return _tied(head, said)


@describe.register
def _(node: Request) -> str:
    targets = " and ".join(describe(target) for target in node.targets)
    if node.moved is not None:
        return f"put {describe(node.moved)} in {targets}"
    return f"point to {targets}"


@describe.register
def _(node: Question) -> str:
    first = describe(node.things[0])
    relation = "" if node.constraint is None else f" {describe(node.constraint)}"
    if node.ask is Ask.CONFIGURATION:
        return f"is {first}{relation}?"
    if node.ask is Ask.COMPATIBILITY:
        return f"can {first} fit{relation}?"
    if node.ask is Ask.EXISTENCE:
        return f"is there {first}?"
    if node.ask is Ask.DISTANCE:
        return f"how far is {first} from {describe(node.things[1])}?"
    thing = node.things[0]
    assert isinstance(thing, Thing)
    rest = first.removeprefix("every ")
    return f"how many {rest}?"


def _tied(head: str, said: list[str]) -> str:
    """Join what is said of one noun, so that all of it belongs to that noun."""
    if not said:
        return head
    return f"{head} {' and '.join(said)}"


def _ordinal(rank: int) -> str:
    return _ORDINALS[rank] if rank < len(_ORDINALS) else f"{rank}th"


def _number(count: int) -> str:
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return names[count] if count < len(names) else str(count)


def _plural(noun: str) -> str:
    if noun.endswith(("s", "x", "ch", "sh")):
        return f"{noun}es"
    return f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{noun}s"
