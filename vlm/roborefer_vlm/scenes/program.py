# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a sentence asks for, as a tree: things, free space, parts, and how they lie to each other.

A program is what the grammar reads out of a sentence, what a scene executes, and what data
generation writes into words (`roborefer_vlm.scenes.wording`). It holds words and numbers only;
nothing in it is ever executed as code.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.relations import Relation


class Quantifier(StrEnum):
    """How many things a phrase means."""

    ONE = "one"
    # "a mug", "any mug": one will do, whichever.
    ANY = "any"
    ALL = "all"


class OrderKey(StrEnum):
    """What things are ranked by; the first one has the most of it."""

    LEFT = "left"
    RIGHT = "right"
    MIDDLE = "middle"
    # Distance to the order's anchor, or to the viewer without one.
    NEAR = "near"
    FAR = "far"
    HIGH = "high"
    LOW = "low"
    TALL = "tall"
    SHORT = "short"
    BIG = "big"
    SMALL = "small"
    WIDE = "wide"
    NARROW = "narrow"
    THICK = "thick"
    THIN = "thin"
    LONG = "long"


class PartName(StrEnum):
    """Parts that are found from the shape alone."""

    TOP = "top"
    BOTTOM = "bottom"
    SIDE = "side"
    FRONT = "front"
    BACK = "back"
    EDGE = "edge"
    CORNER = "corner"
    CENTER = "center"
    HANDLE = "handle"
    LID = "lid"
    RIM = "rim"
    SPOUT = "spout"
    TIP = "tip"
    INSIDE = "inside"


class Side(StrEnum):
    """Which of several like parts."""

    LEFT = "left"
    RIGHT = "right"
    NEAR = "near"
    FAR = "far"
    TOP = "top"
    BOTTOM = "bottom"


class Ask(StrEnum):
    """What a question wants to know; the answer is given in words."""

    # "Is the mug left of the bowl?", RoboSpatial's configuration.
    CONFIGURATION = "configuration"
    # "Can the mug fit left of the bowl?", RoboSpatial's compatibility.
    COMPATIBILITY = "compatibility"
    # "Is there a mug behind the bowl?"
    EXISTENCE = "existence"
    COUNT = "count"
    DISTANCE = "distance"


@dataclass(frozen=True)
class Viewer:
    """Whoever looks at the scene, as an anchor: "the camera", "me"."""


@dataclass(frozen=True)
class Feature:
    """Something a thing has, or lacks: "with a red lid", "without a handle".

    Attributes:
        part: Its name, such as "lid".
        attributes: What the part looks like.
        negated: The thing lacks it.
    """

    part: str
    attributes: tuple[str, ...] = ()
    negated: bool = False


@dataclass(frozen=True)
class Constraint:
    """How something lies to anchors.

    Attributes:
        relation: Which relation.
        anchors: One thing, or two for "between" (one plural thing will do); empty for relations
            to nothing but the viewer.
        frame: Whose left and right.
        negated: It must not hold.
        distance_m: Metres, for "20 cm to the left of"; None: however far.
        inverse: The anchor has this relation to the thing described: "the bowl with the egg
            in it" is the bowl in which the egg is.
    """

    relation: Relation
    anchors: tuple[Anchor, ...] = ()
    frame: Frame = Frame.VIEWER
    negated: bool = False
    distance_m: float | None = None
    inverse: bool = False


@dataclass(frozen=True)
class Order:
    """A superlative or an ordinal among all things that fit the rest of the description.

    Attributes:
        key: What is ranked.
        rank: 1 is the one with the most of it.
        anchor: NEAR and FAR: to what; None is the viewer.
    """

    key: OrderKey
    rank: int = 1
    anchor: Anchor | None = None


@dataclass(frozen=True)
class Thing:
    """A described thing, or several.

    Attributes:
        noun: Its head words in lower case, such as "soup can"; "object" for anything.
        attributes: Words that shall be true of it, such as "red" or "lying".
        excluded: Attributes that shall not be true ("that is not red").
        features: Parts it has or lacks.
        constraints: Relations it has to anchors.
        orders: Superlatives, applied last.
        others: Things that it is not ("other than the mug").
        quantifier: One, any or all of those that fit.
        count: How many, where the words say a number; None: not said.
    """

    noun: str
    attributes: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    features: tuple[Feature, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    orders: tuple[Order, ...] = ()
    others: tuple[Thing, ...] = ()
    quantifier: Quantifier = Quantifier.ONE
    count: int | None = None


@dataclass(frozen=True)
class Part:
    """A part of a thing: "the handle of the mug", "the left side of the box".

    Attributes:
        name: Which part.
        of: The thing that it belongs to.
        sides: Which of several like parts, such as (TOP, LEFT) for a corner.
    """

    name: PartName
    of: Thing
    sides: tuple[Side, ...] = ()


@dataclass(frozen=True)
class Space:
    """A free spot where something could be put down.

    Attributes:
        constraints: Relations it has to anchors.
        orders: Superlatives without a group, such as "closest to the camera".
        surface: What it lies on, or a part of that ("the left edge of the table"); None: the
            main support surface.
    """

    constraints: tuple[Constraint, ...] = ()
    orders: tuple[Order, ...] = ()
    surface: Thing | Part | None = None


Anchor = Thing | Part | Viewer
Target = Thing | Part | Space


@dataclass(frozen=True)
class Request:
    """A sentence that wants places pointed at.

    Attributes:
        targets: What is wanted, in the order of the words.
        moved: "Put the cup left of the plate": the cup; its destination is the target.
    """

    targets: tuple[Target, ...]
    moved: Thing | None = None


@dataclass(frozen=True)
class Question:
    """A sentence that wants an answer in words.

    Attributes:
        ask: What it wants to know.
        things: The subject, and for DISTANCE the other thing.
        constraint: The relation asked about, where there is one.
    """

    ask: Ask
    things: tuple[Anchor, ...]
    constraint: Constraint | None = None


Program = Request | Question
