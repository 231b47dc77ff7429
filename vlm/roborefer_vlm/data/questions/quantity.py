# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Quantities: how many, how far, how tall, how deep, at what angle; each with its tolerance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from roborefer_vlm.data.clarity import NO, UNCLEAR, YES
from roborefer_vlm.data.examples import Example, Kind, Rejected, Wish
from roborefer_vlm.data.facts import fact_table, has_face
from roborefer_vlm.data.matching import ANYTHING
from roborefer_vlm.data.meaning import fits
from roborefer_vlm.data.paraphrasing import Words
from roborefer_vlm.data.phrases import referring
from roborefer_vlm.data.program_json import program_to_json
from roborefer_vlm.data.questions.location import NOT_UNIQUE, NOT_VISIBLE, TRIES, anchor_ids
from roborefer_vlm.data.truth import Truth, truth_of
from roborefer_vlm.data.views import Fact, Shot
from roborefer_vlm.scenes.places import Places
from roborefer_vlm.scenes.program import Ask, OrderKey, Quantifier, Question, Thing
from roborefer_vlm.scenes.relations import Relation, relation_values

UNCLEAR_COUNT = "unclear what counts"
HALF_HIDDEN = "something counted is half hidden"
NO_SUCH_COUNT = "nothing comes in that number"
UNCLEAR_VALUE = "value not clear"

# As RefSpatial's rewards allow for sizes (arXiv 2506.04308, RFT); and an inch or so.
LENGTH_SHARE = 0.15
LEAST_TOLERANCE_M = 0.02
ANGLE_TOLERANCE_DEG = 15.0
MOST_COUNT = 5
# Shorter gaps are contact, and smaller turns none.
_LEAST_GAP_M = 0.02
_LEAST_TURN_DEG = 10.0
# The depths around a point that is asked for differ by less than that share.
_FLAT_SHARE = 0.02
_REFERENCE_STEPS = (1, 1, 2)


@dataclass(frozen=True)
class Amount:
    """An answer in words with what proves it.

    Attributes:
        ask: Its wordings in wordings.toml.
        slots: Texts for them.
        answer: The answer.
        facts: Beside the measure, the value and its tolerance.
    """

    ask: str
    slots: dict[str, str]
    answer: str
    facts: dict[str, Any]


class QuantityMaker:
    """Makes questions for numbers. Lengths are asked for only where the source knows metres."""

    kind = Kind.QUANTITY
    needs = frozenset((Fact.COMPLETE,))

    def make(
        self, shot: Shot, rng: np.random.Generator, wish: Wish
    ) -> Iterator[Example | Rejected]:
        """Yield questions about any view of the shot."""
        truths = [truth_of(view) for view in shot.views]
        made, asked = 0, set[str]()
        for _ in range(TRIES * wish.most):
            view = int(rng.integers(len(truths)))
            truth = truths[view]
            if not truth.all_visible.any():
                yield Rejected(self.kind, NOT_VISIBLE)
                continue
            ways = ways_of(truth)
            words = Words(rng, wish.phrasings)
            found = ways[int(rng.integers(len(ways)))](truth, words, rng)
            if isinstance(found, str):
                yield Rejected(self.kind, found)
                continue
            question = words.ask(found.ask, **found.slots)
            if question in asked:
                continue
            asked.add(question)
            yield Example(
                f"{truth.view.key}-{self.kind.value}-{made}",
                self.kind,
                (view,),
                question,
                found.answer,
                facts={"measure": found.ask, **found.facts},
                phrasing=words.name,
            )
            made += 1
            if made == wish.most:
                return


Way = Callable[[Truth, Words, np.random.Generator], Amount | str]


def ways_of(truth: Truth) -> list[Way]:
    """Return what may be asked of a view, as far as its source vouches for it."""
    trusts = truth.view.trusts
    ways: list[Way] = [_count, _count]
    if Fact.METRIC in trusts and Fact.BOXES in trusts:
        ways += [_distance, _distance, _camera_distance, _height, _width, _length]
    if Fact.METRIC in trusts and truth.view.scene.depth_m is not None:
        ways.append(_depth)
    if Fact.FRONTS in trusts and sum(has_face(truth, number) for number in truth.ids) > 1:
        ways += [_angle, _turn]
    return ways


# ---- how many -------------------------------------------------------------------------------


def _count(truth: Truth, words: Words, rng: np.random.Generator) -> Amount | str:
    """Count what fits a noun, often with a relation; all numbers about equally often."""
    wanted = int(rng.integers(MOST_COUNT + 1))
    reason = NO_SUCH_COUNT
    options = _groups(truth, rng)
    for at in rng.permutation(len(options)):
        phrase = options[at]
        states = fits(truth, phrase)
        if (states == UNCLEAR).any():
            reason = UNCLEAR_COUNT
        elif np.count_nonzero(states == YES) != wanted:
            continue
        elif not truth.all_visible[states > NO].all():
            reason = HALF_HIDDEN
        else:
            question = Question(Ask.COUNT, (phrase,))
            ids = [n for n, state in zip(truth.ids, states, strict=True) if state == YES]
            facts = {
                "program": program_to_json(question),
                "targets": ids,
                "anchors": anchor_ids(truth, phrase),
                "value": wanted,
                "tolerance": 0,
            }
            return Amount("count", {"xs": words.bare(phrase, plural=True)}, str(wanted), facts)
    return reason


def _groups(truth: Truth, rng: np.random.Generator) -> list[Thing]:
    """Return plural phrases that may fit any number of things, none included."""
    view = truth.view
    nouns = [ANYTHING]
    for thing in view.scene.objects:
        nouns += [*view.nouns.get(thing.id, (thing.name,))[:1], *view.kinds.get(thing.id, ())]
    nouns = list(dict.fromkeys(filter(None, nouns)))
    colors: list[str] = []
    if Fact.COLORS in view.trusts:
        colors = list(dict.fromkeys(c for t in view.scene.objects for c in sorted(t.colors)))
    plain = [Thing(noun, quantifier=Quantifier.ALL) for noun in nouns]
    plain += [Thing(n, (c,), quantifier=Quantifier.ALL) for n in nouns for c in colors]
    table = fact_table(truth)
    rows = [i for i, spec in enumerate(table.specs) if _countable(spec.relation, spec.inverse)]
    for row in rng.permutation(np.array(rows, int))[:8]:
        spec = table.specs[row]
        anchors = [next(referring(truth, a, rng, 1), None) for a in spec.anchors]
        said = [anchor for anchor in anchors if anchor is not None]
        if len(said) == len(anchors):
            noun = nouns[int(rng.integers(len(nouns)))]
            told = (spec.constraint(said),)
            plain.append(Thing(noun, constraints=told, quantifier=Quantifier.ALL))
    return plain


def _countable(relation: Relation, inverse: bool) -> bool:
    return not inverse and relation not in (Relation.DISTANCE, Relation.FACE, Relation.BACK)


# ---- how far, how large ---------------------------------------------------------------------


def _refer(
    truth: Truth, rng: np.random.Generator, among: list[int] | None = None, not_: int = 0
) -> tuple[int, Thing] | None:
    """Return a visible thing with a short phrase for it."""
    numbers = [
        number
        for number in (truth.ids if among is None else among)
        if truth.visible(number) and number != not_
    ]
    if not numbers:
        return None
    number = numbers[int(rng.integers(len(numbers)))]
    steps = _REFERENCE_STEPS[int(rng.integers(len(_REFERENCE_STEPS)))]
    phrase = next(referring(truth, number, rng, steps), None)
    return None if phrase is None else (number, phrase)


def _pair(
    truth: Truth, rng: np.random.Generator, among: list[int] | None = None
) -> tuple[tuple[int, Thing], tuple[int, Thing]] | None:
    first = _refer(truth, rng, among)
    second = None if first is None else _refer(truth, rng, among, not_=first[0])
    return None if first is None or second is None else (first, second)


def _length_answer(
    metres: float, rng: np.random.Generator, slots: dict[str, str], *, slack_m: float = 0.0
) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Return a length in words, the slots with its unit, and its facts."""
    centimetres = bool(metres < 1 and rng.random() < 0.5)
    unit = "centimeters" if centimetres else "meters"
    number = f"{metres * 100:.0f}" if centimetres else f"{metres:.2f}"
    tolerance = max(LEAST_TOLERANCE_M, LENGTH_SHARE * metres, slack_m)
    facts = {"value": round(metres, 4), "unit": "m", "tolerance": round(tolerance, 4)}
    return f"{number} {unit}", {**slots, "unit": unit}, facts


def _distance(truth: Truth, words: Words, rng: np.random.Generator) -> Amount | str:
    """Between the surfaces of two things."""
    pair = _pair(truth, rng)
    if pair is None:
        return NOT_UNIQUE
    (first, one), (second, other) = pair
    metres = float(truth.measured(Relation.DISTANCE, (second,))[truth.row(first)])
    if metres < _LEAST_GAP_M:
        return UNCLEAR_VALUE
    slots = {"x": words.thing(one), "y": words.thing(other)}
    answer, slots, facts = _length_answer(metres, rng, slots)
    program = program_to_json(Question(Ask.DISTANCE, (one, other)))
    return Amount(
        "distance", slots, answer, {"program": program, "targets": [first, second], **facts}
    )


def _camera_distance(truth: Truth, words: Words, rng: np.random.Generator) -> Amount | str:
    """From the camera to the middle of a thing; to its surface is as right."""
    found = _refer(truth, rng)
    if found is None:
        return NOT_UNIQUE
    number, phrase = found
    row = truth.row(number)
    metres = float(truth.values(OrderKey.FAR)[row])
    slack = float(truth.places.diagonals[row]) / 2
    answer, slots, facts = _length_answer(metres, rng, {"x": words.thing(phrase)}, slack_m=slack)
    return Amount("camera_distance", slots, answer, {**_about(phrase, number), **facts})


def _sized(ask: str, key: OrderKey) -> Way:
    def way(truth: Truth, words: Words, rng: np.random.Generator) -> Amount | str:
        found = _refer(truth, rng)
        if found is None:
            return NOT_UNIQUE
        number, phrase = found
        metres = float(truth.values(key)[truth.row(number)])
        answer, slots, facts = _length_answer(metres, rng, {"x": words.thing(phrase)})
        return Amount(ask, slots, answer, {**_about(phrase, number), **facts})

    return way


# Vertical extent as it stands; longer side of the footprint; longest side.
_height = _sized("height", OrderKey.TALL)
_width = _sized("width", OrderKey.WIDE)
_length = _sized("length", OrderKey.LONG)


def _depth(truth: Truth, words: Words, rng: np.random.Generator) -> Amount | str:
    """At a point of the picture, where depth does not jump."""
    depth = truth.view.scene.depth_m
    assert depth is not None
    height, width = depth.shape
    x, y = (round(float(rng.uniform(0.03, 0.97)), 3) for _ in range(2))
    column, row = int(x * width), int(y * height)
    around = depth[max(row - 3, 0) : row + 4, max(column - 3, 0) : column + 4]
    low, high = float(around.min()), float(around.max())
    if not np.isfinite(high) or low <= 0 or high > low * (1 + _FLAT_SHARE):
        return UNCLEAR_VALUE
    answer, slots, facts = _length_answer(
        float(depth[row, column]), rng, {"p": f"({x:.3f}, {y:.3f})"}
    )
    return Amount("depth", slots, answer, {"at": [x, y], **facts})


def _about(phrase: Thing, number: int) -> dict[str, Any]:
    return {"program": program_to_json(phrase), "target": number}


# ---- at what angle --------------------------------------------------------------------------


def _faced(truth: Truth) -> list[int]:
    return [number for number in truth.ids if has_face(truth, number)]


def _angle(truth: Truth, words: Words, rng: np.random.Generator) -> Amount | str:
    """Between the fronts of two things."""
    pair = _pair(truth, rng, _faced(truth))
    if pair is None:
        return NOT_UNIQUE
    (first, one), (second, other) = pair
    degrees = _degrees(truth, Relation.ANGLE, first, second)
    return Amount(
        "angle",
        {"x": words.thing(one), "y": words.thing(other)},
        f"{degrees:.0f} degrees",
        _turned(one, other, first, second, degrees),
    )


def _turn(truth: Truth, words: Words, rng: np.random.Generator) -> Amount | str:
    """By which a thing has to turn on the spot to face another one; left is positive."""
    first = _refer(truth, rng, _faced(truth))
    second = None if first is None else _refer(truth, rng, not_=first[0])
    if first is None or second is None:
        return NOT_UNIQUE
    degrees = _degrees(truth, Relation.ROTATION_HORIZONTAL, second[0], first[0])
    if not _LEAST_TURN_DEG <= abs(degrees) <= 180 - _LEAST_TURN_DEG:
        return UNCLEAR_VALUE
    side = "left" if degrees > 0 else "right"
    return Amount(
        "turn",
        {"x": words.thing(first[1]), "y": words.thing(second[1])},
        f"{abs(degrees):.0f} degrees to the {side}",
        _turned(first[1], second[1], first[0], second[0], degrees),
    )


def _degrees(truth: Truth, relation: Relation, subject: int, anchor: int) -> float:
    """Measure one angle alone, since things without a front have none."""
    subjects = Places.of_objects([truth.place(subject)])
    values = relation_values(relation, truth.scene, subjects, [truth.place(anchor)])
    return float(np.rad2deg(values[0]))


def _turned(one: Thing, other: Thing, first: int, second: int, degrees: float) -> dict[str, Any]:
    return {
        "things": [program_to_json(one), program_to_json(other)],
        "targets": [first, second],
        "value": round(degrees, 2),
        "unit": "degrees",
        "tolerance": ANGLE_TOLERANCE_DEG,
    }
