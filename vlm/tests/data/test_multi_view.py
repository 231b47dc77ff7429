# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Questions about two pictures of a scene are true by plain geometry of both cameras."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from roborefer_vlm.data.examples import Example, Phrasings, Rejected, Wish
from roborefer_vlm.data.questions.clear_motion import moved_sideways
from roborefer_vlm.data.questions.multi_view import MultiViewMaker
from roborefer_vlm.data.views import Shot
from roborefer_vlm.scenes.relations import Relation
from seen_tables import camera, random_shot, shot, thing, view

FEW, MANY = 50, 200


def _pair(seed, things=None):
    """Two looks at a random table, not always at all of it."""
    rng = np.random.default_rng([seed, 5])
    things = things or random_shot(seed, count=6).views[0].scene.objects
    views = []
    for i in range(2):
        around, away = rng.uniform(-0.9, 0.9), rng.uniform(0.5, 0.9)
        eye = (0.75 - away * np.cos(around), away * np.sin(around), rng.uniform(0.4, 0.8))
        target = (rng.uniform(0.6, 0.9), rng.uniform(-0.25, 0.25), 0)
        views.append(view(*things, eye=camera(eye, target), key=f"two-{seed}-{i}"))
    return Shot(tuple(views))


def _made(pair, seed, **wish):
    found = MultiViewMaker().make(pair, np.random.default_rng([seed, 4]), Wish(**wish))
    return [one for one in found if isinstance(one, Example)]


def _asked(shots, most):
    found = []
    for seed in range(shots):
        pair = _pair(seed)
        for example in _made(pair, seed, most=most):
            found.append(([pair.views[i] for i in example.views], example))
    return found


@pytest.fixture(scope="module")
def asked():
    """(views shown, example) of some tables."""
    return _asked(FEW, 5)


def _sort(asked, *sorts):
    return [(views, e) for views, e in asked if e.facts["sort"] in sorts]


def _counted(seen, phrase):
    """Return the id that a phrase with one place counted from left, right or the camera means.

    None for phrases of another sort.
    """
    orders, extra = (
        phrase.get("orders", []),
        set(phrase)
        - {
            "node",
            "noun",
            "attributes",
            "orders",
        },
    )
    if extra or len(orders) != 1 or orders[0].get("anchor"):
        return None
    eye = seen.scene.camera
    measures = {
        "left": lambda item: (
            eye.to_optical(item.box.center[None])[0, 0]
            / eye.to_optical(item.box.center[None])[0, 2]
        ),
        "near": lambda item: np.linalg.norm(item.box.center - eye.position),
    }
    measures["right"] = lambda item: -measures["left"](item)
    measures["far"] = lambda item: -measures["near"](item)
    if orders[0]["key"] not in measures:
        return None
    row = [
        item
        for item in seen.scene.objects
        if phrase["noun"] in (item.name, "object")
        and set(phrase.get("attributes", ())) <= set(item.colors)
    ]
    row.sort(key=measures[orders[0]["key"]])
    return row[orders[0].get("rank", 1) - 1].id


def test_a_match_points_at_what_the_words_mean_in_the_other_picture(asked):
    counted = 0
    for views, example in _sort(asked, "match"):
        first, second = views
        height, width = first.rgb.shape[:2]
        x, y = example.point
        target = example.facts["target"]
        assert first.scene.object(target).mask[int(y * height), int(x * width)]
        assert second.scene.object(target).mask.any()
        assert example.answer == f"[({x:.3f}, {y:.3f})]"
        meant = _counted(second, example.facts["phrases"][0])
        if meant is not None:
            assert meant == target
            counted += 1
    assert counted > 15


def test_two_phrases_are_the_same_thing_just_when_the_answer_is_yes(asked):
    counted = 0
    for views, example in _sort(asked, "same"):
        facts = example.facts
        holds = facts["target"] == facts["anchors"][0]
        assert facts["holds"] == holds
        meant = [_counted(v, p) for v, p in zip(views, facts["phrases"], strict=True)]
        for found, number in zip(meant, (facts["target"], facts["anchors"][0]), strict=True):
            if found is not None:
                assert found == number
                counted += 1
        if example.answer.startswith("("):
            option = example.question.split(example.answer)[1].split()[0].strip(".")
            assert option == ("yes" if holds else "no")
        else:
            assert example.answer == ("yes" if holds else "no")
    assert counted > 15


def test_what_is_said_to_be_in_both_pictures_is_and_the_others_are_not(asked):
    found = Counter()
    for views, example in _sort(asked, "both", "once"):
        facts = example.facts
        for number in facts["options"]:
            shown = sum(bool(v.scene.object(number).mask.any()) for v in views)
            right = 2 if facts["sort"] == "both" else 1
            assert (shown == right) == (number == facts["target"])
        place = facts["options"].index(facts["target"])
        if example.answer.startswith("("):
            assert example.answer == f"({'ABC'[place]})"
        else:
            assert example.answer in example.question
        found[facts["sort"]] += 1
    assert min(found["both"], found["once"]) >= 1


def test_the_camera_moved_to_the_side_that_is_told(asked):
    found = Counter()
    for views, example in _sort(asked, "motion"):
        first, second = (v.scene.camera for v in views)
        # Columns of the first picture grow to the right.
        step = first.to_optical(second.position[None])[0, 0]
        side = "right" if step > 0 else "left"
        answer = example.answer
        if answer.startswith("("):
            answer = example.question.split(answer)[1].split()[0]
        assert answer == side == example.facts["relation"]
        found[side] += 1
    assert min(found.values()) > 8


@pytest.mark.slow
def test_answers_are_balanced():
    asked = _asked(MANY, 3)
    same = [e.facts["holds"] for _, e in _sort(asked, "same")]
    motion = [e.facts["relation"] == "left" for _, e in _sort(asked, "motion")]
    orders = [e.views == (0, 1) for _, e in asked]
    letters = [e.answer == "(A)" for _, e in asked if e.answer in ("(A)", "(B)")]

    for name, throws in (("same", same), ("motion", motion), ("order", orders), ("(A)", letters)):
        # Three standard deviations of a fair coin.
        assert abs(sum(throws) - len(throws) / 2) < 1.5 * np.sqrt(len(throws)), name
        assert len(throws) > 50, name


def test_most_matches_need_both_pictures(asked):
    """The words alone, taken of the first picture, mostly mean something else there."""
    misled = [
        _counted(views[0], e.facts["phrases"][0]) != e.facts["target"]
        for views, e in _sort(asked, "match")
        if _counted(views[1], e.facts["phrases"][0]) is not None
    ]

    assert np.mean(misled) > 0.4


def test_the_same_shot_and_seed_give_the_same_questions():
    assert _made(_pair(3), 1, most=6) == _made(_pair(3), 1, most=6)
    assert _made(_pair(3), 1, most=6) != _made(_pair(3), 2, most=6)


def test_held_out_wordings_are_apart_from_those_of_training():
    names = {
        e.phrasing.split("/")[0]
        for seed in range(12)
        for e in _made(_pair(seed), seed, phrasings=Phrasings.HELD_OUT)
    }

    assert {"held_out_again", "held_out_called", "held_out_stand"} <= names
    assert all(name.startswith("held_out") for name in names)


def test_a_single_view_is_not_asked_about():
    alone = shot(thing(1, "can", 0.7, 0))

    found = list(MultiViewMaker().make(alone, np.random.default_rng(0), Wish()))

    assert found == [Rejected(MultiViewMaker().kind, "one view only")]


def _moved(eye, target, base=((-0.1, 0, 0.7), (0.75, 0, 0))):
    things = (thing(1, "can", 0.75, 0),)
    first, second = view(*things, eye=camera(*base)), view(*things, eye=camera(eye, target))
    found = moved_sideways(first.scene, second.scene)
    return None if found is None else found.side


@pytest.mark.parametrize(
    ("eye", "target", "side"),
    [
        ((-0.1, 0.3, 0.7), (0.75, 0.3, 0), Relation.LEFT),
        ((-0.1, -0.3, 0.7), (0.75, -0.3, 0), Relation.RIGHT),
        # Around the table, looking back at it.
        ((0.1, 0.5, 0.7), (0.75, 0, 0), Relation.LEFT),
        # Only turned, a little aside, mostly nearer, from the other end of the table.
        ((-0.1, 0.0, 0.7), (0.75, 0.5, 0), None),
        ((-0.1, 0.05, 0.7), (0.75, 0.05, 0), None),
        ((0.3, 0.2, 0.7), (0.75, 0, 0), None),
        ((1.5, 0.3, 0.7), (0.75, 0, 0), None),
    ],
)
def test_only_a_plain_step_sideways_is_told(eye, target, side):
    assert _moved(eye, target) == side
