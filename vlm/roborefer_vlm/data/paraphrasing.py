# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Programs in varied English: several wordings of every construct, some held out of training.

One `Words` speaks one question, with all that belongs to it: asked for the same thing twice it
says the same, so that steps use the words of their question. Where a modifier could belong to
several nouns, "that is ... and ..." ties it to the outer one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from roborefer_vlm.data.examples import Phrasings
from roborefer_vlm.exceptions import ConfigurationError
from roborefer_vlm.parsing.families import family_named
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.program import (
    Anchor,
    Constraint,
    Order,
    OrderKey,
    Part,
    PartName,
    Quantifier,
    Thing,
    Viewer,
)
from roborefer_vlm.scenes.relations import Relation
from roborefer_vlm.scenes.wording import describe

_ORDINALS = ("zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh")
# Words that are plural as they are.
PLURAL_ONLY = frozenset(("scissors", "tongs", "glasses", "pliers", "headphones", "tweezers"))
_IRREGULAR = {"knife": "knives", "loaf": "loaves", "leaf": "leaves", "shelf": "shelves"}
_IRREGULAR |= {"tomato": "tomatoes", "potato": "potatoes", "mango": "mangoes", "box": "boxes"}
_UNCOUNTED = frozenset(("fruit", "food", "tableware", "cutlery", "kitchenware"))
# Silent letters, and vowels that sound like consonants.
_AN = ("hour", "honest")
_A = ("uni", "use", "usu", "eu", "one", "ukulele", "utensil")
# How often a relation stands behind "that is".
_RELATIVE = 0.25
# How often it is said that directions are those of the viewer.
_VIEWER_NAMED = 0.08
_SIDES = (Relation.LEFT, Relation.RIGHT, Relation.FRONT, Relation.BEHIND)
_SPOKEN = (Frame.OBJECT, Frame.WORLD)
_HELD_OUT = "held_out"


@cache
def wordings() -> dict[str, Any]:
    """Return the table of wordings that comes with the package."""
    text = files("roborefer_vlm.data").joinpath("wordings.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def suffix() -> str:
    """Return the sentence on the form of the answer that RefSpatial-Bench ends prompts with."""
    return family_named("roborefer").prompt.removeprefix("{text} ")


class Words:
    """Speaks one question in words drawn at random.

    Attributes:
        name: Name of the question's wording once `ask` was called; it begins with "held_out"
            for wordings that training does not know.
    """

    def __init__(
        self, rng: np.random.Generator, phrasings: Phrasings = Phrasings.TRAINING
    ) -> None:
        self._rng = rng
        self._phrasings = phrasings
        self._said: dict[Thing, str] = {}
        self.name = ""

    # ---- questions --------------------------------------------------------------------------

    def ask(self, kind: str, **slots: str) -> str:
        """Return a question of a kind with its slots filled.

        Args:
            kind: A table under "questions" of wordings.toml.
            slots: Texts by slot; those of slot "x" are also there as "X", capitalised.

        Raises:
            ConfigurationError: There are no such wordings.
        """
        tables = wordings()["questions"]
        if kind not in tables:
            raise ConfigurationError(f"no wordings of '{kind}'; known: {', '.join(tables)}")
        table: dict[str, str] = tables[kind][self._phrasings.value]
        name = list(table)[int(self._rng.integers(len(table)))]
        held = self._phrasings is Phrasings.HELD_OUT
        self.name = f"{_HELD_OUT}_{kind}_{name}" if held else f"{kind}_{name}"
        if "x" in slots:
            slots["X"] = slots["x"][:1].upper() + slots["x"][1:]
        return _filled(table[name], **slots)

    def _draw(self, group: str, key: str) -> str:
        table: dict[str, list[str]] = wordings()[group][key]
        held_out = table.get(_HELD_OUT, [])
        use_held = self._phrasings is Phrasings.HELD_OUT and held_out
        options = held_out if use_held else table["training"]
        return options[int(self._rng.integers(len(options)))]

    # ---- things -----------------------------------------------------------------------------

    def anchor(self, anchor: Anchor) -> str:
        """Return an anchor with its article."""
        if isinstance(anchor, Viewer):
            return "the camera"
        if isinstance(anchor, Part):
            sides = [side.value for side in anchor.sides]
            name = "center" if anchor.name is PartName.CENTER else anchor.name.value
            return " ".join(("the", *sides, name, "of", self.thing(anchor.of)))
        return self.thing(anchor)

    def thing(self, phrase: Thing) -> str:
        """Return a described thing with its article; the same words each time."""
        if phrase not in self._said:
            article = "any" if phrase.quantifier is Quantifier.ANY else "the"
            plural = phrase.quantifier is Quantifier.ALL
            count = "" if phrase.count is None else f"{describe_count(phrase.count)} "
            lead = f"{article} {count}" if plural else f"{article} "
            self._said[phrase] = lead + self.bare(phrase, plural=plural)
        return self._said[phrase]

    def bare(self, phrase: Thing, *, plural: bool = False) -> str:
        """Return a described thing without an article, or several of them."""
        noun = plural_of(phrase.noun) if plural else phrase.noun
        text = " ".join((*phrase.attributes, noun))
        verb = "are" if plural or phrase.noun in PLURAL_ONLY else "is"
        # Superlatives stand before their noun where more follows, so that it is one row.
        behind = bool(phrase.constraints or phrase.excluded or phrase.others)
        for order in phrase.orders:
            text = self._ordered(text, order, behind=behind)
        # "With the apple in it" stands right behind the noun, and closes what is said of it.
        relations = [c for c in phrase.constraints if not c.inverse]
        inverse = [c for c in phrase.constraints if c.inverse]
        said = [f"not {word}" for word in phrase.excluded]
        tied = len(said) + len(phrase.constraints) > 1
        told = [self._inverse(constraint, closed=tied) for constraint in inverse]
        said += [self._relation(constraint) for constraint in relations]
        if said and (tied or phrase.excluded or self._rng.random() < _RELATIVE):
            said[0] = f"that {verb} {said[0]}"
        result = " ".join((text, *told, " and ".join(said))).strip()
        for other in phrase.others:
            result = f"{result} other than {self.thing(other)}"
        return result

    def _ordered(self, noun: str, order: Order, *, behind: bool) -> str:
        if order.anchor is not None and not isinstance(order.anchor, Viewer):
            words = _filled(self._draw("anchored", order.key.value), a=self.anchor(order.anchor))
            ordinal = f"that is the {_ordinal(order.rank)} " if order.rank > 1 else ""
            return f"{noun} {ordinal}{words}"
        group = "ordinals" if order.rank > 1 else "orders"
        words = self._draw(group, order.key.value)
        if behind and not words.endswith("{n}"):
            words = _BEFORE.get((order.key, order.rank > 1), words)
        return _filled(words, n=noun, o=_ordinal(order.rank))

    # ---- relations --------------------------------------------------------------------------

    def relation(self, constraint: Constraint) -> str:
        """Return a constraint in words, such as "to the left of the mug"."""
        return self._relation(constraint)

    def _relation(self, constraint: Constraint) -> str:
        anchors = [self.anchor(anchor) for anchor in constraint.anchors]
        if constraint.relation is Relation.BETWEEN and len(anchors) == 1:
            return f"between {anchors[0]}"
        slots = dict(zip("ab", anchors, strict=False))
        key = constraint.relation.value
        if constraint.inverse:
            return self._inverse(constraint, closed=False)
        group = "pictured" if constraint.frame is Frame.IMAGE else "relations"
        words = self._draw(group, key) if key in wordings()[group] else describe(constraint)
        if constraint.distance_m is not None:
            length = self.length(constraint.distance_m)
            words = words if "{d}" in words else "{d} " + words
            slots["d"] = length
        if constraint.frame in _SPOKEN or self._names_viewer(constraint):
            frame = self._draw("frames", constraint.frame.value)
            words = f"{words} {frame}"
            slots["short"] = _short(constraint.anchors[0])
        text = _filled(words, **slots)
        return f"not {text}" if constraint.negated else text

    def _inverse(self, constraint: Constraint, *, closed: bool) -> str:
        key = constraint.relation.value
        words = self._draw("inverse", key)
        if closed and words.endswith("{a}"):
            words = wordings()["inverse"][key]["training"][0]
        return _filled(words, a=self.anchor(constraint.anchors[0]))

    def _names_viewer(self, constraint: Constraint) -> bool:
        sideways = constraint.relation in _SIDES and constraint.frame is Frame.VIEWER
        return sideways and self._rng.random() < _VIEWER_NAMED

    def reasoning(self) -> str:
        """Return the sentence that asks for steps."""
        return self._draw("reasoning", "steps")

    def length(self, metres: float) -> str:
        """Return a length in metres or whole centimetres; nothing is lost."""
        centimetres = round(metres * 100)
        whole = abs(metres * 100 - centimetres) < 1e-6
        if whole and metres < 1 and self._rng.random() < 0.5:
            return _filled(self._draw("lengths", "centimetres"), c=str(centimetres))
        return _filled(self._draw("lengths", "metres"), m=f"{metres:g}")


# What a superlative reads before its noun.
_BEFORE = {
    (OrderKey.LEFT, False): "leftmost {n}",
    (OrderKey.RIGHT, False): "rightmost {n}",
    (OrderKey.MIDDLE, False): "middle {n}",
    (OrderKey.NEAR, False): "closest {n}",
    (OrderKey.FAR, False): "farthest {n}",
    (OrderKey.NEAR, True): "{o} closest {n}",
    (OrderKey.FAR, True): "{o} farthest {n}",
    (OrderKey.LEFT, True): "{o} leftmost {n}",
    (OrderKey.RIGHT, True): "{o} rightmost {n}",
    (OrderKey.TALL, False): "tallest {n}",
    (OrderKey.SHORT, False): "shortest {n}",
    (OrderKey.SMALL, False): "smallest {n}",
    (OrderKey.WIDE, False): "widest {n}",
    (OrderKey.NARROW, False): "narrowest {n}",
    (OrderKey.LONG, False): "longest {n}",
    (OrderKey.TALL, True): "{o} tallest {n}",
    (OrderKey.SHORT, True): "{o} shortest {n}",
}


def plural_of(noun: str) -> str:
    """Return the plural of a noun phrase; of "fruit" and the like "pieces of fruit"."""
    *before, last = noun.split()
    if last in _UNCOUNTED:
        return " ".join((*before, "pieces of", last))
    if last in PLURAL_ONLY:
        return " ".join((*before, "pairs of", last))
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif last.endswith(("s", "x", "ch", "sh", "z")):
        last = f"{last}es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        last = f"{last[:-1]}ies"
    else:
        last = f"{last}s"
    return " ".join((*before, last))


def with_article(text: str) -> str:
    """Return a noun phrase with "a" or "an" by its sound."""
    word = text.lower()
    vowel = word.startswith(_AN) or (word[:1] in "aeiou" and not word.startswith(_A))
    return f"{'an' if vowel else 'a'} {text}"


def describe_count(count: int) -> str:
    """Return a small number as a word."""
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return names[count] if 0 <= count < len(names) else str(count)


def joined(texts: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return " and ".join(filter(None, (", ".join(texts[:-1]), texts[-1])))


def _ordinal(rank: int) -> str:
    return _ORDINALS[rank] if rank < len(_ORDINALS) else f"{rank}th"


def _short(anchor: Anchor) -> str:
    thing = anchor.of if isinstance(anchor, Part) else anchor
    return " ".join((*thing.attributes, thing.noun)) if isinstance(thing, Thing) else "camera"


def _filled(template: str, **slots: str) -> str:
    """Fill the slots of a template; what is filled in is not looked at again."""
    pieces = []
    for piece in template.split("{"):
        name, closed, rest = piece.partition("}")
        pieces.append(slots[name] + rest if closed else piece)
    return "".join(pieces)
