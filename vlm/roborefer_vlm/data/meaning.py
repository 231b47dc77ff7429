# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a phrase means in a known scene, without mercy: it fits, it does not, or it is unclear.

The engine's own grounding takes the best of what is there; here a phrase with a rival, or with an
anchor that could be two things, means nothing. What this proves, data may say.
"""

from __future__ import annotations

import numpy as np

from roborefer_vlm.data.clarity import NO, UNCLEAR, YES
from roborefer_vlm.data.truth import Truth
from roborefer_vlm.data.views import Fact
from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.graph import Array
from roborefer_vlm.scenes.program import Anchor, Constraint, Part, Quantifier, Thing, Viewer
from roborefer_vlm.scenes.relations import Relation
from roborefer_vlm.scenes.relations.registry import RULES

MOST_STEPS = 5


def fits(truth: Truth, phrase: Thing) -> Array:
    """Return the state of a phrase for every thing of a view, hidden ones too, shape (N,).

    1: clearly meant, 0: clearly not, 0.5: unclear, also because an anchor is.
    """
    known = truth.meanings.get(phrase)
    if known is None:
        states = named(truth, phrase)
        for constraint in phrase.constraints:
            states = np.minimum(states, held(truth, constraint))
        for other in phrase.others:
            states = np.minimum(states, 1 - fits(truth, other))
        for order in phrase.orders:
            anchor: int | None = None
            if order.anchor is not None and not isinstance(order.anchor, Viewer):
                found = resolve(truth, order.anchor)
                if found is None or len(found) != 1:
                    states = np.minimum(states, UNCLEAR)
                    continue
                anchor = found[0]
            states = truth.ranked(order.key, order.rank, states, anchor)
        truth.meanings[phrase] = known = states
    return known


def named(truth: Truth, phrase: Thing) -> Array:
    """Return the state of noun and attributes alone, shape (N,)."""
    words = (phrase.noun, phrase.attributes, phrase.excluded, len(phrase.features))
    if words not in truth.looks:
        things = truth.view.scene.objects
        found = [truth.matcher.state(phrase, thing) for thing in things]
        truth.looks[words] = np.array(found, float)
    return truth.looks[words]


def held(truth: Truth, constraint: Constraint) -> Array:
    """Return the state of a constraint for every thing, shape (N,)."""
    anchors = resolve_all(truth, constraint)
    if anchors is None:
        return np.full(len(truth), UNCLEAR)
    if constraint.inverse:
        states = np.array([_inverse(truth, constraint, number, anchors) for number in truth.ids])
    else:
        try:
            states = truth.states(
                constraint.relation, anchors, constraint.frame, constraint.distance_m
            )
        except QueryError:
            # Such as the left of a thing without a face.
            return np.full(len(truth), UNCLEAR)
    return 1 - states if constraint.negated else states


def _inverse(
    truth: Truth, constraint: Constraint, number: int, subjects: tuple[int, ...]
) -> float:
    if len(subjects) != 1:
        return UNCLEAR
    if number == subjects[0]:
        return NO
    states = truth.states(constraint.relation, (number,), constraint.frame)
    return float(states[truth.row(subjects[0])])


def resolve(truth: Truth, anchor: Anchor) -> tuple[int, ...] | None:
    """Return the ids that an anchor clearly means; None: that is not clear.

    One thing or surface, or several for a plural with its number.
    """
    if not isinstance(anchor, Thing):
        return None
    states = fits(truth, anchor)
    found = tuple(np.array(truth.ids)[states == YES].tolist())
    if (states == UNCLEAR).any():
        return None
    if anchor.quantifier is Quantifier.ALL:
        return found if found and anchor.count in (None, len(found)) else None
    if len(found) == 1:
        return found
    surface = truth.surface_named(anchor.noun) if not found else None
    bare = surface is not None and anchor == Thing(anchor.noun)
    return (surface.id,) if surface is not None and bare else None


def resolve_all(truth: Truth, constraint: Constraint) -> tuple[int, ...] | None:
    """Return the ids of all anchors of a constraint, in their order; None: not clear."""
    ids: list[int] = []
    for anchor in constraint.anchors:
        if isinstance(anchor, Viewer):
            continue
        found = None if isinstance(anchor, Part) else resolve(truth, anchor)
        if found is None:
            return None
        ids += found
    rule = RULES[constraint.relation]
    fitting = rule.fewest <= len(ids) and (rule.most is None or len(ids) <= rule.most)
    return tuple(ids) if fitting and len(set(ids)) == len(ids) else None


def means_only(truth: Truth, phrase: Thing, number: int) -> bool:
    """Tell whether a phrase is proven to mean one visible thing and no other.

    The source has to vouch that all things are known. Hidden things are rivals too.
    """
    if Fact.COMPLETE not in truth.view.trusts or not truth.visible(number):
        return False
    states = fits(truth, phrase)
    return bool(states[truth.row(number)] == YES and np.count_nonzero(states) == 1)


def margin(truth: Truth, phrase: Thing, number: int) -> float:
    """Return by how much the thing meant holds its relations better than any rival, -1 to 1.

    Of each thing the relation that it holds least counts, by its grade; of superlatives and of
    phrases without a relation the state counts.
    """
    grades = np.ones(len(truth)) * (named(truth, phrase) > NO)
    for constraint in phrase.constraints:
        grades = np.minimum(grades, _grades(truth, constraint))
    if phrase.orders or phrase.others:
        grades = np.minimum(grades, fits(truth, phrase))
    row = truth.row(number)
    rivals = np.delete(grades, row)
    return float(grades[row] - (rivals.max() if len(rivals) else 0.0))


def _grades(truth: Truth, constraint: Constraint) -> Array:
    anchors = resolve_all(truth, constraint)
    if anchors is None or constraint.inverse:
        return held(truth, constraint)
    grades = truth.grades(constraint.relation, anchors, constraint.frame, constraint.distance_m)
    return 1 - grades if constraint.negated else grades


def steps_of(phrase: Thing) -> int:
    """Return the number of steps by RefSpatial-Bench's rule, 1 to 5.

    Anchors and relations tied to them count. The viewer, "on" a surface, looks, and places in
    the picture do not.
    """
    return max(1, min(MOST_STEPS, _count(phrase)))


def _count(phrase: Thing) -> int:
    tied = [c.anchors for c in phrase.constraints if not _on_surface(c)]
    tied += [(order.anchor,) for order in phrase.orders if order.anchor is not None]
    total = 0
    for anchors in tied:
        things = [a.of if isinstance(a, Part) else a for a in anchors]
        counted = [thing for thing in things if isinstance(thing, Thing)]
        if counted:
            total += 1 + sum((t.count or 1) + _count(t) for t in counted)
    return total


def _on_surface(constraint: Constraint) -> bool:
    if constraint.relation is not Relation.ON or constraint.inverse:
        return False
    anchor = constraint.anchors[0]
    return isinstance(anchor, Part) or anchor == Thing("table")
