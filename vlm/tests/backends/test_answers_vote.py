# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How several samples agree on one answer, and how sure that makes it."""

from __future__ import annotations

import numpy as np
import pytest
from roborefer_vlm.backends.answers import ONE_SAMPLE, answer_from_texts
from roborefer_vlm.parsing.families import family_named
from roborefer_vlm.types import Answer, Outcome, Pixel, Query, TargetKind

HERE, NEAR, THERE, ELSEWHERE = "[(0.50, 0.50)]", "[(0.51, 0.51)]", "[(0.10, 0.90)]", "[(0.9, 0.9)]"
HERE_PIXEL, THERE_PIXEL = Pixel(49.5, 49.5), Pixel(9.5, 89.5)


def vote(*texts: str, report_splits: bool = True) -> Answer:
    query = Query(np.zeros((100, 100, 3), np.uint8), "the mug", kind=TargetKind.OBJECT)
    return answer_from_texts(
        texts, query, family_named("roborefer"), engine="test", report_splits=report_splits
    )


def test_one_sample_points_and_its_confidence_is_not_measured() -> None:
    answer = vote(HERE)

    assert answer.outcome is Outcome.OK
    assert [point.pixel for point in answer.points] == [HERE_PIXEL]
    assert answer.confidence == answer.points[0].confidence == ONE_SAMPLE
    assert answer.kind is TargetKind.OBJECT
    assert answer.engine == "test"
    assert answer.text == HERE


def test_confidence_is_the_share_that_agrees() -> None:
    answer = vote(HERE, NEAR, THERE, "garbage (0.5, ")

    assert answer.outcome is Outcome.OK
    assert answer.points[0].pixel == HERE_PIXEL
    assert answer.confidence == 0.5
    assert [len(sample) for sample in answer.samples] == [1, 1, 1, 0]


def test_majority_beats_the_greedy_sample() -> None:
    answer = vote(THERE, HERE, NEAR)

    assert answer.points[0].pixel == HERE_PIXEL
    assert answer.text == HERE


def test_point_beside_others_agrees_with_any_of_them() -> None:
    answer = vote("[(0.1, 0.9), (0.5, 0.5)]", HERE)

    assert answer.confidence == 1.0
    assert [point.pixel for point in answer.points] == [THERE_PIXEL, HERE_PIXEL]


def test_two_groups_without_majority_are_ambiguous() -> None:
    answer = vote(THERE, HERE, NEAR, THERE)

    assert answer.outcome is Outcome.AMBIGUOUS
    assert answer.points == ()
    assert [point.pixel for point in answer.candidates] == [THERE_PIXEL, HERE_PIXEL]
    assert [point.confidence for point in answer.candidates] == [0.5, 0.5]


def test_split_can_be_answered_by_the_first_group() -> None:
    answer = vote(THERE, HERE, NEAR, THERE, report_splits=False)

    assert answer.outcome is Outcome.OK
    assert answer.points[0].pixel == THERE_PIXEL


def test_single_outliers_are_no_ambiguity() -> None:
    assert vote(HERE, NEAR, THERE, ELSEWHERE).outcome is Outcome.OK


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("Yes.", Outcome.TEXT),
        ("[]", Outcome.NOTHING_FOUND),
        ("[(5, 5)]", Outcome.INVALID_ANSWER),
        ("", Outcome.INVALID_ANSWER),
    ],
)
def test_what_is_no_point_has_its_own_outcome_and_keeps_the_text(
    text: str, outcome: Outcome
) -> None:
    answer = vote(text)

    assert answer.outcome is outcome
    assert answer.points == ()
    assert answer.text == text


def test_words_agree_by_their_text() -> None:
    answer = vote("Yes", "no", "yes", "[(0.5, 0.5)]")

    assert answer.outcome is Outcome.TEXT
    assert answer.text == "Yes"
    assert answer.confidence == 0.5


def test_reasoning_is_that_of_the_chosen_sample() -> None:
    steps = "[Position] [cup] Point (0.2, 0.2). Answer: "

    answer = vote(THERE, steps + HERE, NEAR)

    assert [step.target for step in answer.reasoning] == ["cup"]
