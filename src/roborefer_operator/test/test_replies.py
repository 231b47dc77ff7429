# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Answers to questions of the robot."""

import pytest
from roborefer_operator.core.language.replies import Reply, ReplyKind, read_reply

COLUMNS = (300.0, 100.0, 500.0)


@pytest.mark.parametrize(
    ("text", "candidate"),
    [
        ("2", 2), ("two", 2), ("number two please", 2), ("the second one", 2), ("the last", 3),
        ("left", 2), ("the left one", 2), ("the rightmost one", 3), ("the middle one", 1),
        ("one", 1), ("I mean the third one", 3),
    ],
)  # fmt: skip
def test_numbers_and_sides_choose_a_candidate(text, candidate):
    assert read_reply(text, COLUMNS) == Reply(ReplyKind.CANDIDATE, candidate)


@pytest.mark.parametrize("text", ["9", "the middle one"])
def test_a_number_that_no_candidate_has_chooses_none(text):
    assert read_reply(text, COLUMNS[:2]).kind is ReplyKind.WORDS


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("yes", ReplyKind.YES), ("Yes, please!", ReplyKind.YES), ("go ahead", ReplyKind.YES),
        ("no", ReplyKind.NO), ("never mind", ReplyKind.NO),
    ],
)  # fmt: skip
def test_yes_and_no(text, kind):
    assert read_reply(text).kind is kind


def test_other_words_stay_words():
    assert read_reply(" the red mug behind the box ", COLUMNS) == Reply(
        ReplyKind.WORDS, text="the red mug behind the box"
    )
