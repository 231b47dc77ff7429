# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What phrases mean, by the relations of `_data_world`: part of the independent check."""

from __future__ import annotations

from typing import Any

from _data_world import Body, Relations, Verdict, World, both, negated

ANYTHING = frozenset({"object", "thing"})
Node = dict[str, Any]


class Fault(Exception):
    """The example is wrong; `args[0]` says why."""


def require(verdict: Verdict, reason: str) -> None:
    """Refuse what is clearly false.

    Raises:
        Fault: It is.
    """
    if verdict is not None and not verdict:
        raise Fault(reason)


class Meaning:
    """What phrases mean in one view."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.relations = Relations(world)

    def fits(self, node: Node) -> dict[int, Verdict]:
        """Return for every thing whether a phrase fits it."""
        found = {n: self._looks(node, body) for n, body in self.world.bodies.items()}
        for constraint in node.get("constraints", ()):
            for number, verdict in found.items():
                if verdict is not False:
                    body = self.world.bodies[number]
                    found[number] = both(verdict, self.constrained(body, constraint))
        for other in node.get("others", ()):
            for number, verdict in self.fits(other).items():
                found[number] = both(found[number], negated(verdict))
        for order in node.get("orders", ()):
            found = self._ranked(found, order)
        return found

    def _looks(self, node: Node, body: Body) -> Verdict:
        noun = node["noun"]
        heads = {word.split()[-1] for word in body.nouns if word}
        fits = noun in ANYTHING or noun in body.nouns or noun in heads
        verdicts = [fits]
        for word in node.get("attributes", ()):
            verdicts.append(_has(word, body))
        for word in node.get("excluded", ()):
            verdicts.append(negated(_has(word, body)))
        return both(*verdicts)

    def _ranked(self, found: dict[int, Verdict], order: Node) -> dict[int, Verdict]:
        key, rank = order["key"], order.get("rank", 1)
        anchor = None
        if order.get("anchor") and order["anchor"]["node"] != "viewer":
            [anchor] = self.resolve(order["anchor"])
        row = [n for n, v in found.items() if v is not False]
        row = [n for n in row if anchor is None or n != anchor.id]
        unsure = any(found[n] is None for n in row)
        value = {n: self.relations.order_value(key, self.world.bodies[n], anchor) for n in row}
        row.sort(key=lambda n: -value[n])
        if key == "middle":
            rank = (len(row) + 1) // 2
        result: dict[int, Verdict] = dict.fromkeys(found, False)
        if not 1 <= rank <= len(row):
            return result
        chosen = row[rank - 1]
        for number in row:
            # Those that nobody could tell from the chosen one may be meant as well.
            close = abs(value[number] - value[chosen]) < 1e-3
            result[number] = None if unsure or (close and number != chosen) else number == chosen
        return result

    def constrained(self, body: Body, constraint: Node) -> Verdict:
        """Tell whether a body fulfils a constraint."""
        anchors = [
            anchor
            for node in constraint.get("anchors", ())
            if node["node"] != "viewer"
            for anchor in self.resolve(node)
        ]
        relation, frame = constraint["relation"], constraint.get("frame", "viewer")
        distance = constraint.get("distance_m")
        if constraint.get("inverse"):
            verdict = self.relations.holds(relation, anchors[0], [body], frame, distance)
        else:
            verdict = self.relations.holds(relation, body, anchors, frame, distance)
        return negated(verdict) if constraint.get("negated") else verdict

    def resolve(self, node: Node) -> list[Body]:
        """Return what an anchor means.

        Raises:
            Fault: It is not clear what.
        """
        if node["node"] == "part":
            return self.resolve(node["of"])
        fits = self.fits(node)
        surfaces = [s for s in self.world.surfaces.values() if node["noun"] in s.nouns]
        found = [self.world.bodies[n] for n, v in fits.items() if v is not False]
        if node.get("quantifier") == "all":
            if not found or node.get("count") not in (None, len(found)):
                raise Fault("the number of anchors is wrong")
            return found
        sure = [b for b in found if fits[b.id] is True]
        if len(sure) > 1:
            raise Fault("an anchor is not unique")
        if sure or found:
            return sure or found[:1]
        if len(surfaces) == 1:
            return surfaces
        raise Fault("an anchor does not exist")

    def unique(self, node: Node, target: int) -> None:
        """Make sure that a phrase means one thing.

        Raises:
            Fault: It does not fit that thing, or fits another one, too.
        """
        fits = self.fits(node)
        require(fits[target], "the phrase does not fit the target")
        if any(v is True for n, v in fits.items() if n != target):
            raise Fault("the phrase fits another thing, too")


def _has(word: str, body: Body) -> Verdict:
    if word in body.attributes:
        return True
    share = body.colors.get(word, 0.0)
    return True if share >= 0.4 else None if share > 0.2 else False
