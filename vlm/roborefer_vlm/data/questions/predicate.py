# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Yes or no: whether a thing is in a relation to others, more than another one, or there at all.

For a relation and its anchors a thing is drawn of those for which it holds, or of those for which
it does not, as a coin has it; where one of both is empty, nothing is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from roborefer_vlm.data.clarity import NO, YES, apart
from roborefer_vlm.data.examples import Example, Kind, Rejected, Wish
from roborefer_vlm.data.program_json import program_to_json
from roborefer_vlm.data.questions import predicate_words as words
from roborefer_vlm.data.questions.asking import Draft, Look, Unasked, ask, yes_or_no
from roborefer_vlm.data.questions.clear_configuration import has_side
from roborefer_vlm.data.questions.existence import compose_existence
from roborefer_vlm.data.questions.naming import Named, either
from roborefer_vlm.data.views import Fact, Shot
from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.graph import Array
from roborefer_vlm.scenes.program import Ask, Constraint, OrderKey, Question
from roborefer_vlm.scenes.relations import Relation

# Shares of the questions: how things lie, how large they are, which is nearer; the rest asks
# whether something is there.
LYING, COMPARED, NEARER = 0.5, 0.15, 0.15
NEGATED = 0.12
# Anchors that are tried before a question is given up.
_MOST_ANCHORS = 6

_PLANE = (Relation.LEFT, Relation.RIGHT, Relation.FRONT, Relation.BEHIND)
_IMAGE = (Relation.ABOVE, Relation.BELOW)
_LYING = (
    *_PLANE,
    *_IMAGE,
    Relation.NEAR,
    Relation.FAR,
    Relation.TOUCH,
    Relation.FAR_FROM,
    Relation.ON,
    Relation.UNDER,
    Relation.INSIDE,
    Relation.OUTSIDE,
    Relation.BETWEEN,
    Relation.FACE,
    Relation.BACK,
)
_SIZES = (
    Relation.TALL,
    Relation.SHORT,
    Relation.BIG,
    Relation.SMALL,
    Relation.WIDE,
    Relation.THIN,
)
# Without boxes a source knows these only.
_FLAT = (Relation.LEFT, Relation.RIGHT)


@dataclass(frozen=True)
class PredicateMaker:
    """Asks for yes or no."""

    kind: Kind = Kind.PREDICATE
    needs: frozenset[Fact] = frozenset({Fact.COMPLETE})

    def make(
        self, shot: Shot, rng: np.random.Generator, wish: Wish
    ) -> Iterator[Example | Rejected]:
        """Yield examples and what was rejected; see `Maker.make`."""
        return ask(self.kind, shot, rng, wish, _compose)


def _compose(look: Look) -> Draft:
    share = look.draw.rng.random()
    boxes = look.trusts(Fact.BOXES)
    if share < LYING:
        return _relation(look, _LYING if boxes else _FLAT)
    if share < LYING + COMPARED and boxes:
        return _relation(look, _SIZES)
    if share < LYING + COMPARED + NEARER:
        return _nearer(look)
    return compose_existence(look)


def _relation(look: Look, relations: Sequence[Relation]) -> Draft:
    relation = look.draw.one(relations)
    frame = _frame(look, relation)
    seen = look.visible
    for anchors in _anchors(look, relation, frame, seen)[:_MOST_ANCHORS]:
        try:
            states = look.truth.states(relation, anchors, frame)
        except QueryError:
            continue
        subjects = [n for n in _subjects(look, relation, seen) if n not in anchors]
        yes = [n for n in subjects if states[look.truth.row(n)] == YES]
        no = [n for n in subjects if states[look.truth.row(n)] == NO]
        if relation in (Relation.TOUCH, Relation.FAR_FROM):
            yes, no = _by_contact(look, relation, anchors[0], yes, no)
        if yes and no:
            cases = (look.draw.one(yes), look.draw.one(no))
            holds, _, named = either(look, cases, lambda n: (n, *anchors), relation)  # noqa: B023
            return _write(look, holds, named, relation, frame)
    raise Unasked("only one answer possible")


def _frame(look: Look, relation: Relation) -> Frame:
    """Draw whose directions are meant, of those that the source knows."""
    if relation in _PLANE and look.trusts(Fact.BOXES, Fact.FRONTS) and look.draw.chance(0.3):
        return Frame.OBJECT
    if relation in _IMAGE and look.draw.chance(0.6):
        return Frame.IMAGE
    return Frame.VIEWER


def _anchors(
    look: Look, relation: Relation, frame: Frame, seen: Sequence[int]
) -> list[tuple[int, ...]]:
    """Return what the relation may be asked about, in random order."""
    truth = look.truth
    if relation is Relation.BETWEEN:
        return look.draw.order((a, b) for a in seen for b in seen if a < b)
    fitting = list(seen)
    if frame is Frame.OBJECT:
        fitting = [n for n in fitting if has_side(truth.thing(n), truth.scene)]
    elif relation in (Relation.INSIDE, Relation.OUTSIDE):
        fitting = [n for n in fitting if truth.thing(n).hollow]
    elif relation in (Relation.ON, Relation.UNDER, Relation.TOUCH, Relation.FAR_FROM):
        # Few things carry others; where none does, there is nothing to ask.
        tied = {truth.thing(n).support for n in truth.ids}
        fitting = [n for n in fitting if n in tied or truth.thing(n).support in truth.ids]
    return [(number,) for number in look.draw.order(fitting)]


def _subjects(look: Look, relation: Relation, seen: Sequence[int]) -> list[int]:
    if relation in (Relation.FACE, Relation.BACK):
        if not look.trusts(Fact.FRONTS):
            return []
        return [n for n in seen if has_side(look.truth.thing(n), look.truth.scene)]
    return list(seen)


def _by_contact(
    look: Look, relation: Relation, anchor: int, yes: list[int], no: list[int]
) -> tuple[list[int], list[int]]:
    """Keep those in contact of which one carries the other: boxes may meet where things do not."""
    touching, other = (yes, no) if relation is Relation.TOUCH else (no, yes)
    thing = look.truth.thing(anchor)
    sure = [n for n in touching if look.truth.thing(n).support == anchor or n == thing.support]
    return (sure, other) if relation is Relation.TOUCH else (other, sure)


def _write(look: Look, holds: bool, named: list[Named], relation: Relation, frame: Frame) -> Draft:
    a, *others = named
    anchors = tuple(other.id for other in others)
    constraint = Constraint(relation, tuple(other.phrase for other in others), frame=frame)
    program = Question(Ask.CONFIGURATION, (a.phrase,), constraint)
    grade = float(look.truth.grades(relation, anchors, frame)[look.truth.row(a.id)])
    facts: dict[str, Any] = {
        "program": program_to_json(program),
        "target": a.id,
        "anchors": list(anchors),
        "relation": relation.value,
        "frame": frame.value,
        "value": round(grade, 4),
        "margin": round(abs(grade - 0.5), 4),
    }
    negated = look.draw.chance(NEGATED)
    wording = look.wording(words.DENIALS if negated else words.STATEMENTS)
    question = wording.text.format(a=a.words, r=look.words.relation(constraint))
    facts["negated"] = negated
    return yes_or_no(look, question, wording.name, holds != negated, facts)


# ---- which one is nearer --------------------------------------------------------------------


def _nearer(look: Look) -> Draft:
    """Compare the distances of two things to the camera, or to a third thing."""
    seen = look.visible
    third = None
    if len(seen) > 2 and look.trusts(Fact.BOXES) and look.draw.chance():
        third, *seen = seen
    if len(seen) < 2:
        raise Unasked("too few things")
    values = look.truth.values(OrderKey.NEAR, third)
    for other in seen[:_MOST_ANCHORS]:
        yes: list[int] = []
        no: list[int] = []
        for one in seen:
            near, far = (float(values[look.truth.row(n)]) for n in (one, other))
            more, less = max(near, far), min(near, far)
            size = look.truth.usual_size
            if one != other and apart(OrderKey.NEAR, more, less, size, anchored=third is not None):
                (yes if near > far else no).append(one)
        if yes and no:
            rest = (other,) if third is None else (other, third)
            cases = (look.draw.one(yes), look.draw.one(no))
            nearer, _, named = either(look, cases, lambda n: (n, *rest), Relation.NEAR)  # noqa: B023
            return _write_nearer(look, nearer, named, values)
    raise Unasked("only one answer possible")


def _write_nearer(look: Look, nearer: bool, named: list[Named], values: Array) -> Draft:
    asked_nearer = look.draw.chance()
    place = "the camera" if len(named) < 3 else named[2].words
    wording = look.wording(words.NEARER if asked_nearer else words.FARTHER)
    question = wording.text.format(a=named[0].words, b=named[1].words, c=place)
    distances = [-float(values[look.truth.row(n)]) for n in (named[0].id, named[1].id)]
    facts = {
        "target": named[0].id,
        "anchors": [named[1].id],
        "relation": "nearer_than" if asked_nearer else "farther_than",
        "to": named[2].id if len(named) > 2 else None,
        "phrases": [program_to_json(n.phrase) for n in named],
        "value": [round(d, 4) for d in distances],
        "margin": round(abs(distances[0] - distances[1]), 4),
    }
    return yes_or_no(look, question, wording.name, nearer == asked_nearer, facts)
