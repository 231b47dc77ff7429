# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Referring phrases that mean exactly one thing of a view, with a chosen number of steps.

A phrase is put together from facts that are clearly true of its thing, each of which excludes
rivals, and is then proven as a whole by `roborefer_vlm.data.meaning`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np

from roborefer_vlm.data.clarity import NO, YES
from roborefer_vlm.data.facts import FactSpec, FactTable, fact_table
from roborefer_vlm.data.matching import ANYTHING, COLOR_FROM
from roborefer_vlm.data.meaning import MOST_STEPS, fits, means_only, steps_of
from roborefer_vlm.data.truth import DIRECTIONS, Truth
from roborefer_vlm.data.views import Fact
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.graph import Array
from roborefer_vlm.scenes.program import Anchor, Constraint, Order, OrderKey, Thing

# How often a phrase is tried before a thing counts as not referrable that way.
MOST_TRIES = 3
# How many nouns, and how many facts for each, are looked at in one try.
MOST_BASES = 3
MOST_FACTS = 3
MOST_KEYS = 6
MOST_RANK = 4
# "The mug that is not red" is said that rarely.
NEGATED = 0.06

_FLAT = (OrderKey.LEFT, OrderKey.RIGHT, OrderKey.MIDDLE)
_NEAR = (OrderKey.NEAR, OrderKey.FAR)
_BOXED = (
    OrderKey.HIGH,
    OrderKey.LOW,
    OrderKey.TALL,
    OrderKey.SHORT,
    OrderKey.BIG,
    OrderKey.SMALL,
    OrderKey.WIDE,
    OrderKey.NARROW,
    OrderKey.LONG,
)


def referring(
    truth: Truth, thing_id: int, rng: np.random.Generator, steps: int
) -> Iterator[Thing]:
    """Yield different phrases that are proven to mean one visible thing and no other.

    Args:
        truth: Of the view.
        thing_id: What is meant.
        rng: Decides which phrases, and in which order.
        steps: 1 to 5, as RefSpatial-Bench counts (`meaning.steps_of`); every phrase has exactly
            that many.
    """
    if Fact.COMPLETE not in truth.view.trusts or not truth.visible(thing_id):
        return
    author = _Author(truth, rng)
    seen: set[Thing] = set()
    for _ in range(MOST_TRIES):
        phrase = author.phrase(thing_id, steps, frozenset([thing_id]))
        if phrase is None or phrase in seen:
            continue
        seen.add(phrase)
        if steps_of(phrase) != steps or not plain_frames(phrase):
            continue
        if means_only(truth, phrase, thing_id):
            yield phrase


class _Author:
    """Puts phrases together for one view."""

    def __init__(self, truth: Truth, rng: np.random.Generator) -> None:
        self.truth = truth
        self.rng = rng

    @cached_property
    def table(self) -> FactTable:
        """What is true in the view; names without anchors do not need it."""
        return fact_table(self.truth)

    def phrase(self, number: int, steps: int, taken: frozenset[int]) -> Thing | None:
        """Return a phrase of that many steps; anchors are none of those taken."""
        if steps <= 1:
            return self._simple(number, anchor=len(taken) > 1)
        tried = 0
        for base in self._bases(number, len(taken) > 1):
            states = fits(self.truth, base)
            if np.count_nonzero(states) < 2 or tried == MOST_BASES:
                continue
            tried += 1
            found = self._told(number, base, states, steps, taken)
            if found is not None:
                return found
        return None

    # ---- without anchors --------------------------------------------------------------------

    def _bases(self, number: int, anchor: bool) -> list[Thing]:
        """Return nouns that fit with and without the colour, in random order, usual ones first."""
        known = self.truth.nouns.get((number, anchor))
        if known is None:
            self.truth.nouns[number, anchor] = known = self._weighted_nouns(number, anchor)
        options, powers = known
        keys = self.rng.random(len(options)) ** powers
        return [options[i] for i in np.argsort(keys)[::-1]]

    def _weighted_nouns(self, number: int, anchor: bool) -> tuple[list[Thing], Array]:
        """Return nouns with and without the colour, and one over the weight of each."""
        view = self.truth.view
        thing = self.truth.thing(number)
        # What has no name is an object at least.
        nouns = [noun for noun in view.nouns.get(number, ()) or (thing.name,) if noun]
        weighted = [(noun, 4.0 if i == 0 else 1.2) for i, noun in enumerate(nouns)]
        weighted += [(kind, 1.0) for kind in view.kinds.get(number, ())]
        if not anchor or not weighted:
            weighted.append((ANYTHING, 1.6))
        color = self._color(number)
        options = [(Thing(noun), weight) for noun, weight in weighted]
        if color:
            options += [(Thing(noun, (color,)), 0.6 * weight) for noun, weight in weighted]
        return [phrase for phrase, _ in options], 1 / np.array([weight for _, weight in options])

    def _color(self, number: int) -> str:
        if Fact.COLORS not in self.truth.view.trusts:
            return ""
        colors = self.truth.thing(number).colors
        best = max(sorted(colors), key=lambda name: colors[name], default="")
        return best if best and colors[best] >= COLOR_FROM else ""

    def _simple(self, number: int, *, anchor: bool) -> Thing | None:
        """Return a noun with looks, or a place in a row."""
        by_row = self.rng.random() < (0.25 if anchor else 0.6)
        negated = self.rng.random() < NEGATED
        for base in self._bases(number, anchor):
            states = fits(self.truth, base)
            rivals = np.count_nonzero(states) > 1
            if not rivals and not by_row and states[self.truth.row(number)] == YES:
                return base
            if rivals and negated:
                found = self._not_colored(number, base, states)
                if found is not None:
                    return found
            if rivals and (by_row or anchor):
                order = self._order(number, states)
                if order is not None:
                    return replace(base, orders=(order,))
        return None

    def _not_colored(self, number: int, base: Thing, states: Array) -> Thing | None:
        others = [self._color(i) for i, s in zip(self.truth.ids, states, strict=True) if s > NO]
        for color in dict.fromkeys(filter(None, others)):
            phrase = replace(base, excluded=(color,))
            if color != self._color(number) and means_only(self.truth, phrase, number):
                return phrase
        return None

    def _order(self, number: int, states: Array) -> Order | None:
        """Return a place in the row of what fits so far, if it is a clear and natural one."""
        keys = [*_FLAT, *_NEAR]
        if Fact.BOXES in self.truth.view.trusts:
            keys += _BOXED
        # From the other end it is said with a smaller number.
        most = max(1, min(MOST_RANK, int((states > NO).sum()) // 2))
        for at in self.rng.permutation(len(keys))[:MOST_KEYS]:
            rank = self.truth.place_in_row(keys[at], number, states)
            if rank is not None and rank <= most:
                return Order(keys[at], rank)
        return None

    # ---- with anchors -----------------------------------------------------------------------

    def _told(
        self, number: int, base: Thing, states: Array, steps: int, taken: frozenset[int]
    ) -> Thing | None:
        """Add facts of that many steps to a noun, so that it means one thing."""
        table, row = self.table, self.truth.row(number)
        blocked = table.anchored[:, [self.truth.row(other) for other in taken]].any(axis=1)
        rows = np.flatnonzero((table.states[:, row] == YES) & ~blocked & (table.steps <= steps))
        # What remains of those that fit when each fact is told.
        both = np.minimum(table.states[rows], states)
        left = np.count_nonzero(both, axis=1)
        partly = (left > 1) & (left < np.count_nonzero(states))
        for way in self.rng.permutation(4):
            found: Thing | None = None
            if way == 0:
                found = self._by_one(base, rows[left == 1], steps, taken)
            elif way == 1 and steps >= 4:
                found = self._by_two(base, rows[partly], both[partly], steps, taken)
            elif way == 2 and steps != 3:
                found = self._by_nearness(number, base, states, steps, taken)
            elif way == 3:
                found = self._by_row(number, base, rows[partly], both[partly], steps, taken)
            if found is not None:
                return found
        return None

    def _mixed(self, rows: np.ndarray) -> list[int]:
        """Return some facts in random order, each of another kind, all kinds alike."""
        if not len(rows):
            return []
        kinds = self.table.kinds
        drawn = self.rng.permutation(rows).tolist()
        one_of_each = list({int(kinds[row]): row for row in drawn}.values())
        return [one_of_each[i] for i in self.rng.permutation(len(one_of_each))[:MOST_FACTS]]

    def _by_one(
        self, base: Thing, rows: np.ndarray, steps: int, taken: frozenset[int]
    ) -> Thing | None:
        for row in self._mixed(rows):
            found = self._with(base, [self.table.specs[row]], steps, taken)
            if found is not None:
                return found
        return None

    def _by_two(
        self,
        base: Thing,
        rows: np.ndarray,
        both: Array,
        steps: int,
        taken: frozenset[int],
    ) -> Thing | None:
        """Join two facts that leave one thing together and more than one each."""
        table = self.table
        for first in self._mixed(rows)[:2]:
            rest = np.minimum(both, table.states[first])
            apart = ~(table.anchored[rows] & table.anchored[first]).any(axis=1)
            fitting = table.steps[rows] + table.steps[first] <= steps
            for second in self._mixed(
                rows[(np.count_nonzero(rest, axis=1) == 1) & apart & fitting]
            )[:2]:
                specs = [table.specs[first], table.specs[second]]
                found = self._with(base, specs, steps, taken)
                if found is not None:
                    return found
        return None

    def _by_nearness(
        self, number: int, base: Thing, states: Array, steps: int, taken: frozenset[int]
    ) -> Thing | None:
        """Take the thing closest to an anchor, or farthest from it."""
        truth = self.truth
        anchors = [
            other
            for other, seen in zip(truth.ids, truth.all_visible, strict=True)
            if seen and other not in taken
        ]
        for at in self.rng.permutation(len(anchors))[:2]:
            anchor = anchors[at]
            row = np.array(states)
            row[truth.row(anchor)] = NO
            # "The block closest to the bowl" needs two blocks beside the bowl itself.
            if np.count_nonzero(row) < 2:
                continue
            for key in _NEAR:
                ranked = truth.ranked(key, 1, states, anchor)
                if ranked[truth.row(number)] == YES and np.count_nonzero(ranked) == 1:
                    said = self._anchors((anchor,), steps - 2, steps, taken)
                    if said is not None:
                        return replace(base, orders=(Order(key, 1, said[anchor]),))
        return None

    def _by_row(
        self,
        number: int,
        base: Thing,
        rows: np.ndarray,
        both: Array,
        steps: int,
        taken: frozenset[int],
    ) -> Thing | None:
        """Count along the row of what a fact leaves: "the leftmost block behind the bowl"."""
        known = {int(row): left for row, left in zip(rows, both, strict=True)}
        for row in self._mixed(rows)[:2]:
            order = self._order(number, known[row])
            if order is None:
                continue
            without = replace(base, orders=(order,))
            if fits(self.truth, without)[self.truth.row(number)] != YES:
                return self._with(without, [self.table.specs[row]], steps, taken)
        return None

    def _with(
        self, base: Thing, specs: list[FactSpec], steps: int, taken: frozenset[int]
    ) -> Thing | None:
        """Say facts, and refer to their anchors with the steps that are left."""
        anchors = tuple(anchor for spec in specs for anchor in spec.anchors)
        rest = steps - sum(spec.steps for spec in specs)
        words = self._anchors(anchors, rest, steps, taken)
        if words is None:
            return None
        told = [spec.constraint([words[anchor] for anchor in spec.anchors]) for spec in specs]
        return replace(base, constraints=(*base.constraints, *told))

    def _anchors(
        self, anchors: tuple[int, ...], rest: int, steps: int, taken: frozenset[int]
    ) -> dict[int, Thing] | None:
        """Return a phrase for each anchor; the last one is told in the steps that are left."""
        if rest < 0 or (rest == 1 and steps < MOST_STEPS):
            return None
        used = taken | frozenset(anchors)
        words: dict[int, Thing] = {}
        for anchor in anchors[::-1]:
            # Of five steps and more it is said that they are five.
            phrase = self.phrase(anchor, 2 if rest == 1 else rest, used)
            if phrase is None:
                return None
            words[anchor] = phrase
            rest = 0
        return words


def plain_frames(phrase: Thing) -> bool:
    """Tell whether it is plain what "from its own perspective" belongs to.

    In words a frame could be that of every direction before it, and "its" that of every thing,
    so a phrase with a frame of its own has one direction, from an anchor that has no anchors.
    """
    told = [c for c in constraints_in(phrase) if c.relation in DIRECTIONS]
    framed = [c for c in told if c.frame in (Frame.OBJECT, Frame.WORLD)]
    simple = all(_count_anchors(anchor) == 0 for c in framed for anchor in c.anchors)
    return not framed or (len(told) == 1 and simple)


def _count_anchors(anchor: Anchor) -> int:
    if not isinstance(anchor, Thing):
        return 0
    return len(anchor.constraints) + sum(order.anchor is not None for order in anchor.orders)


def constraints_in(phrase: Thing) -> Iterator[Constraint]:
    """Yield every constraint of a phrase, those of its anchors too."""
    for constraint in phrase.constraints:
        yield constraint
        for anchor in constraint.anchors:
            if isinstance(anchor, Thing):
                yield from constraints_in(anchor)
    for order in phrase.orders:
        if isinstance(order.anchor, Thing):
            yield from constraints_in(order.anchor)
