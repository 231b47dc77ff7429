# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The grammar of one modifier: relations, superlatives, features, negation and frames.

A modifier is, after a comma, "and" or "but", "that is", adverbs and "not": a relation with its
anchor and perhaps a distance, a superlative with or without an anchor, an attribute, "with" a
feature or a thing "in it", "other than" a thing, or the frame that the words before are meant in.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from roborefer_vlm.backends.scene_graph.modifiers import (
    Corner,
    InPicture,
    MeasuredFrom,
    Mod,
    Others,
    PendingRank,
    Says,
)
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.program import (
    Anchor,
    Constraint,
    Feature,
    OrderKey,
    Part,
    Quantifier,
    Thing,
    Viewer,
)
from roborefer_vlm.scenes.relations import Relation

if TYPE_CHECKING:
    from roborefer_vlm.backends.scene_graph.phrase_chart import Found, PhraseChart

# Phrases of the relations table that are a known relation said in another way.
_COMPARED = {"closer": Relation.FRONT, "farther": Relation.BEHIND}
# Those of a frame that is not the viewer's.
_FRAMED = {
    "in_facing_direction": (Relation.FRONT, Frame.OBJECT),
    "higher_in_image": (Relation.ABOVE, Frame.IMAGE),
    "lower_in_image": (Relation.BELOW, Frame.IMAGE),
}
_DIRECTLY = {
    Relation.LEFT: Relation.DIRECTLY_LEFT,
    Relation.RIGHT: Relation.DIRECTLY_RIGHT,
    Relation.FRONT: Relation.DIRECTLY_FRONT,
    Relation.BEHIND: Relation.DIRECTLY_BEHIND,
    Relation.ABOVE: Relation.DIRECTLY_ABOVE,
    Relation.BELOW: Relation.DIRECTLY_BELOW,
}
# The top of a picture of a table shows what is far away.
_IN_PICTURE = {
    "left": OrderKey.LEFT,
    "right": OrderKey.RIGHT,
    "near": OrderKey.NEAR,
    "far": OrderKey.FAR,
    "top": OrderKey.FAR,
    "bottom": OrderKey.NEAR,
}
_NEGATIONS = ("not", "isn't", "aren't", "never", "neither", "nor")
_TWO = (Relation.BETWEEN, Relation.AMONG)
_IN_VIEW = (Relation.INSIDE, Relation.ON, Relation.NEAR)


class ModifierRules:
    """Reads single modifiers off a chart of phrases."""

    def __init__(self, chart: PhraseChart) -> None:
        self.chart = chart
        self.tokens = chart.tokens
        self.words = chart.words

    def all(self, start: int, outermost: bool, first: bool) -> Found[Mod]:
        """Return every modifier that begins here.

        Args:
            start: First token.
            outermost: It belongs to the noun that the whole sentence is about; only there may a
                comma stand before it.
            first: No modifier of that noun stands before it, so that "and" joins it to nothing.
        """
        chart, at = self.chart, start
        if chart.token(at) == ",":
            if not outermost:
                return []
            at += 1
        if chart.token(at) in ("and", "but", "yet") and not first:
            at += 1
        found: Found[Mod] = []
        relative = self.words.relative.end(self.tokens, at)
        for begin in dict.fromkeys((at, relative)):
            found += self._plain(begin)
        return found

    def _plain(self, start: int) -> Found[Mod]:
        pose = [entry for entry in self._attributes(start, False) if entry[1] > start + 2]
        if pose:
            # "Lying on its side": there is no thing called side.
            return pose
        at, directly = self._adverbs(start)
        begin = start
        negated = self.chart.token(at) in _NEGATIONS
        if negated:
            begin = at + 1
            at, directly = self._adverbs(begin)
        found = self._relations(at, negated, directly)
        # What looks like an adverb can begin a phrase: "around" the mug, "at the left".
        if begin != at:
            found += self._relations(begin, negated, False)
        if not negated:
            for first in dict.fromkeys((begin, at)):
                found += self._orders(first)
                found += self._frames(first)
        found += self._measured(start)
        found += self._attributes(start if not negated else at, negated)
        if at != start:
            found += self._attributes(at, negated)
        if not negated:
            found += self._features(start)
            found += self._inverse(start)
        found += self._others(start)
        found += self._corner(start)
        return found

    def _adverbs(self, at: int) -> tuple[int, bool]:
        directly = False
        while True:
            adverb = self.words.adverbs.at(self.tokens, at)
            if not adverb:
                return at, directly
            # "In the middle of": an adverb such as "at" or "right" may begin a relation.
            if self.words.relations.end(self.tokens, at) > adverb[0][1]:
                return at, directly
            directly |= adverb[0][0] == "directly"
            at = adverb[0][1]

    # ---- relations --------------------------------------------------------------------------

    def _relations(self, start: int, negated: bool, directly: bool) -> Found[Mod]:
        distance, at = self.distance(start)
        found: Found[Mod] = []
        if distance is not None:
            at, _ = self._adverbs(at)
            for word in ("away from", "from", "off", "away"):
                row = tuple(word.split())
                if self.tokens[at : at + len(row)] == row:
                    found += self._to_anchor(
                        Constraint(Relation.DISTANCE, negated=negated, distance_m=distance),
                        at + len(row),
                    )
                    break
        named = self.words.relations.at(self.tokens, at)
        for name, end in named:
            if name in _FRAMED:
                relation, frame = _FRAMED[name]
            else:
                relation, frame = _COMPARED.get(name) or Relation(name), Frame.VIEWER
            if directly:
                relation = _DIRECTLY.get(relation, relation)
            made = Constraint(relation, frame=frame, negated=negated, distance_m=distance)
            found += [
                (mod, last)
                for mod, last in self._to_anchor(made, end)
                if end == named[0][1] or self._on_part(mod)
            ]
        found += self._owned(at, negated, distance)
        return found

    def _on_part(self, mod: Mod) -> bool:
        """Tell whether a shorter phrase is meant: "on" the left side of a table, not of a mug."""
        anchor = mod.anchors[0] if isinstance(mod, Constraint) and mod.anchors else None
        return isinstance(anchor, Part) and self.words.is_surface(anchor.of.noun)

    def _to_anchor(self, made: Constraint, at: int) -> Found[Mod]:
        chart, found = self.chart, list[tuple[Mod, int]]()
        if made.relation in _TWO:
            return list(self._between(made, at))
        if made.relation in _IN_VIEW and self._names_picture(at):
            end = at + 1 + (chart.token(at) in self.words.closed)
            found.append((InPicture(), end))
        for anchor, end in chart.anchors(at):
            found.append((replace(made, anchors=(anchor,)), end))
        return found

    def _names_picture(self, at: int) -> bool:
        token, behind = self.chart.token(at), self.chart.token(at + 1)
        return token in self.words.picture or (
            token in ("the", "this") and behind in self.words.picture
        )

    def _between(self, made: Constraint, at: int) -> Found[Mod]:
        found: Found[Mod] = []
        for first, middle in self.chart.anchors(at):
            if isinstance(first, Thing) and first.quantifier is Quantifier.ALL:
                found.append((replace(made, anchors=(first,)), middle))
            joint = middle + (self.chart.token(middle) == ",")
            if self.chart.token(joint) in ("and", "&"):
                found += [
                    (replace(made, anchors=(first, second)), end)
                    for second, end in self.chart.anchors(joint + 1)
                ]
        return found

    def _owned(self, start: int, negated: bool, distance: float | None) -> Found[Mod]:
        """Read "to the chair's left": seen by the thing itself where it has a face."""
        at = start
        if self.chart.token(at) not in ("to", "on", "at"):
            return []
        found: Found[Mod] = []
        for (owner, rank), middle in self.chart.heads(at + 1):
            if rank is not None or self.chart.token(middle) != "'s":
                continue
            side = self.words.sides.at(self.tokens, middle + 1)
            if side and side[0][0] in ("left", "right"):
                end = side[0][1]
                end += self.chart.token(end) in ("side", "hand")
                made = Constraint(Relation(side[0][0]), (owner,), Frame.OBJECT, negated, distance)
                found.append((made, end))
        return found

    def distance(self, start: int) -> tuple[float | None, int]:
        """Read a length such as "20 cm", "half a meter" or "two feet"; metres, or None."""
        token = self.chart.token(start)
        at = start + 1
        if token in self.words.numbers:
            number = self.words.numbers[token]
            if self.chart.token(at) in ("a", "an"):
                at += 1
            elif self.chart.token(at) in self.words.numbers:
                number += self.words.numbers[self.chart.token(at)]
                at += 1
        elif token[:1].isdecimal() and token.replace(",", ".", 1).replace(".", "", 1).isdecimal():
            number = float(token.replace(",", "."))
        elif token in ("a", "an"):
            number = 1.0
        else:
            return None, start
        unit = self.words.units.get(self.chart.token(at))
        return (None, start) if unit is None else (number * unit, at + 1)

    # ---- superlatives, frames ---------------------------------------------------------------

    def _orders(self, start: int) -> Found[Mod]:
        chart, at = self.chart, start
        at += chart.token(at) == "the"
        rank, at = chart.ordinal(at)
        found: Found[Mod] = []
        for key, end in self.words.compared.at(self.tokens, at):
            for anchor, last in chart.anchors(end):
                plain: Anchor | None = None if isinstance(anchor, Viewer) else anchor
                assert not isinstance(plain, Viewer)
                made = PendingRank(OrderKey(key), plain, rank)
                found.append((made, last))
                if chart.token(last) == "than":
                    # Nearer to this than to anything else is nearest to this.
                    other = last + 1 + (chart.token(last + 1) == "to")
                    found += [(made, end) for _, end in chart.anchors(other)]
        for table in (self.words.counted, self.words.placed, self.words.orders):
            begin = start if table is self.words.placed else at
            for key, end in table.at(self.tokens, begin):
                behind = chart.token(end)
                if behind in ("of", "than"):
                    end = self._of_all(end)
                elif table is self.words.orders and (
                    (behind in ("to", "from") and not self._frames(end)) or chart.begins_noun(end)
                ):
                    continue
                found.append((PendingRank(OrderKey(key), None, rank), end))
        return found

    def _measured(self, start: int) -> Found[Mod]:
        """Read the anchor of a superlative before the noun: "the closest cup to the plate"."""
        if self.chart.token(start) not in ("to", "from"):
            return []
        return [(MeasuredFrom(anchor), end) for anchor, end in self.chart.anchors(start + 1)]

    def _corner(self, start: int) -> Found[Mod]:
        """Read "in the top left corner", of the picture where nothing else is named."""
        chart = self.chart
        if chart.token(start) not in ("in", "at", "on", "near", "to"):
            return []
        at = start + 1
        at += chart.token(at) == "the"
        keys: list[OrderKey] = []
        while side := self.words.sides.at(self.tokens, at):
            keys.append(_IN_PICTURE[side[0][0]])
            at = side[0][1]
        at += chart.token(at) in ("corner", "side", "part", "half", "area", "region", "edge")
        named = chart.token(at) == "of" and self._names_picture(at + 1)
        if named:
            at += 2 + (chart.token(at + 1) in self.words.closed)
        if chart.token(at) == "of" or not (named or len(keys) > 1) or not keys:
            return []
        return [(Corner(tuple(keys)), at)]

    def _of_all(self, at: int) -> int:
        """Skip "of all", "of them", "of the three": they name the group once more."""
        for text in ("of all", "of them all", "of them", "of the two", "of the three"):
            row = tuple(text.split())
            if self.tokens[at : at + len(row)] == row:
                return at + len(row)
        return at

    def _frames(self, start: int) -> Found[Mod]:
        chart, frames = self.chart, self.words.frames
        found: Found[Mod] = []
        for key, frame in (
            ("viewer", Frame.VIEWER),
            ("own", Frame.OBJECT),
            ("world", Frame.WORLD),
        ):
            found += [(frame, end) for _, end in frames[key].at(self.tokens, start)]
        for _, at in frames["from"].at(self.tokens, start):
            at += chart.token(at) == "the"
            if chart.token(at) == "world":
                end = frames["after"].end(self.tokens, at + 1)
                found.append((Frame.WORLD, end))
            viewer = self.words.viewer.end(self.tokens, at)
            if viewer > at:
                found.append((Frame.VIEWER, frames["after"].end(self.tokens, viewer)))
                continue
            for _, middle in chart.heads(at):
                end = frames["after"].end(self.tokens, middle)
                # "From the box" alone is no view; a perspective has to be named.
                if end > middle or "of" in self.tokens[start:at]:
                    found.append((Frame.OBJECT, end))
        return found

    # ---- attributes, features, others -------------------------------------------------------

    def _attributes(self, start: int, negated: bool) -> Found[Mod]:
        filler, at = self._filler_end(start), start
        for row in (
            ("both",),
            ("made", "of"),
            ("made", "out", "of"),
            ("colored",),
            ("painted",),
            ("in",),
        ):
            if self.tokens[at : at + len(row)] == row:
                at += len(row)
                break
        found: Found[Mod] = []
        for attribute, end in self.words.attributes.at(self.tokens, at):
            if end == filler:
                continue
            end += self.chart.token(end) in ("color", "colour", "colored")
            found.append((Says(attribute, negated), end))
        if self.chart.token(start) in self.words.free:
            found.append((Says(self.chart.token(start), negated), start + 1))
        return found

    def _filler_end(self, start: int) -> int:
        """Return the end of the word in "lying in front of" that says nothing of a pose."""
        end = self.words.adverbs.end(self.tokens, start)
        return end if end > start and self.words.relations.at(self.tokens, end) else -1

    def _features(self, start: int) -> Found[Mod]:
        found: Found[Mod] = []
        for table, lacks in ((self.words.having, False), (self.words.lacking, True)):
            for _, at in table.at(self.tokens, start):
                for (thing, rank), end in self.chart.heads(at):
                    part = self.words.parts.at(tuple(thing.noun.split()), 0)
                    if part and rank is None and part[0][1] == len(thing.noun.split()):
                        found.append((Feature(part[0][0], thing.attributes, lacks), end))
                    elif lacks and rank is None:
                        found.append((Feature(thing.noun, thing.attributes, True), end))
                if not lacks:
                    found += self._inverse_in_it(at)
        return found

    def _inverse_in_it(self, at: int) -> Found[Mod]:
        found: Found[Mod] = []
        for thing, middle in self.chart.things(at):
            for name, end in self.words.in_it.at(self.tokens, middle):
                made = Constraint(Relation(name), (thing,), inverse=True)
                found.append((made, end))
        return found

    def _inverse(self, start: int) -> Found[Mod]:
        return [
            (Constraint(Relation(name), (anchor,), inverse=True), end)
            for name, middle in self.words.inverse.at(self.tokens, start)
            for anchor, end in self.chart.anchors(middle)
            if not isinstance(anchor, Viewer | Part)
        ]

    def _others(self, start: int) -> Found[Mod]:
        return [
            (Others(thing), end)
            for _, middle in self.words.others.at(self.tokens, start)
            for thing, end in self.chart.things(middle)
            if thing.noun != "object" or thing.attributes or thing.constraints
        ]
