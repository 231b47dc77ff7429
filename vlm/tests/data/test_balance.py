# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Answers are drawn evenly, and what was drawn is counted."""

import json
from collections import Counter

import numpy as np
import pytest
from roborefer_vlm.data.balance import Balance, Draw, answer_class
from roborefer_vlm.data.examples import Example, Kind
from roborefer_vlm.exceptions import RecordError


def example(answer, point=None, **facts):
    return Example("a", Kind.PREDICATE, (0,), "Is it?", answer, point=point, facts=facts)


def test_both_answers_come_about_equally_often_however_many_cases_each_has():
    draw = Draw(np.random.default_rng(3))

    answers = [draw.either(["yes"], ["no"] * 50)[0] for _ in range(2000)]

    # Three standard deviations of 2,000 coins are 3.4 %.
    assert 0.466 < np.mean(answers) < 0.534


def test_a_question_that_has_only_one_answer_here_is_not_asked():
    draw = Draw(np.random.default_rng(0))

    assert draw.either(["yes"], []) is None
    assert draw.either([], ["no"]) is None


def test_the_right_option_stands_at_every_place_equally_often_and_none_is_lost():
    draw = Draw(np.random.default_rng(5))

    drawn = [draw.among("right", ["x", "y", "z"]) for _ in range(2000)]

    assert all(options[place] == "right" for options, place in drawn)
    assert all(sorted(options) == ["right", "x", "y", "z"] for options, _ in drawn)
    counts = Counter(place for _, place in drawn)
    assert min(counts.values()) > 420
    assert max(counts.values()) < 580


def test_the_same_seed_draws_the_same():
    first, second = (Draw(np.random.default_rng([7, 2])) for _ in range(2))

    assert first.order(range(20)) == second.order(range(20))
    assert first.among(0, range(1, 9)) == second.among(0, range(1, 9))


@pytest.mark.parametrize(
    ("answer", "point", "expected"),
    [
        ("Yes.", None, "yes"),
        ("(B)", None, "(b)"),
        ("0.42 m", None, "number"),
        ("3", None, "number"),
        ("the red mug", None, "words"),
        ("[(0.100, 0.200)]", (0.1, 0.2), "point"),
    ],
)
def test_answers_are_sorted_into_classes(answer, point, expected):
    assert answer_class(example(answer, point)) == expected


def test_counts_survive_json_and_merging():
    balance, other = Balance(), Balance()
    balance.add(example("yes", relation="left", frame="viewer"))
    balance.add(example("no", relation="left", frame="object"))
    other.add(
        example(
            "[(0.5, 0.5)]",
            (0.5, 0.5),
            constraints=[{"relation": "left", "frame": "viewer"}, {"relation": "near"}],
        )
    )

    balance.merge(other)
    table = json.loads(json.dumps(balance.to_json()))["predicate"]

    assert table["answers"] == {"no": 1, "point": 1, "yes": 1}
    assert table["relations"] == {"left": 3, "near": 1}
    assert table["frames"] == {"object": 1, "viewer": 2}
    assert table["answers_by_relation"]["left: yes"] == 1
    assert Balance.from_json(balance.to_json()) == balance


@pytest.mark.parametrize("data", [{"predicate": 3}, {"predicate": {"answers": {"yes": -1}}}])
def test_broken_counts_are_refused(data):
    with pytest.raises(RecordError, match="predicate"):
        Balance.from_json(data)
