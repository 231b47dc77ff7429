# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Placement: "Point to the free space between the mug and the bowl", answered by a point.

The place is one of `roborefer_vlm.data.free_space`: seen, with room around it, and all words are
true of it beyond doubt. It is proven once more for the very point that is written down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from roborefer_vlm.data.examples import Example, Kind, Phrasings, Rejected, Wish
from roborefer_vlm.data.fitting import is_table, is_vessel
from roborefer_vlm.data.paraphrasing import suffix
from roborefer_vlm.data.program_json import program_to_json
from roborefer_vlm.data.questions import placement_words as words
from roborefer_vlm.data.questions.asking import Draft, Look, Unasked, Wording, ask, point_answer
from roborefer_vlm.data.questions.clear_configuration import has_side
from roborefer_vlm.data.questions.naming import names
from roborefer_vlm.data.questions.proven_spots import Spot, Wanted, find_spot, spot_inside
from roborefer_vlm.data.table_parts import TablePart, is_framed, table_parts
from roborefer_vlm.data.views import Fact, Shot
from roborefer_vlm.scenes.frames import Frame, viewer_axes
from roborefer_vlm.scenes.program import (
    Constraint,
    Order,
    OrderKey,
    Part,
    PartName,
    Request,
    Space,
    Thing,
)
from roborefer_vlm.scenes.relations import Places, Relation, direction_scores

FOOTPRINTS_M = (0.04, 0.06, 0.08)
DISTANCES_M = (0.1, 0.15, 0.2, 0.25, 0.3)
# How often directions are those of the anchor itself, where it has a front.
OWN_FRAME = 0.35
WITH_SUFFIX = 0.4
LONG_NAMES = 0.2
# About where a place beside a thing is, from its middle, and how well a second word suits it.
_ASIDE_M, _HOLDS = 0.13, 0.8
_SIDES = (Relation.LEFT, Relation.RIGHT, Relation.FRONT, Relation.BEHIND)
_DIRECTLY = (
    Relation.DIRECTLY_LEFT,
    Relation.DIRECTLY_RIGHT,
    Relation.DIRECTLY_FRONT,
    Relation.DIRECTLY_BEHIND,
)


_DOUBTFUL = {
    "on the left side of": "to the left of",
    "on the left of": "to the left of",
    "on the right side of": "to the right of",
    "on the right of": "to the right of",
    "at the back of": "behind",
    "at the front of": "in front of",
}


@dataclass(frozen=True)
class PlacementMaker:
    """Asks for places where something can be put down."""

    kind: Kind = Kind.PLACEMENT
    needs: frozenset[Fact] = frozenset({Fact.BOXES, Fact.METRIC, Fact.FREE_SPACE, Fact.COMPLETE})

    def make(
        self, shot: Shot, rng: np.random.Generator, wish: Wish
    ) -> Iterator[Example | Rejected]:
        """Yield examples and what was rejected; see `Maker.make`."""
        return ask(self.kind, shot, rng, wish, _compose)


def _compose(look: Look) -> Draft:
    ways = list(_WAYS)
    shares = np.array([_WAYS[way] for way in ways])
    way = ways[int(look.draw.rng.choice(len(ways), p=shares / shares.sum()))]
    return way(look)


# ---- around one thing -----------------------------------------------------------------------


def _anchor(look: Look, frame: Frame = Frame.VIEWER) -> int:
    """Draw a visible thing that stands on a surface, for its own frame one with a front."""
    surfaces = {surface.id for surface in look.view.scene.surfaces}
    for number in look.visible:
        thing = look.truth.thing(number)
        if thing.support in surfaces and (
            frame is Frame.VIEWER or has_side(thing, look.view.scene)
        ):
            return number
    raise Unasked("nothing with a front" if frame is Frame.OBJECT else "too few things")


def _frame(look: Look) -> Frame:
    own = look.trusts(Fact.FRONTS) and look.draw.chance(OWN_FRAME)
    return Frame.OBJECT if own else Frame.VIEWER


def _beside(look: Look) -> Draft:
    frame = _frame(look)
    relation = look.draw.one(_SIDES if look.draw.chance(0.75) else _DIRECTLY)
    anchor = _anchor(look, frame)
    spot = _found(look, Wanted(((relation, (anchor,)),), _footprint(look), frame=frame))
    named = names(look, (anchor,), relation, long=LONG_NAMES)[0]
    constraint = Constraint(relation, (named.phrase,), frame=frame)
    if relation in _SIDES and look.draw.chance(0.3):
        its = words.ITS[relation.value]
        if frame is Frame.OBJECT:
            its = f"{its} {look.wording(words.ITS_FRAME).text}"
        wording = look.wording(words.CONTEXT)
        question = wording.text.format(a=named.words, its=its)
        return _draft(look, question, wording.name, Space((constraint,)), spot)
    return _asked(look, _relation(look, constraint), Space((constraint,)), spot)


def _at_distance(look: Look) -> Draft:
    frame = _frame(look)
    relation, metres = look.draw.one(_SIDES), look.draw.one(DISTANCES_M)
    anchor = _anchor(look, frame)
    wanted = Wanted(((relation, (anchor,)),), _footprint(look), frame=frame, distance_m=metres)
    spot = _found(look, wanted)
    named = names(look, (anchor,), relation, long=LONG_NAMES)[0]
    constraint = Constraint(relation, (named.phrase,), frame=frame, distance_m=metres)
    return _asked(look, _relation(look, constraint), Space((constraint,)), spot)


def _near(look: Look) -> Draft:
    anchor = _anchor(look)
    relation = look.draw.one((Relation.NEAR, Relation.BESIDE))
    spot = _found(look, Wanted(((relation, (anchor,)),), _footprint(look)))
    named = names(look, (anchor,), relation, long=LONG_NAMES)[0]
    constraint = Constraint(relation, (named.phrase,))
    return _asked(look, _relation(look, constraint), Space((constraint,)), spot)


def _nearest(look: Look) -> Draft:
    """Ask for the place in a direction that comes closest to the thing."""
    frame = _frame(look)
    relation, anchor = look.draw.one(_SIDES), _anchor(look, frame)
    wanted = Wanted(((relation, (anchor,)),), _footprint(look), frame=frame, nearest=True)
    spot = _found(look, wanted)
    named = names(look, (anchor,), relation, long=LONG_NAMES)[0]
    constraint = Constraint(relation, (named.phrase,), frame=frame)
    order = Order(OrderKey.NEAR, anchor=named.phrase)
    wording = look.wording(words.NEAREST)
    question = wording.text.format(where=_relation(look, constraint))
    return _draft(look, question, wording.name, Space((constraint,), (order,)), spot)


# ---- among several --------------------------------------------------------------------------


def _between(look: Look) -> Draft:
    surfaces = {surface.id for surface in look.view.scene.surfaces}
    seen = [n for n in look.visible if look.truth.thing(n).support in surfaces]
    pairs = look.draw.order(combinations(seen, 2))
    if not pairs:
        raise Unasked("too few things")
    spot = _found(look, Wanted(((Relation.BETWEEN, pairs[0]),), _footprint(look)))
    a, b = names(look, pairs[0], Relation.BETWEEN, long=LONG_NAMES)
    constraint = Constraint(Relation.BETWEEN, (a.phrase, b.phrase))
    return _asked(look, _relation(look, constraint), Space((constraint,)), spot)


def _combined(look: Look) -> Draft:
    """Ask for a place in one direction of a thing and in another one of a second thing."""
    first = _anchor(look)
    others = [n for n in look.visible if n != first]
    if not others:
        raise Unasked("too few things")
    relation, other = look.draw.one(_SIDES), look.draw.one(others)
    second = _also(look, relation, first, other)
    pairs = ((relation, (first,)), (second, (other,)))
    spot = _found(look, Wanted(pairs, _footprint(look)))
    a, b = names(look, (first, pairs[1][1][0]), relation, long=LONG_NAMES)
    constraints = (Constraint(relation, (a.phrase,)), Constraint(second, (b.phrase,)))
    where = " and ".join(_relation(look, constraint) for constraint in constraints)
    return _asked(look, where, Space(constraints), spot)


def _also(look: Look, relation: Relation, first: int, other: int) -> Relation:
    """Draw what a place beside one thing may be to another one, too."""
    scene = look.view.scene
    thing, axes = look.truth.thing(first), viewer_axes(scene.camera)
    toward = axes.left if relation in (Relation.LEFT, Relation.RIGHT) else axes.front
    toward = -toward if relation in (Relation.RIGHT, Relation.BEHIND) else toward
    place = Places.of_points((thing.box.center + _ASIDE_M * toward)[None])
    mark = [look.truth.thing(other)]
    fitting = [
        side
        for side in _SIDES
        if side is not relation and direction_scores(side, scene, place, mark)[0] > _HOLDS
    ]
    if not fitting:
        raise Unasked("unclear")
    return look.draw.one(fitting)


# ---- on and in things -----------------------------------------------------------------------


def _on_top(look: Look) -> Draft:
    scene = look.view.scene
    tops = [n for n in look.visible if is_table(scene, look.truth.thing(n))]
    if not tops:
        raise Unasked("nothing to put it on")
    small = FOOTPRINTS_M[0]
    spot = _found(look, Wanted(((Relation.ON, (tops[0],)),), small))
    named = names(look, (tops[0],), Relation.ON, long=LONG_NAMES)[0]
    where = look.wording(words.ON_TOP).text.format(a=named.words)
    return _asked(look, where, Space((Constraint(Relation.ON, (named.phrase,)),)), spot)


def _inside(look: Look) -> Draft:
    scene = look.view.scene
    vessels = [n for n in look.visible if is_vessel(scene, look.truth.thing(n))]
    if not vessels:
        raise Unasked("nothing to put it in")
    named = names(look, (vessels[0],), Relation.INSIDE, long=LONG_NAMES)[0]
    spot = spot_inside(look.view, vessels[0], named.phrase)
    if isinstance(spot, str):
        raise Unasked(spot)
    where = look.wording(words.INSIDE).text.format(a=named.words)
    return _asked(look, where, Space((Constraint(Relation.INSIDE, (named.phrase,)),)), spot)


# ---- parts of the table ---------------------------------------------------------------------


def _part(look: Look) -> Draft:
    scene = look.view.scene
    if not scene.surfaces or look.truth.surface_named(scene.surfaces[0].name) is None:
        raise Unasked("no surface with a name")
    surface = scene.surfaces[0]
    parts: list[TablePart | None] = [*table_parts(scene, surface)]
    if is_framed(scene, surface):
        parts.append(None)
    if not parts:
        raise Unasked("no part with a name")
    part = look.draw.one(parts)
    relation = Relation.MIDDLE if part is None else part.relation
    wanted = Wanted(((relation, (surface.id,)),), _footprint(look), part=part)
    spot = _found(look, wanted)
    name = PartName.CENTER if part is None else part.name
    sides = () if part is None else part.sides
    side = " ".join(look.wording(words.SIDES[one]).text for one in sides)
    where = look.wording(words.PARTS[name]).text.format(side=side, surface=surface.name)
    space = Space(surface=Part(name, Thing(surface.name), sides))
    return _asked(look, where, space, spot)


_WAYS: dict[Callable[[Look], Draft], float] = {
    _beside: 0.3,
    _between: 0.16,
    _part: 0.14,
    _at_distance: 0.1,
    _combined: 0.1,
    _near: 0.06,
    _on_top: 0.06,
    _inside: 0.04,
    _nearest: 0.04,
}


# ---- writing --------------------------------------------------------------------------------


def _footprint(look: Look) -> float:
    return look.draw.one(FOOTPRINTS_M)


def _found(look: Look, wanted: Wanted) -> Spot:
    spot = find_spot(look.view, wanted, look.draw.rng)
    if isinstance(spot, str):
        raise Unasked(spot)
    return spot


def _relation(look: Look, constraint: Constraint) -> str:
    """Say where free space is, without words that could mean a part of the thing."""
    said = look.words.relation(constraint)
    for doubtful, plain in _DOUBTFUL.items():
        said = said.replace(doubtful, plain)
    return said


def _asked(look: Look, where: str, space: Space, spot: Spot) -> Draft:
    wording: Wording = look.wording(words.QUESTIONS)
    return _draft(look, wording.text.format(where=where), wording.name, space, spot)


def _draft(look: Look, question: str, phrasing: str, space: Space, spot: Spot) -> Draft:
    if look.phrasings is Phrasings.TRAINING and look.draw.chance(WITH_SUFFIX):
        question = f"{question} {suffix()}"
    facts = {"program": program_to_json(Request((space,))), **spot.facts()}
    return Draft(question, point_answer(*spot.point), facts, phrasing, spot.point)
