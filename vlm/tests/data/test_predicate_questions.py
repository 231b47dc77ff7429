# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Yes/no questions are true by plain geometry, and neither answer can be guessed."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest
from roborefer_vlm.data.examples import Example, Rejected, Wish
from roborefer_vlm.data.questions.compatibility import CompatibilityMaker
from roborefer_vlm.data.questions.configuration import ConfigurationMaker
from roborefer_vlm.data.questions.placement import PlacementMaker
from roborefer_vlm.data.questions.predicate import PredicateMaker
from roborefer_vlm.data.views import Fact
from seen_tables import random_shot, shot, thing

MAKERS = (PredicateMaker, ConfigurationMaker, CompatibilityMaker, PlacementMaker)


def made(of, seed=0, most=8, maker=PredicateMaker):
    return list(maker().make(of, np.random.default_rng([seed, 5]), Wish(most)))


def examples(of, seed=0, most=8, maker=PredicateMaker):
    return [one for one in made(of, seed, most, maker) if isinstance(one, Example)]


def plain_value(scene, facts):
    """Return something that is above 0 if the relation of some facts holds."""
    things = {t.id: t for t in scene.objects}
    a, b = things[facts["target"]].box, things[facts["anchors"][0]].box
    pose = scene.camera.t_scene_optical
    step = a.center - b.center
    relation = facts["relation"]
    if relation in ("nearer_than", "farther_than"):
        to = pose[:3, 3] if facts["to"] is None else things[facts["to"]].box.center
        nearer = np.linalg.norm(b.center - to) - np.linalg.norm(a.center - to)
        return nearer if relation == "nearer_than" else -nearer
    if facts["frame"] == "object":
        front = things[facts["anchors"][0]].front
        left = np.array([-front[1], front[0], 0])
    elif facts["frame"] == "image":
        seen = [pose[:3, :3].T @ (box.center - pose[:3, 3]) for box in (a, b)]
        rows = [point[1] / point[2] for point in seen]
        return {"above": rows[1] - rows[0], "below": rows[0] - rows[1]}[relation]
    else:
        left, front = -pose[:3, 0], -pose[:3, 2] * (1, 1, 0)
    return {
        "left": step @ left,
        "right": -step @ left,
        "front": step @ front,
        "behind": -step @ front,
        "above": step[2] - 0.02,
        "below": -step[2] - 0.02,
        "tall": a.size[2] - b.size[2],
        "short": b.size[2] - a.size[2],
        "wide": a.size[:2].max() - b.size[:2].max(),
        "thin": b.size[:2].max() - a.size[:2].max(),
    }.get(relation)


@pytest.mark.parametrize("seed", range(12))
def test_answers_agree_with_plain_geometry(seed):
    of = random_shot(seed)
    checked = 0

    for one in examples(of, seed):
        facts = one.facts
        if facts.get("asked") == "existence":
            continue
        value = plain_value(of.views[0].scene, facts)
        # Distances are between surfaces, so comparing centres proves only what is plain.
        if value is None or (facts["relation"].endswith("_than") and abs(value) < 0.1):
            continue
        holds = facts["holds"] != facts.get("negated", False)
        if holds or facts["relation"] in ("tall", "short", "wide", "thin", "nearer_than"):
            assert (value > 0) == holds, one.question
            checked += 1
        else:
            # Not left of it can be beside, before or behind it.
            assert value < 0.15, one.question
            checked += 1

    assert checked


@pytest.mark.parametrize("seed", range(6))
def test_existence_is_true_of_what_is_there_and_of_nothing_else(seed):
    of = random_shot(seed)
    for one in examples(of, seed, 12):
        if one.facts.get("asked") != "existence" or one.facts["relation"]:
            continue
        wanted = one.facts["program"]["things"][0]
        found = [
            t
            for t in of.views[0].scene.objects
            if t.name == wanted["noun"] and wanted["attributes"][0] in t.colors
        ]
        assert bool(found) == (one.facts["holds"] != one.facts["negated"])


def test_things_of_an_answer_are_named_without_it():
    for seed in range(10):
        for one in examples(random_shot(seed), seed):
            if one.facts["relation"] in ("left", "right"):
                assert "most" not in one.question, one.question
                assert "from the left" not in one.question
            if one.facts["relation"] in ("tall", "short", "wide", "thin"):
                assert "est object" not in one.question, one.question


def test_flat_sources_are_asked_about_left_right_and_nearness_only():
    trusts = frozenset({Fact.COMPLETE, Fact.COLORS})
    known = {"left", "right", "nearer_than", "farther_than", None}
    for seed in range(8):
        for one in examples(random_shot(seed, trusts=trusts), seed):
            assert one.facts["relation"] in known


def test_where_only_one_answer_is_possible_nothing_is_asked():
    of = shot(thing(1, "mug", 0.75, 0.0))

    for maker in MAKERS[:3]:
        results = made(of, maker=maker)
        assert results
        assert all(isinstance(one, Rejected) for one in results)


@pytest.mark.parametrize("maker", MAKERS)
def test_the_same_seed_makes_the_same_in_any_order_and_process(maker):
    shots = [random_shot(seed) for seed in range(3)]
    copy = pickle.loads(pickle.dumps(maker()))

    forward = [made(of, i, 3, maker) for i, of in enumerate(shots)]
    backward = [
        list(copy.make(random_shot(i), np.random.default_rng([i, 5]), Wish(3))) for i in (2, 1, 0)
    ]

    assert forward == backward[::-1]


@pytest.mark.parametrize("maker", MAKERS)
def test_rejections_say_why_in_fixed_words_and_ids_are_unique(maker):
    results = [one for seed in range(6) for one in made(random_shot(seed), seed, 4, maker)]

    reasons = {one.reason for one in results if isinstance(one, Rejected)}
    ids = [one.id for one in results if isinstance(one, Example)]
    assert all(reason and not any(c.isdigit() for c in reason) for reason in reasons)
    assert len(ids) == len(set(ids)) > 10


def test_no_more_is_made_than_wished_for():
    for maker in MAKERS:
        assert len(examples(random_shot(1), 0, 2, maker)) <= 2
        assert made(random_shot(1), 0, 0, maker) == []


@pytest.mark.slow
@pytest.mark.parametrize("maker", MAKERS[:3])
def test_yes_and_no_come_about_equally_often_in_every_kind(maker):
    answers, by_relation = Counter(), {}
    for seed in range(300):
        for one in examples(random_shot(seed), seed, 4, maker):
            holds = one.facts["holds"]
            answers[holds] += 1
            by_relation.setdefault(one.facts["relation"], Counter())[holds] += 1

    share = answers[True] / answers.total()
    assert answers.total() > 800
    assert 0.45 <= share <= 0.55
    for relation, counts in by_relation.items():
        # Three standard deviations of as many coins.
        off = abs(counts[True] - counts.total() / 2)
        assert off <= 1.5 * np.sqrt(counts.total()) + 1, relation
