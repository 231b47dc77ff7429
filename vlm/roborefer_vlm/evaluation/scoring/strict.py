# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The main figure: whatever is no right answer counts 0, and is counted by what went wrong."""

from __future__ import annotations

import re
from enum import StrEnum

from roborefer_vlm.evaluation.records import Word
from roborefer_vlm.evaluation.results import Failure, Result
from roborefer_vlm.evaluation.scoring.truth import DecodedArea
from roborefer_vlm.exceptions import AnswerError
from roborefer_vlm.parsing.reference import read_tuples
from roborefer_vlm.types import Answer, Outcome

_FIRST_WORD = re.compile(r"\W*([A-Za-z]+)")


class Verdict(StrEnum):
    """What came of a question, told apart by what went wrong."""

    HIT = "hit"
    # Some of the points are right.
    PARTLY = "partly right"
    WRONG_PLACE = "wrong place"
    OUTSIDE_PICTURE = "outside picture"
    WRONG_WORD = "wrong word"
    # Points where a word was asked for, or words where points were.
    WRONG_KIND = "wrong kind of answer"
    UNPARSABLE = "unparsable"
    NOTHING_FOUND = "nothing found"
    AMBIGUOUS = "ambiguous"
    NOT_UNDERSTOOD = "not understood"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    ERROR = "error"


_OF_FAILURE = {
    Failure.TIMEOUT: Verdict.TIMEOUT,
    Failure.REFUSED: Verdict.REFUSED,
    Failure.ERROR: Verdict.ERROR,
}
_OF_OUTCOME = {
    Outcome.NOTHING_FOUND: Verdict.NOTHING_FOUND,
    Outcome.AMBIGUOUS: Verdict.AMBIGUOUS,
    Outcome.NOT_UNDERSTOOD: Verdict.NOT_UNDERSTOOD,
}


def strict_score(truth: DecodedArea | Word, result: Result) -> tuple[float, Verdict]:
    """Return the strict score, 0 to 1, and the verdict.

    For a place it is the share of the answer's points that lie in it; for a word, whether the
    first word of the answer is that word.
    """
    answer = result.answer
    if answer is None:
        return 0.0, _OF_FAILURE[result.failure or Failure.ERROR]
    if answer.outcome in _OF_OUTCOME:
        return 0.0, _OF_OUTCOME[answer.outcome]
    if isinstance(truth, Word):
        return _word_score(truth, answer)
    return _area_score(truth, answer)


def _word_score(truth: Word, answer: Answer) -> tuple[float, Verdict]:
    if answer.outcome is Outcome.OK:
        return 0.0, Verdict.WRONG_KIND
    first = _FIRST_WORD.match(answer.text)
    if first is None:
        return 0.0, Verdict.UNPARSABLE
    right = first[1].lower() == truth.word
    return (1.0, Verdict.HIT) if right else (0.0, Verdict.WRONG_WORD)


def _area_score(truth: DecodedArea, answer: Answer) -> tuple[float, Verdict]:
    if answer.outcome is Outcome.TEXT:
        return 0.0, Verdict.WRONG_KIND
    if answer.outcome is not Outcome.OK or not answer.points:
        return 0.0, _invalid(truth, answer.text)
    pixels = [point.pixel for point in answer.points]
    score = sum(map(truth.holds, pixels)) / len(pixels)
    if score == 1:
        return 1.0, Verdict.HIT
    if score > 0:
        return score, Verdict.PARTLY
    if any(pixel.inside(truth.width, truth.height) for pixel in pixels):
        return 0.0, Verdict.WRONG_PLACE
    return 0.0, Verdict.OUTSIDE_PICTURE


def _invalid(truth: DecodedArea, text: str) -> Verdict:
    """Tell an answer that points outside the picture from one that no grammar accepts."""
    try:
        points = read_tuples(text, truth.width, truth.height)
    except AnswerError:
        return Verdict.UNPARSABLE
    if len(points) and not all(
        0 <= x < truth.width and 0 <= y < truth.height for x, y in points.tolist()
    ):
        return Verdict.OUTSIDE_PICTURE
    return Verdict.UNPARSABLE
