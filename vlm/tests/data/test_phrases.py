# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from built_views import ALL_FACTS, random_view, shot, thing, view
from plain_geometry import Plain
from roborefer_vlm.data.examples import Example, Wish
from roborefer_vlm.data.meaning import fits, margin, means_only, steps_of
from roborefer_vlm.data.phrases import constraints_in, referring
from roborefer_vlm.data.questions.location import LocationMaker
from roborefer_vlm.data.truth import Truth
from roborefer_vlm.data.views import Fact
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.program import Constraint, Order, OrderKey, Thing
from roborefer_vlm.scenes.relations import Relation


def phrases_of(truth, seed=0, each=(1, 2, 3, 4, 5)):
    rng = np.random.default_rng(seed)
    for steps in each:
        for number in truth.ids:
            for phrase in referring(truth, number, rng, steps):
                yield steps, number, phrase


def test_every_phrase_is_proven_and_has_the_steps_asked_for():
    found = Counter()
    for seed in range(2):
        truth = Truth(random_view(seed))
        for steps, number, phrase in phrases_of(truth, seed):
            assert means_only(truth, phrase, number)
            assert steps_of(phrase) == steps
            assert margin(truth, phrase, number) > 0.3
            found[steps] += 1

    assert all(found[steps] > 2 for steps in (1, 2, 3, 4, 5)), found


def test_no_relation_is_said_that_excludes_nothing():
    for seed in range(2):
        truth = Truth(random_view(seed))
        for _, number, phrase in phrases_of(truth, seed, (2, 3, 4)):
            for left_out in phrase.constraints:
                rest = tuple(c for c in phrase.constraints if c is not left_out)
                shorter = Thing(
                    phrase.noun, phrase.attributes, constraints=rest, orders=phrase.orders
                )
                assert not means_only(truth, shorter, number)


def test_a_hidden_rival_makes_a_noun_ambiguous():
    hidden = view(thing(1, "box", 0.8, 0.0), thing(2, "block", 0.88, 0.0))
    both = view(
        thing(1, "box", 0.8, 0.0), thing(2, "block", 0.88, 0.0), thing(3, "block", 0.8, 0.25)
    )

    assert not any(True for _, number, _ in phrases_of(Truth(hidden)) if number == 2)
    assert not means_only(Truth(both), Thing("block"), 3)


def test_an_unclear_rival_makes_a_relation_ambiguous():
    truth = Truth(
        view(
            thing(1, "mug", 0.9, 0.0),
            thing(2, "block", 0.9, 0.25),
            thing(3, "block", 1.12, 0.14),
        )
    )
    phrase = Thing("block", constraints=(Constraint(Relation.LEFT, (Thing("mug"),)),))

    assert list(fits(truth, phrase)) == [0, 1, 0.5]
    assert not means_only(truth, phrase, 2)


def test_an_anchor_that_could_be_two_things_means_nothing():
    truth = Truth(
        view(
            thing(1, "mug", 0.9, 0.0),
            thing(2, "mug", 0.9, -0.3),
            thing(3, "block", 0.9, 0.25),
        )
    )
    phrase = Thing("block", constraints=(Constraint(Relation.LEFT, (Thing("mug"),)),))

    assert fits(truth, phrase)[2] == 0.5


def test_nothing_is_referred_to_where_not_all_things_are_known():
    made = random_view(1)
    partial = type(made)(
        **{
            **{name: getattr(made, name) for name in made.__dataclass_fields__},
            "trusts": ALL_FACTS - {Fact.COMPLETE},
        }
    )

    assert not list(phrases_of(Truth(partial)))


@pytest.mark.parametrize(
    ("lacking", "frames", "relations"),
    [
        (Fact.FRONTS, {Frame.OBJECT}, {Relation.FACE, Relation.BACK}),
        (Fact.METRIC, set(), {Relation.DISTANCE}),
        (Fact.BOXES, {Frame.OBJECT, Frame.IMAGE}, set(Relation) - {Relation.LEFT, Relation.RIGHT}),
    ],
)
def test_nothing_is_told_that_the_source_does_not_vouch_for(lacking, frames, relations):
    for seed in range(2):
        made = random_view(seed)
        fields = {name: getattr(made, name) for name in made.__dataclass_fields__}
        truth = Truth(type(made)(**{**fields, "trusts": ALL_FACTS - {lacking}}))
        for _, _, phrase in phrases_of(truth, seed, (2, 4)):
            for constraint in constraints_in(phrase):
                assert constraint.frame not in frames
                assert constraint.relation not in relations
                assert lacking is not Fact.METRIC or constraint.distance_m is None


def test_steps_are_counted_as_the_benchmark_does():
    mug, cup = Thing("mug"), Thing("cup")
    chair = Thing("chair", orders=(Order(OrderKey.LEFT, 3),))
    between = Thing("block", constraints=(Constraint(Relation.BETWEEN, (mug, cup)),))
    left = Thing("block", constraints=(Constraint(Relation.LEFT, (mug,)),))
    chain = Thing("bowl", constraints=(Constraint(Relation.BEHIND, (left,)),))
    on_table = Thing("bowl", constraints=(Constraint(Relation.ON, (Thing("table"),)),))

    assert steps_of(chair) == 1
    assert steps_of(on_table) == 1
    assert steps_of(between) == 3
    assert steps_of(left) == 2
    assert steps_of(chain) == 4
    assert steps_of(Thing("can", constraints=(Constraint(Relation.LEFT, (chain,)),))) == 5


def test_the_same_generator_gives_the_same_phrases():
    first = list(phrases_of(Truth(random_view(4)), 9))
    second = list(phrases_of(Truth(random_view(4)), 9))

    assert first == second


@pytest.mark.parametrize("seeds", [range(6), pytest.param(range(50), marks=pytest.mark.slow)])
def test_plain_geometry_agrees(seeds):
    checked = 0
    for seed in seeds:
        made = random_view(seed)
        plain = Plain(made)
        for example in LocationMaker().make(
            shot(made), np.random.default_rng([seed, 1]), Wish(most=4)
        ):
            if not isinstance(example, Example):
                continue
            phrase = example.facts["program"]["targets"][0]
            phrase = phrase["of"] if phrase["node"] == "part" else phrase
            target = example.facts["target"]
            told = f"seed {seed}: {example.question} {example.facts}"
            assert target in plain.meant(phrase), told
            assert set(plain.clearly_meant(phrase)) <= {target}, told
            mask = made.scene.objects[target - 1].mask
            x, y = example.point
            assert mask[int(y * mask.shape[0]), int(x * mask.shape[1])], told
            checked += 1

    assert checked > 3 * len(seeds)
