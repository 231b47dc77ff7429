# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Which things of a scene a description means: every thing with a score, best first.

A description is a soft conjunction: how well name and looks fit, times how well each relation
holds. What anchors mean is not decided beforehand; every anchor stands for several things with a
weight, and the pair that fits best as a whole wins ("the mug left of the plate" picks the plate
that has a mug on its left). Superlatives come last, among what fits so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Protocol

import numpy as np

from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.graph import Array, Scene, SceneObject, Surface
from roborefer_vlm.scenes.part_places import part_as_place, part_scores, region_of
from roborefer_vlm.scenes.places import Anchor as Place
from roborefer_vlm.scenes.places import Places
from roborefer_vlm.scenes.program import Anchor as Phrase
from roborefer_vlm.scenes.program import (
    Constraint,
    Order,
    OrderKey,
    Part,
    Quantifier,
    Thing,
    Viewer,
)
from roborefer_vlm.scenes.relations import Key, Relation, measure, relation_scores
from roborefer_vlm.scenes.relations.registry import RULES
from roborefer_vlm.scenes.wording import describe

# A thing that fits its noun and attributes less than this is not meant.
LEAST_MATCH = 0.11
# Things without names are known by their looks alone, so that little is a match already.
LEAST_LIKENESS = 0.005
# A relation that holds less than this fails.
LEAST_RELATION = 0.2
# Of what fits at least this share of the best, superlatives are taken.
IN_GROUP = 0.5
# If the row is too short for an ordinal, also what fits this well belongs to it.
LEAST_IN_ROW = 0.25
# As IN_GROUP, for things without names, whose looks tell less.
ALIKE_GROUP = 0.35
MOST_ANCHORS = 4
# What each place away from the wanted rank costs.
NEXT_RANK = 0.2


class PhraseMatcher(Protocol):
    """Tells how well words fit things, without relations."""

    def score(self, phrase: Thing, thing: SceneObject) -> float:
        """Return how well noun, attributes and features fit, 0 to 1."""

    def surface(self, noun: str, surface: Surface) -> float:
        """Return how well a noun names a support surface, 0 to 1."""

    def relative_key(self, attribute: str) -> OrderKey | None:
        """Return what an attribute such as "small" compares; None: it is no comparison."""


@dataclass(frozen=True, eq=False)
class Option:
    """One thing that a description may mean.

    Attributes:
        place: The thing or surface.
        score: How well it fits, 0 to 1.
    """

    place: Place
    score: float


@dataclass(frozen=True, eq=False)
class Grounded:
    """What the anchors of a constraint mean in one combination.

    Attributes:
        places: In the order of the constraint's anchors.
        weight: How sure that is, 0 to 1.
    """

    places: tuple[Place, ...]
    weight: float


class NothingFits(Exception):
    """A phrase fits nothing in the scene; `args[0]` is the sentence for people."""


class Grounder:
    """Finds out what descriptions mean in one scene; remembers what it found."""

    def __init__(self, scene: Scene, matcher: PhraseMatcher) -> None:
        self.scene = scene
        self.matcher = matcher
        self._known: dict[Thing, tuple[Option, ...]] = {}
        named = all(thing.name for thing in scene.objects)
        self._least = LEAST_MATCH if named else LEAST_LIKENESS
        self._in_group = IN_GROUP if named else ALIKE_GROUP
        self._least_holding = (0.5 if named else 0.1) * LEAST_RELATION

    def options(self, phrase: Thing) -> tuple[Option, ...]:
        """Return everything that a description may mean, best first.

        Raises:
            NothingFits: Nothing does; the message names the words that failed.
        """
        if phrase not in self._known:
            self._known[phrase] = self._options(phrase)
        return self._known[phrase]

    def _options(self, phrase: Thing) -> tuple[Option, ...]:
        places, scores = self._named(phrase)
        located = Places.of_objects(places)
        for constraint in phrase.constraints:
            holds = self.holds(constraint, located)
            combined = scores * holds
            if combined.max() < self._least_holding * scores.max():
                rest = describe(replace(phrase, constraints=(), orders=()))
                raise NothingFits(f"{rest} is there, but none {describe(constraint)}")
            scores = combined
        for other in phrase.others:
            scores = scores * (1 - self._fit_of(other, places))
        for order in phrase.orders:
            scores = scores * self.ranked(order, located, scores)
        ranking = np.argsort(-scores, kind="stable")
        return tuple(Option(places[i], float(scores[i])) for i in ranking if scores[i] > 1e-4)

    def _named(self, phrase: Thing) -> tuple[list[Place], Array]:
        """Return what noun and attributes fit, with scores.

        Raises:
            NothingFits: Nothing does.
        """
        places: list[Place] = list(self.scene.objects)
        scores = [self.matcher.score(phrase, thing) for thing in self.scene.objects]
        for surface in self.scene.surfaces:
            fits = self.matcher.surface(phrase.noun, surface)
            if fits > 0:
                places.append(surface)
                # The main surface comes first, and is meant where nothing else is said.
                scores.append(fits * (1.0 if surface is self.scene.surfaces[0] else 0.85))
        if not places or max(scores) < self._least:
            bare = replace(phrase, constraints=(), orders=(), others=())
            raise NothingFits(f"nothing in view looks like {describe(bare)}")
        result = np.array(scores)
        for attribute in phrase.attributes:
            key = self.matcher.relative_key(attribute)
            if key is not None:
                result *= self._relative(key, places, result)
        return places, result

    def _relative(self, key: OrderKey, places: Sequence[Place], scores: Array) -> Array:
        """Return how "large" or "short" each one is among those that fit."""
        group = scores >= self._in_group * scores.max()
        if group.sum() < 2:
            return np.ones(len(scores))
        values = measure(Key(key.value), self.scene, Places.of_objects(places))
        low, high = values[group].min(), values[group].max()
        share = (values - low) / max(high - low, 1e-9)
        return np.asarray(0.35 + 0.65 * np.clip(share, 0, 1))

    def _fit_of(self, phrase: Thing, places: Sequence[Place]) -> Array:
        try:
            options = self.options(phrase)
        except NothingFits:
            return np.zeros(len(places))
        best = options[0].score if options else 1.0
        fits = {option.place.id: option.score / best for option in options}
        return np.array([min(1.0, fits.get(place.id, 0.0)) for place in places])

    # ---- relations --------------------------------------------------------------------------

    def holds(self, constraint: Constraint, subjects: Places) -> Array:
        """Return how well a constraint holds for each place, shape (N,), 0 to 1.

        Raises:
            NothingFits: An anchor fits nothing.
        """
        scores = np.zeros(len(subjects))
        for grounded in self.groundings(constraint):
            scores = np.maximum(scores, self.holds_for(constraint, grounded, subjects))
        return scores

    def holds_for(self, constraint: Constraint, grounded: Grounded, subjects: Places) -> Array:
        """Return how well a constraint holds with these anchors, shape (N,), 0 to 1."""
        anchors = grounded.places
        if constraint.inverse:
            holding = np.array(
                [
                    self._relation(constraint, Places.of_objects(anchors), (thing,))[0]
                    for thing in subjects.things
                ]
            )
        elif any(isinstance(anchor, Viewer) for anchor in constraint.anchors):
            holding = self._to_viewer(constraint, subjects)
        elif on := region_of(constraint, anchors):
            holding = part_scores(self.scene, subjects, *on)
        else:
            marks = [
                part_as_place(self.scene, place, anchor) if isinstance(anchor, Part) else place
                for place, anchor in zip(anchors, _repeated(constraint, anchors), strict=True)
            ]
            holding = self._relation(constraint, subjects, marks)
        return grounded.weight * (1 - holding if constraint.negated else holding)

    def _relation(
        self, constraint: Constraint, subjects: Places, anchors: Sequence[Place]
    ) -> Array:
        relation, rule = constraint.relation, RULES[constraint.relation]
        if len(anchors) < rule.fewest:
            raise NothingFits(f"only one thing in view fits, too few to be {describe(constraint)}")
        distance = constraint.distance_m if rule.takes_distance else None
        for frame in (constraint.frame, Frame.VIEWER):
            try:
                return relation_scores(
                    relation, self.scene, subjects, anchors, frame=frame, distance_m=distance
                )
            except QueryError:
                # A thing without a face has no left of its own; people mean theirs then.
                if frame is Frame.VIEWER:
                    raise
        raise AssertionError("the viewer's frame suits every relation")

    def _to_viewer(self, constraint: Constraint, subjects: Places) -> Array:
        relation = constraint.relation
        if relation in (Relation.NEAR, Relation.BESIDE, Relation.AROUND):
            relation = Relation.NEAR
        if RULES[relation].fewest == 0:
            return relation_scores(relation, self.scene, subjects, ())
        if relation in (Relation.LEFT, Relation.RIGHT):
            pixels, _ = self.scene.camera.project(subjects.centers)
            middle = self.scene.camera.intrinsics.width / 2
            is_left = pixels[:, 0] < middle
            return np.where(is_left == (relation is Relation.LEFT), 1.0, 0.0)
        # Everything in view is in front of who looks.
        return np.full(len(subjects), 0.0 if relation is Relation.BEHIND else 1.0)

    # ---- anchors ----------------------------------------------------------------------------

    def groundings(self, constraint: Constraint) -> list[Grounded]:
        """Return what the anchors may mean, all combinations worth trying."""
        anchors = [a for a in constraint.anchors if not isinstance(a, Viewer)]
        if not anchors:
            return [Grounded((), 1.0)]
        phrases = [anchor.of if isinstance(anchor, Part) else anchor for anchor in anchors]
        if len(phrases) == 1:
            options = self._weighted(phrases[0])
            if constraint.relation is Relation.BETWEEN:
                return _pairs(options, phrases[0])
            if constraint.relation is Relation.AMONG:
                return [Grounded(tuple(o.place for o in options), 1.0)]
            return [Grounded((o.place,), o.score) for o in options]
        first, second = (self._weighted(phrase) for phrase in phrases[:2])
        pairs = [
            Grounded((a.place, b.place), a.score * b.score)
            for a in first
            for b in second
            if a.place.id != b.place.id
        ]
        if not pairs:
            raise NothingFits(
                f"{describe(phrases[0])} and {describe(phrases[1])} are the same thing here"
            )
        return pairs

    def grounding_of(self, constraint: Constraint, subject: Places) -> Grounded:
        """Return what the anchors mean best, given the one place that the words describe."""
        return max(
            self.groundings(constraint),
            key=lambda grounded: float(self.holds_for(constraint, grounded, subject)[0]),
        )

    def _weighted(self, phrase: Thing) -> list[Option]:
        """Return the few best meanings of an anchor; the weight falls where several fit."""
        most = max(MOST_ANCHORS, phrase.count or 0)
        options = [o for o in self.options(phrase)[:most] if o.score > 0]
        if not options:
            raise NothingFits(f"nothing in view fits {describe(phrase)}")
        best = options[0].score
        likely = [option for option in options if option.score >= 0.35 * best]
        if phrase.quantifier is Quantifier.ALL:
            return [Option(option.place, 1.0) for option in likely]
        total = sum((option.score / best) ** 3 for option in likely)
        weights = [(o.score / best) * ((o.score / best) ** 3 / total) ** 0.25 for o in likely]
        return [Option(o.place, w * best**0.25) for o, w in zip(likely, weights, strict=True)]

    # ---- superlatives -----------------------------------------------------------------------

    def ranked(self, order: Order, places: Places, scores: Array) -> Array:
        """Return 1 for the place of the wanted rank among those that fit, less for the others."""
        if order.anchor is None or isinstance(order.anchor, Viewer):
            return self._by_rank(self.values(order, places, None), scores, order.rank)
        phrase = order.anchor.of if isinstance(order.anchor, Part) else order.anchor
        result = np.zeros(len(scores))
        for option in self._weighted(phrase):
            mark = option.place
            itself = places.among([mark]) if places.things else np.zeros(len(scores), bool)
            if isinstance(order.anchor, Part):
                mark = part_as_place(self.scene, mark, order.anchor)
            values = self.values(order, places, mark)
            rest = np.where(itself, 0.0, scores)
            result = np.maximum(result, option.score * self._by_rank(values, rest, order.rank))
        return result

    def values(self, order: Order, places: Places, anchor: Place | None) -> Array:
        """Return by how much each place is what a superlative asks for, shape (N,)."""
        if order.key is OrderKey.MIDDLE:
            across = measure(Key.LEFT, self.scene, places)
            return -np.abs(across - np.median(across))
        return measure(Key(order.key.value), self.scene, places, anchor)

    def _by_rank(self, values: Array, scores: Array, rank: int) -> Array:
        best = scores.max()
        if best <= 0:
            return np.zeros(len(scores))
        group = np.flatnonzero(scores >= self._in_group * best)
        if len(group) < rank:
            # Some of a row may be known badly.
            group = np.flatnonzero(scores >= LEAST_IN_ROW * best)
        if len(group) < rank:
            raise NothingFits(f"only {len(group)} fit, so there is no number {rank} among them")
        ordered = group[np.argsort(-values[group], kind="stable")]
        result = np.full(len(scores), NEXT_RANK**2 / 2)
        for position, index in enumerate(ordered, 1):
            result[index] = NEXT_RANK ** abs(position - rank)
        return result


def anchor_phrases(constraint: Constraint, grounded: Grounded) -> list[Thing]:
    """Return the phrase behind each place of a grounding, of a part that of its thing."""
    phrases = [a.of if isinstance(a, Part) else a for a in constraint.anchors]
    described = [phrase for phrase in phrases if isinstance(phrase, Thing)]
    many = len(described) != len(grounded.places)
    return described[:1] * len(grounded.places) if many else described


def _repeated(constraint: Constraint, places: Sequence[Place]) -> list[Phrase]:
    """Return the phrase behind each place; a plural phrase stands for several."""
    phrases = list(constraint.anchors)
    return phrases if len(phrases) == len(places) else [phrases[0]] * len(places)


def _pairs(options: Sequence[Option], phrase: Thing) -> list[Grounded]:
    pairs = [Grounded((a.place, b.place), a.score * b.score) for a, b in combinations(options, 2)]
    if not pairs:
        raise NothingFits(f"there is only one of {describe(phrase)}, so nothing is between them")
    return pairs
