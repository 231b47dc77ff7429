# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Noun phrases: things, parts and free space, with everything that is said of them.

A chart parser. For every token it knows the phrases that begin there, each kept with the token
behind it; all readings of a sentence come out, and where a modifier can belong to several nouns
("the mug left of the plate next to the bottle") there is one reading for each. Lists are bounded,
and the chart is filled from the last token to the first, so that time grows with the length of
the sentence and no nesting is too deep.

    thing     = [determiner] [number] {ordinal | superlative | attribute} noun {modifier}
    part      = [determiner] {side} part-noun "of" thing | thing "'s" {side} part-noun
    space     = [determiner] {free | superlative} place-noun {modifier}
    anchor    = viewer | part | thing
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from roborefer_vlm.backends.scene_graph.lexicon import Lexicon, Tokens
from roborefer_vlm.backends.scene_graph.modifier_rules import ModifierRules
from roborefer_vlm.backends.scene_graph.modifiers import (
    Mod,
    PendingRank,
    described,
    order_of,
    spaced,
)
from roborefer_vlm.backends.scene_graph.strain import strain
from roborefer_vlm.backends.scene_graph.words import is_word, singular
from roborefer_vlm.scenes.program import (
    Anchor,
    Constraint,
    Feature,
    Order,
    OrderKey,
    Part,
    PartName,
    Quantifier,
    Side,
    Space,
    Thing,
    Viewer,
)
from roborefer_vlm.scenes.relations import Relation

Item = TypeVar("Item")
Found = list[tuple[Item, int]]

# Readings kept per first and last token, and per first token.
MOST_PER_END = 4
MOST_PER_START = 48
_MARKED = re.compile(r"(.+)-(lidd|handl|capp|topp|rimm|colou?r|shap)ed$")
_MARKS = {"lidd": "lid", "handl": "handle", "capp": "lid", "topp": "top", "rimm": "rim"}
_ORDINAL_ENDS = ("st", "nd", "rd", "th")
# Parts whose name can be the last word of a compound: "the mug handle".
_COMPOUND_PARTS = frozenset(
    {"handle", "lid", "cap", "rim", "spout", "nozzle", "edge", "corner", "tip", "side", "top"}
)


def bounded(found: Found[Item]) -> Found[Item]:
    """Keep the readings that reach farthest, few for each end, the most natural ones of each."""
    kept: Found[Item] = []
    per_end: dict[int, list[Item]] = {}
    for item, end in sorted(found, key=lambda entry: (-entry[1], strain(entry[0]))):
        same = per_end.setdefault(end, [])
        if len(same) < MOST_PER_END and item not in same:
            same.append(item)
            kept.append((item, end))
    return kept[:MOST_PER_START]


class PhraseChart:
    """All phrases of one sentence."""

    def __init__(self, tokens: Tokens, words: Lexicon) -> None:
        self.tokens = tokens
        self.words = words
        self._memo: dict[tuple[str, int], Found[Any]] = {}
        self._rules = ModifierRules(self)
        for start in range(len(tokens), -1, -1):
            self.anchors(start)
            self.modifiers(start, True, False)
            self.modifiers(start, False, False)
            self.modifiers(start, True)

    def token(self, at: int) -> str:
        """Return the token at a place, "" behind the last one."""
        return self.tokens[at] if at < len(self.tokens) else ""

    def once(self, rule: str, start: int, work: Callable[[], Found[Item]]) -> Found[Item]:
        """Return what a rule reads at a token; it works only the first time."""
        key = (rule, start)
        if key not in self._memo:
            self._memo[key] = []
            self._memo[key] = bounded(work())
        return self._memo[key]

    # ---- what is said of a noun ------------------------------------------------------------

    def modifiers(self, start: int, outermost: bool, first: bool = True) -> Found[tuple[Mod, ...]]:
        """Return every row of modifiers that begins here, the empty one too.

        Args:
            start: First token.
            outermost: They belong to the noun that the sentence is about; only there may a comma
                stand before one.
            first: None stands before them; only later ones are joined by "and", so that the box
                in "behind the mug and left of the box" is not what the mug is left of.
        """
        key = f"{outermost} {first}"

        def work() -> Found[tuple[Mod, ...]]:
            found: Found[tuple[Mod, ...]] = [((), start)]
            single = self.once(
                f"modifier {key}", start, lambda: self._rules.all(start, outermost, first)
            )
            for mod, middle in single:
                if middle > start:
                    rows = self.modifiers(middle, outermost, False)
                    found += [((mod, *rest), end) for rest, end in rows]
            return found

        return self.once(f"modifiers {key}", start, work)

    # ---- nouns ------------------------------------------------------------------------------

    def things(self, start: int, outermost: bool = False) -> Found[Thing]:
        """Return every described thing that begins here."""

        def work() -> Found[Thing]:
            found: Found[Thing] = []
            for (base, rank), middle in self.heads(start):
                for mods, end in self.modifiers(middle, outermost):
                    thing = described(base, mods, rank)
                    if thing is not None:
                        found.append((thing, end))
            return found

        return self.once(f"things {outermost}", start, work)

    def heads(self, start: int) -> Found[tuple[Thing, int | None]]:
        """Return nouns with what stands before them, and an ordinal that waits for its key."""
        return self.once("heads", start, lambda: self._heads(start))

    def _heads(self, start: int) -> Found[tuple[Thing, int | None]]:
        kind, at = self._determiner(start)
        count, at = self._count(at)
        attributes: list[str] = []
        features: list[Feature] = []
        orders: list[Order] = []
        rank: int | None = None
        while True:
            ordinal, end = self.ordinal(at)
            if ordinal is not None:
                rank, at = ordinal, end
                continue
            if self.words.noun_end(self.tokens, at) > at:
                break
            marked = self._marked(at)
            if marked is not None:
                (features if isinstance(marked, Feature) else attributes).append(marked)  # type: ignore[arg-type]
                at += 1
                continue
            color = self.words.attributes.at(self.tokens, at)
            if color and not self._is_noun_here(at, color[0][1]):
                attributes.append(color[0][0])
                at = self._joint(color[0][1])
                continue
            order = self.words.orders.at(self.tokens, at)
            if order and self.token(order[0][1]) not in ("to", "than", "from"):
                orders.append(order_of(PendingRank(OrderKey(order[0][0])), rank))
                rank, at = None, order[0][1]
                continue
            break
        noun, end = self._noun(at)
        group = at + (self.token(at) == "one")
        if (orders or attributes) and self.token(group) == "of":
            return self._one_of(tuple(attributes), tuple(orders), group + 1)
        if not noun:
            if not (attributes or features or rank or self._stands_alone(start, at)):
                return []
            noun, end = "object", at
        last = noun.split()[-1]
        said = noun.split()
        if not self.words.places.isdisjoint(said) and all(
            word in self.words.free or word in self.words.places for word in said
        ):
            # "Free space" and "somewhere clear" are places, no things.
            return []
        quantifier = {"one": Quantifier.ONE, "any": Quantifier.ANY, "all": Quantifier.ALL}[kind]
        if self._is_plural(noun):
            noun = " ".join((*noun.split()[:-1], singular(last)))
            quantifier = Quantifier.ANY if kind == "any" and count is None else Quantifier.ALL
        thing = Thing(
            noun,
            tuple(attributes),
            features=tuple(features),
            orders=tuple(orders),
            quantifier=quantifier,
            count=count,
        )
        return [((thing, rank), end)]

    def _one_of(
        self, attributes: tuple[str, ...], orders: tuple[Order, ...], at: int
    ) -> Found[tuple[Thing, int | None]]:
        """Read the group of "the smaller of the two boxes" or "the red one of the mugs"."""
        found: Found[tuple[Thing, int | None]] = []
        for (group, rank), end in self.heads(at):
            if group.quantifier is Quantifier.ALL and rank is None:
                words = (*attributes, *group.attributes)
                single = replace(group, attributes=words, orders=orders, count=None)
                found.append(((replace(single, quantifier=Quantifier.ONE), None), end))
        return found

    def _stands_alone(self, start: int, at: int) -> bool:
        """Tell whether a superlative is its own noun: "the tallest", "the closest to the cup"."""
        last = self.token(at - 1) if at > start else ""
        return last.endswith(("est", "most")) or (
            last == "the" and bool(self.words.compared.at(self.tokens, at))
        )

    def _determiner(self, start: int) -> tuple[str, int]:
        found = self.words.determiners.at(self.tokens, start)
        return found[0] if found else ("one", start)

    def _count(self, at: int) -> tuple[int | None, int]:
        token = self.token(at)
        number = self.words.numbers.get(token)
        if self.ordinal(at)[0] is not None:
            return None, at
        if number is None and token.isdecimal() and len(token) < 4:
            number = float(token)
        if number is None or number != int(number) or self.token(at + 1) in self.words.units:
            return None, at
        if self._noun_run(at + 1) == at + 1 and not self.words.attributes.at(self.tokens, at + 1):
            return None, at
        return int(number), at + 1

    def ordinal(self, at: int) -> tuple[int | None, int]:
        """Read "third" or "3rd"; -1 is "last"."""
        token = self.token(at)
        if token in self.words.ordinals:
            return self.words.ordinals[token], at + 1
        if token.isdecimal() and len(token) < 4 and self.token(at + 1) in _ORDINAL_ENDS:
            return int(token), at + 2
        return None, at

    def _marked(self, at: int) -> Feature | str | None:
        match = _MARKED.match(self.token(at))
        if match is None:
            return None
        word, mark = match.groups()
        return Feature(_MARKS[mark], (word,)) if mark in _MARKS else str(word)

    def _joint(self, at: int) -> int:
        """Skip "and" or a comma between two attributes."""
        token = self.token(at)
        if token in (",", "and", "or", "but", "/", "-"):
            behind = at + 1 + (token == "," and self.token(at + 1) == "and")
            if self.words.attributes.at(self.tokens, behind):
                return behind
        return at

    def _is_noun_here(self, start: int, end: int) -> bool:
        """Tell whether a word such as "orange" or "glass" is the noun and no attribute."""
        known = bool(self.words.noun(self.tokens[start:end])) and self._joint(end) == end
        return known and self._noun(end)[1] == end and not self._marked(end)

    def _noun(self, start: int) -> tuple[str, int]:
        end = self._noun_run(start)
        if end == start:
            return "", start
        if self.token(end) == "of" and not self.words.parts.at(self.tokens, end - 1):
            behind = self._noun_run(end + 1)
            place = self.tokens[end - 1] in self.words.places
            if behind > end + 1 and not place:
                end = behind
        return " ".join(self.tokens[start:end]), end

    def _noun_run(self, start: int) -> int:
        at = start
        while at < len(self.tokens):
            known = self.words.noun_end(self.tokens, at)
            if known > at:
                at = known
                continue
            token = self.tokens[at]
            if token in ('"', "'"):
                at += 1
                continue
            if not is_word(token) or token in self.words.closed:
                break
            if self._rules.distance(at)[0] is not None:
                break
            if at > start and self._begins_modifier(at):
                break
            if self.token(at + 1) == "than" and self.words.relations.at(self.tokens, at):
                # "The toy narrower than the box": it compares and names nothing.
                break
            at += 1
        return at

    def begins_noun(self, at: int) -> bool:
        """Tell whether a noun, or an attribute before one, stands here without determiner."""
        return self._noun_run(at) > at and not self._begins_modifier(at)

    def _begins_modifier(self, at: int) -> bool:
        words = self.words
        if self.tokens[at] in words.ordinals or self._rules.distance(at)[0] is not None:
            return True
        tables = (words.relations, words.inverse, words.compared, words.counted, words.placed)
        if any(table.at(self.tokens, at) for table in tables):
            return True
        frames = words.frames
        if any(frames[key].at(self.tokens, at) for key in ("from", "viewer", "own", "world")):
            return True
        return any(end > at + 1 for _, end in words.attributes.at(self.tokens, at))

    def _is_plural(self, noun: str) -> bool:
        last = noun.split()[-1]
        return singular(last) != last and not self.words.is_exact(noun)

    # ---- parts, free space, anchors ---------------------------------------------------------

    def parts(self, start: int, outermost: bool = False) -> Found[Part]:
        """Return every part of a thing that begins here."""
        return self.once(f"parts {outermost}", start, lambda: self._parts(start, outermost))

    def _parts(self, start: int, outermost: bool) -> Found[Part]:
        found: Found[Part] = []
        _, at = self._determiner(start)
        for name, sides, end in self._part_nouns(at):
            if self.token(end) in ("of", "on", "from"):
                found += [
                    (Part(name, thing, sides), last)
                    for thing, last in self.things(end + 1, outermost)
                ]
        for (owner, rank), middle in self.heads(start):
            if self.token(middle) == "'s" and rank is None:
                found += [
                    (Part(name, owner, sides), end)
                    for name, sides, end in self._part_nouns(middle + 1)
                ]
        for thing, end in self.things(start, outermost):
            before, _, last = thing.noun.rpartition(" ")
            if before and last in _COMPOUND_PARTS and not self.words.is_exact(thing.noun):
                name = PartName(self.words.parts.at((last,), 0)[0][0])
                found.append((Part(name, replace(thing, noun=before)), end))
        return found

    def _part_nouns(self, at: int) -> list[tuple[PartName, tuple[Side, ...], int]]:
        sides: list[Side] = []
        while True:
            part = self.words.parts.at(self.tokens, at)
            if part and (self.token(part[0][1]) in ("of", "on", "from", "")):
                break
            side = self.words.sides.at(self.tokens, at)
            if not side:
                break
            sides.append(Side(side[0][0]))
            at = side[0][1]
        return [
            (PartName(name), tuple(sides), end)
            for name, end in self.words.parts.at(self.tokens, at)[:1]
        ]

    def spaces(self, start: int) -> Found[Space]:
        """Return every described free spot that begins here."""

        def work() -> Found[Space]:
            _, at = self._determiner(start)
            _, at = self._count(at)
            orders: list[Order] = []
            while True:
                order = self.words.orders.at(self.tokens, at)
                skipped = self.words.attributes.end(self.tokens, at)
                if order:
                    orders.append(Order(OrderKey(order[0][0])))
                    at = order[0][1]
                elif skipped > at:
                    at = self._joint(skipped)
                elif self.token(at) in self.words.free:
                    at += 1
                    if self.token(at) == "and":
                        at += 1
                else:
                    break
            if singular(self.token(at)) not in self.words.places:
                return []
            while singular(self.token(at)) in self.words.places:
                at += 1
            found: Found[Space] = []
            if self.token(at) in ("in", "within"):
                # "A spot within the vacant space": the space is what matters.
                found += self.spaces(at + 1)
            at = self._purpose(at)
            for carrier, middle in self._carriers(at):
                for mods, end in self.modifiers(middle, True):
                    space = spaced((*carrier, *mods), tuple(orders), self.words)
                    if space is not None:
                        found.append((space, end))
            return found

        return self.once("spaces", start, work)

    def _purpose(self, at: int) -> int:
        """Skip "to put something down" behind "room"; it says what a place is for."""
        rules, tokens = self.words.wrappers, self.tokens
        if self.token(at) == "for":
            return rules["held"].end(tokens, at + 1) if rules["held"].at(tokens, at + 1) else at
        put = rules["put"].end(tokens, at + 1)
        if self.token(at) != "to" or put == at + 1:
            return at
        return rules["down"].end(tokens, rules["held"].end(tokens, put))

    def _carriers(self, at: int) -> Found[tuple[Mod, ...]]:
        """Read "of the table" behind "the free part"."""
        found: Found[tuple[Mod, ...]] = [((), at)]
        if self.token(at) == "of":
            found += [
                ((Constraint(Relation.ON, (anchor,)),), end)
                for anchor, end in self.anchors(at + 1)
            ]
        return found

    def anchors(self, start: int) -> Found[Anchor]:
        """Return everything a relation can refer to that begins here."""

        def work() -> Found[Anchor]:
            found: Found[Anchor] = []
            _, at = self._determiner(start)
            end = self.words.viewer.end(self.tokens, at)
            if end > at and self._noun_run(end) == end and self.token(end) != "'s":
                found.append((Viewer(), end))
            found += self.parts(start)
            found += self.things(start)
            return found

        return self.once("anchors", start, work)
