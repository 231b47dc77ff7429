# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of what is clearly true in a view: relations to anchors, for all things at once.

One row tells about every thing at once, so that all phrases of a view share what was measured.
Cheap relations are looked at for every anchor, dear ones for some, drawn by the view's own key,
so that the table does not depend on who asks first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from zlib import crc32

import numpy as np

from roborefer_vlm.data.clarity import NO, YES
from roborefer_vlm.data.truth import Truth
from roborefer_vlm.data.views import Fact
from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.frames import Frame, axes_of
from roborefer_vlm.scenes.graph import Array, SceneObject
from roborefer_vlm.scenes.program import Constraint, Thing
from roborefer_vlm.scenes.relations import Relation

# A camera that looks along the world's x axis: there the world's left is the viewer's.
_ALIGNED = float(np.cos(np.deg2rad(10)))
# Named distances are whole centimetres from this on; below it nobody names one.
_LEAST_DISTANCE_M = 0.04
# Most rows of a dear relation, and of pairs of anchors.
_SOME = 3
_MOST_PAIRS = 28
# Rows in metres, and rows in the negative, per view.
_MEASURED = 5
_NEGATED = 2

SIDES = (Relation.LEFT, Relation.RIGHT, Relation.FRONT, Relation.BEHIND)
_DIRECTLY = (
    Relation.DIRECTLY_LEFT,
    Relation.DIRECTLY_RIGHT,
    Relation.DIRECTLY_FRONT,
    Relation.DIRECTLY_BEHIND,
)
_COMPARISONS = (
    Relation.TALL,
    Relation.SHORT,
    Relation.BIG,
    Relation.SMALL,
    Relation.WIDE,
    Relation.THIN,
)


@dataclass(frozen=True)
class FactSpec:
    """Something that may be true of things, by the ids of its anchors.

    Attributes:
        relation: Which relation.
        anchors: Ids.
        frame: Whose left and right.
        negated: It must not hold.
        distance_m: Metres.
        inverse: The anchor has the relation to the thing.
    """

    relation: Relation
    anchors: tuple[int, ...]
    frame: Frame = Frame.VIEWER
    negated: bool = False
    distance_m: float | None = None
    inverse: bool = False

    @property
    def steps(self) -> int:
        """One for the relation, one for each anchor."""
        return 1 + len(self.anchors)

    @property
    def kind(self) -> tuple[Relation, Frame, bool, bool, bool]:
        """What makes it another kind of fact than others."""
        measured = self.distance_m is not None
        return self.relation, self.frame, self.negated, measured, self.inverse

    def states(self, truth: Truth) -> Array:
        """Return the state for every thing, shape (N,).

        Raises:
            QueryError: The frame does not suit the anchor.
        """
        if self.inverse:
            row = truth.row(self.anchors[0])
            found = [
                NO if number == self.anchors[0] else truth.states(self.relation, (number,))[row]
                for number in truth.ids
            ]
            return np.array(found)
        states = truth.states(self.relation, self.anchors, self.frame, self.distance_m)
        return 1 - states if self.negated else states

    def constraint(self, anchors: Sequence[Thing]) -> Constraint:
        """Return it with its anchors in words."""
        return Constraint(
            self.relation,
            tuple(anchors),
            self.frame,
            self.negated,
            self.distance_m,
            self.inverse,
        )


@dataclass(frozen=True, eq=False)
class FactTable:
    """What may be told in one view.

    Attributes:
        specs: The F facts.
        states: Of every fact for every thing, shape (F, N).
        anchored: Whether a fact has a thing as an anchor, shape (F, N).
        steps: Of every fact, shape (F,).
        kinds: Number of the kind of every fact, shape (F,).
    """

    specs: tuple[FactSpec, ...]
    states: Array
    anchored: np.ndarray[tuple[int, int], np.dtype[np.bool_]]
    steps: np.ndarray[tuple[int], np.dtype[np.int_]]
    kinds: np.ndarray[tuple[int], np.dtype[np.int_]]


@lru_cache(maxsize=8)
def fact_table(truth: Truth) -> FactTable:
    """Return the facts of a view that are clearly true of something visible."""
    rng = np.random.default_rng(crc32(truth.view.key.encode()))
    specs: list[FactSpec] = []
    rows: list[Array] = []
    for spec in _wanted(truth, rng):
        try:
            states = spec.states(truth)
        except QueryError:
            continue
        if (states == YES)[truth.all_visible].any():
            specs.append(spec)
            rows.append(states)
    anchored = np.zeros((len(specs), len(truth)), bool)
    for at, spec in enumerate(specs):
        anchored[at, [truth.row(anchor) for anchor in spec.anchors]] = True
    kinds = {spec.kind: None for spec in specs}
    numbers = {kind: number for number, kind in enumerate(kinds)}
    return FactTable(
        tuple(specs),
        np.array(rows, float).reshape(len(specs), len(truth)),
        anchored,
        np.array([spec.steps for spec in specs], int),
        np.array([numbers[spec.kind] for spec in specs], int),
    )


def _wanted(truth: Truth, rng: np.random.Generator) -> Iterator[FactSpec]:
    """Yield the facts to look at."""
    trusts, viewer = truth.view.trusts, Frame.VIEWER
    anchors = [n for n, seen in zip(truth.ids, truth.all_visible, strict=True) if seen]

    def some(count: int = _SOME, among: Sequence[int] = anchors) -> list[int]:
        return [among[i] for i in rng.permutation(len(among))[:count]]

    if Fact.BOXES not in trusts:
        yield from (FactSpec(r, (a,)) for r in SIDES[:2] for a in anchors)
        return
    sides = [FactSpec(relation, (anchor,)) for relation in SIDES for anchor in anchors]
    yield from sides
    yield from (FactSpec(r, (a,)) for r in _COMPARISONS for a in anchors)
    yield from (FactSpec(r, (a,)) for r in _DIRECTLY for a in some())
    yield from (FactSpec(r, (a,)) for r in (Relation.NEAR, Relation.FAR) for a in some())
    yield from (FactSpec(Relation.BESIDE, (a,)) for a in some(1))
    for relation in (Relation.ABOVE, Relation.BELOW):
        yield from (FactSpec(relation, (a,), Frame.IMAGE) for a in some())
    faced = [anchor for anchor in anchors if has_face(truth, anchor)]
    if Fact.FRONTS in trusts and any(has_face(truth, number) for number in truth.ids):
        yield from (FactSpec(r, (a,), Frame.OBJECT) for r in SIDES for a in some(2, faced))
        yield from (FactSpec(r, (a,)) for r in (Relation.FACE, Relation.BACK) for a in anchors)
    left = axes_of(viewer, truth.scene).left
    if left @ axes_of(Frame.WORLD, truth.scene).left > _ALIGNED:
        yield from (FactSpec(relation, (a,), Frame.WORLD) for relation in SIDES for a in some(2))
    yield from _stacked(truth, anchors)
    yield from _touching(truth, some())
    pairs = [(a, b) for i, a in enumerate(anchors) for b in anchors[i + 1 :]]
    for at in rng.permutation(len(pairs))[:_MOST_PAIRS]:
        first, second = pairs[at][:: 1 if rng.random() < 0.5 else -1]
        yield FactSpec(Relation.BETWEEN, (first, second))
    for at in rng.permutation(len(sides))[:_NEGATED]:
        yield replace(sides[at], negated=True)
    if Fact.METRIC in trusts:
        yield from _measured(truth, anchors, rng)


def _stacked(truth: Truth, anchors: Sequence[int]) -> Iterator[FactSpec]:
    """Yield what may be told of things that stand on or in each other."""
    carriers = {thing.support for thing in truth.scene.objects} & set(truth.ids)
    carried = {t.id for t in truth.scene.objects if t.support in carriers}
    for anchor in anchors:
        if anchor in carriers:
            yield FactSpec(Relation.ON, (anchor,))
            yield FactSpec(Relation.ABOVE, (anchor,))
            if truth.thing(anchor).hollow:
                yield FactSpec(Relation.INSIDE, (anchor,))
                yield FactSpec(Relation.OUTSIDE, (anchor,))
        if anchor in carried:
            yield FactSpec(Relation.UNDER, (anchor,))
            yield FactSpec(Relation.BELOW, (anchor,))
            yield FactSpec(Relation.ON, (anchor,), inverse=True)
            yield FactSpec(Relation.INSIDE, (anchor,), inverse=True)


def _touching(truth: Truth, anchors: Sequence[int]) -> Iterator[FactSpec]:
    """Yield contact, and the lack of it only where something else does touch."""
    for anchor in anchors:
        touch = FactSpec(Relation.TOUCH, (anchor,))
        if (touch.states(truth) == YES).any():
            yield touch
            yield FactSpec(Relation.FAR_FROM, (anchor,))


def _measured(
    truth: Truth, anchors: Sequence[int], rng: np.random.Generator
) -> Iterator[FactSpec]:
    """Yield distances in whole centimetres, each that of some visible thing."""
    for _ in range(_MEASURED if len(anchors) > 1 else 0):
        subject, anchor = (anchors[i] for i in rng.permutation(len(anchors))[:2])
        held = [r for r in SIDES if truth.holds(r, subject, (anchor,))]
        relation = held[0] if held and rng.random() < 0.6 else Relation.DISTANCE
        metres = float(truth.measured(relation, (anchor,))[truth.row(subject)])
        if metres >= _LEAST_DISTANCE_M:
            yield FactSpec(relation, (anchor,), distance_m=round(metres, 2))


def has_face(truth: Truth, number: int) -> bool:
    """Tell whether a thing has a front that looks sideways."""
    place = truth.place(number)
    if not isinstance(place, SceneObject) or place.front is None:
        return False
    return float(np.hypot(place.front[0], place.front[1])) > 0.5
