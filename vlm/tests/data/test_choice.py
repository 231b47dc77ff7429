# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Choices are true by plain geometry, their options come in no order, and boxes mark one thing."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from roborefer_vlm.data.examples import Example, Phrasings, Rejected, Wish
from roborefer_vlm.data.meaning import means_only
from roborefer_vlm.data.program_json import program_from_json
from roborefer_vlm.data.questions.choice import ChoiceMaker
from roborefer_vlm.data.questions.clear_choice import clearly_first
from roborefer_vlm.data.truth import Truth
from roborefer_vlm.data.views import Fact, Shot
from roborefer_vlm.scenes.program import OrderKey
from seen_tables import EVERYTHING, random_shot, shot, thing, view

FEW, MANY = 60, 200


def _made(shot, seed, **wish):
    found = ChoiceMaker().make(shot, np.random.default_rng([seed, 3]), Wish(**wish))
    return [one for one in found if isinstance(one, Example)]


def _asked(shots, most):
    found = []
    for seed in range(shots):
        taken = random_shot(seed)
        found += [(taken.views[0], example) for example in _made(taken, seed, most=most)]
    return found


@pytest.fixture(scope="module")
def asked():
    """(view, example) of some random tables."""
    return _asked(FEW, 6)


def _columns(seen, item):
    pixels, _ = seen.scene.camera.project(item.box.corners)
    return pixels[:, 0].min(), pixels[:, 0].max()


def _sight(seen, item):
    return np.linalg.norm(item.box.center - seen.scene.camera.position)


def _across(seen, item):
    """Width as seen: the span of the corners along the picture's horizontal axis."""
    return np.ptp(item.box.corners @ seen.scene.camera.t_scene_optical[:3, 0])


# More is larger; for each word its opposite is the negative.
PLAIN = {
    "right": lambda seen, item: np.mean(_columns(seen, item)),
    "far": _sight,
    "high": lambda seen, item: item.box.center[2],
    "tall": lambda seen, item: item.box.size[2],
    "big": lambda seen, item: np.prod(item.box.size),
    "wide": _across,
}
OPPOSITE = {
    "left": "right",
    "near": "far",
    "low": "high",
    "short": "tall",
    "small": "big",
    "narrow": "wide",
}


def test_the_answer_has_most_of_what_was_asked(asked):
    kinds = Counter()
    for seen, example in asked:
        facts = example.facts
        if facts["anchors"]:
            continue
        word = facts["relation"]
        sign = -1 if word in OPPOSITE else 1
        plain = PLAIN[OPPOSITE.get(word, word)]
        values = {i: sign * plain(seen, seen.scene.object(i)) for i in facts["options"]}
        best = values.pop(facts["target"])
        assert best > max(values.values()), (example.question, facts)
        kinds[word] += 1
    assert set(kinds) == {*PLAIN, *OPPOSITE}


def test_near_and_far_from_a_thing_is_by_the_gap_between_both(asked):
    found = 0
    for seen, example in asked:
        if not example.facts["anchors"]:
            continue
        (anchor,) = (seen.scene.object(i) for i in example.facts["anchors"])
        away = {
            i: np.linalg.norm(seen.scene.object(i).box.center - anchor.box.center)
            for i in example.facts["options"]
        }
        pick = min if example.facts["relation"] == "near" else max
        assert pick(away, key=away.__getitem__) == example.facts["target"]
        assert anchor.id not in away
        found += 1
    assert found > 10


def test_the_answer_names_the_place_of_the_target(asked):
    for _, example in asked:
        place = example.facts["options"].index(example.facts["target"])
        if example.answer.startswith("("):
            assert example.answer == f"({'ABCD'[place]})"
            count = len(set(re.findall(r"\([A-D]\)", example.question)))
            assert count == len(example.facts["options"])
        else:
            assert example.answer.lower() in example.question.lower()


def test_names_of_options_mean_them_alone(asked):
    checked = 0
    for seen, example in asked[:150]:
        truth = Truth(seen)
        ids = [*example.facts["options"], *example.facts["anchors"]]
        for number, phrase in zip(ids, example.facts.get("phrases", ()), strict=False):
            assert means_only(truth, program_from_json(phrase), number)
            checked += 1
    assert checked > 100


def test_a_mark_is_the_tight_box_of_its_thing_which_fills_most_of_it(asked):
    marked = 0
    for seen, example in asked:
        marks = example.facts.get("marks", ())
        for number, mark in zip(example.facts["options"], marks, strict=False):
            left, top, right, bottom = mark["box"]
            rows, columns = np.nonzero(seen.scene.object(number).mask)
            assert (columns.min(), rows.min(), columns.max(), rows.max()) == tuple(mark["box"])
            inside = [
                np.count_nonzero(t.mask[top : bottom + 1, left : right + 1])
                for t in seen.scene.objects
            ]
            assert len(rows) >= 0.7 * sum(inside)
        if marks:
            marked += 1
            assert len({tuple(mark["color"]) for mark in marks}) == len(marks)
            lettered = example.answer.startswith("(")
            letters = list("ABCD"[: len(marks)]) if lettered else [""] * len(marks)
            assert [mark["label"] for mark in marks] == letters
    assert marked > FEW


@pytest.mark.slow
def test_places_words_and_opposites_are_balanced():
    asked = _asked(MANY, 3)
    pairs = [example for _, example in asked if len(example.facts["options"]) == 2]
    first = sum(e.facts["options"][0] == e.facts["target"] for e in pairs)
    colors = Counter(
        tuple(e.facts["marks"][e.facts["options"].index(e.facts["target"])]["color"])
        for _, e in asked
        if "marks" in e.facts
    )
    words = Counter(example.facts["relation"] for _, example in asked)

    # Three standard deviations of a fair coin over so many throws.
    assert abs(first - len(pairs) / 2) < 1.5 * np.sqrt(len(pairs))
    total = sum(colors.values())
    assert max(abs(n - total / 6) for n in colors.values()) < 3.5 * np.sqrt(total * 5 / 36)
    for word, opposite in OPPOSITE.items():
        both = words[word] + words[opposite]
        assert abs(words[word] - both / 2) < 1.5 * np.sqrt(both), (word, words)


def test_the_same_shot_and_seed_give_the_same_choices():
    first, second = _made(random_shot(5), 1, most=6), _made(random_shot(5), 1, most=6)

    assert first == second
    assert first != _made(random_shot(5), 2, most=6)


def test_held_out_wordings_are_apart_from_those_of_training():
    held = [
        e.phrasing
        for seed in range(20)
        for e in _made(random_shot(seed), seed, phrasings=Phrasings.HELD_OUT)
    ]

    assert len(set(held)) == 4
    assert all(name.startswith("held_out") for name in held)


def test_without_a_complete_scene_only_marked_things_are_compared():
    trusts = EVERYTHING - {Fact.COMPLETE}

    made = [e for seed in range(10) for e in _made(random_shot(seed, trusts=trusts), seed)]

    assert len(made) > 20
    assert all(e.facts["marks"] and not e.facts["anchors"] for e in made)


def test_things_without_a_name_are_marked_only_where_nothing_has_one():
    taken = random_shot(4).views[0]
    one = taken.scene.objects[0].id
    partly = replace(taken, nouns={n: said for n, said in taken.nouns.items() if n != one})
    bare = replace(taken, nouns={}, trusts=taken.trusts - {Fact.COMPLETE})

    some, none = _made(Shot((partly,)), 1, most=8), _made(Shot((bare,)), 1, most=8)

    assert len(some) > 3
    assert all(one not in e.facts["options"] for e in some)
    assert len(none) > 3
    assert all("marks" in e.facts for e in none)


def test_without_gravity_heights_are_not_compared():
    made = [
        e
        for seed in range(20)
        for e in _made(random_shot(seed, trusts={Fact.COMPLETE, Fact.COLORS}), seed)
    ]

    assert {e.facts["relation"] for e in made} == {"left", "right", "near", "far"}


def _first(key, *things):
    found = clearly_first(Truth(view(*things)), key, [t.id for t in things])
    return None if found is None else found.id


def test_what_is_only_a_little_taller_is_not_asked_about():
    low = thing(1, "can", 0.7, 0.2, (0.07, 0.07, 0.100))

    assert _first(OrderKey.TALL, low, thing(2, "mug", 0.7, -0.2, (0.07, 0.07, 0.112))) is None
    assert _first(OrderKey.TALL, low, thing(2, "mug", 0.7, -0.2, (0.07, 0.07, 0.14))) == 2


def test_a_taller_thing_on_the_same_table_is_not_higher_up():
    tall = thing(1, "bottle", 0.7, 0.2, (0.07, 0.07, 0.3))
    low = thing(2, "can", 0.7, -0.2)

    assert _first(OrderKey.HIGH, tall, low) is None
    assert _first(OrderKey.HIGH, low, thing(3, "cup", 0.7, 0.1, z=0.15)) == 3


def test_a_thing_within_the_width_of_another_is_not_left_of_it():
    wide = thing(1, "tray", 0.8, 0.0, (0.1, 0.5, 0.02))
    within = thing(2, "cup", 0.6, 0.12)

    assert _first(OrderKey.LEFT, wide, within) is None
    assert _first(OrderKey.LEFT, wide, thing(2, "cup", 0.6, 0.3)) == 2


def test_a_long_and_slim_thing_is_neither_wider_nor_narrower():
    away = thing(1, "stick", 0.7, 0.2, (0.25, 0.05, 0.05))
    can = thing(2, "can", 0.7, -0.1, (0.09, 0.09, 0.1))
    across = thing(1, "stick", 0.7, 0.2, (0.05, 0.25, 0.05))

    assert _first(OrderKey.WIDE, away, can) is None
    assert _first(OrderKey.WIDE, across, can) is None
    assert _first(OrderKey.WIDE, thing(1, "tray", 0.7, 0.25, (0.2, 0.25, 0.05)), can) == 1


def test_the_size_of_what_leaves_the_picture_is_not_compared(asked):
    for seen, example in asked:
        if example.facts["relation"] not in ("tall", "short", "big", "small", "wide", "narrow"):
            continue
        for number in example.facts["options"]:
            pixels, _ = seen.scene.camera.project(seen.scene.object(number).box.corners)
            height, width = seen.rgb.shape[:2]
            assert (pixels >= -0.5).all()
            assert (pixels < (width - 0.5, height - 0.5)).all()


def test_a_single_thing_leaves_nothing_to_choose():
    alone = shot(thing(1, "can", 0.7, 0))

    found = list(ChoiceMaker().make(alone, np.random.default_rng(0), Wish()))

    assert found
    assert {type(one) for one in found} == {Rejected}
    assert {one.reason for one in found} == {"too few things"}
