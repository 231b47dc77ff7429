# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Answers are drawn evenly, whatever a scene offers."""

from collections import Counter

import numpy as np
from roborefer_vlm.data.balance import Draw


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
