# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""All scores of one result, and of a whole run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from roborefer_vlm.evaluation.records import Area, Benchmark, Protocol, Question, Word
from roborefer_vlm.evaluation.results import Result
from roborefer_vlm.evaluation.scoring.protocols import evaluator_text, protocol_score
from roborefer_vlm.evaluation.scoring.strict import Verdict, strict_score
from roborefer_vlm.evaluation.scoring.truth import DecodedArea


@dataclass(frozen=True)
class Scored:
    """A question with what came of it.

    Attributes:
        question: What was asked.
        result: What came of it.
        strict: 0 to 1; whatever is no right answer is 0.
        verdict: What went right or wrong.
        protocol: 0 to 1 by the rules of the benchmark's evaluator; None: it leaves this question
            out of its mean.
    """

    question: Question
    result: Result
    strict: float
    verdict: Verdict
    protocol: float | None


def score(question: Question, result: Result, protocol: Protocol) -> Scored:
    """Score one result.

    Raises:
        PictureError: The mask of the question cannot be decoded.
    """
    truth: DecodedArea | Word
    if isinstance(question.truth, Area):
        truth = DecodedArea.read(question.truth, result.width, result.height)
    else:
        truth = question.truth
    strict, verdict = strict_score(truth, result)
    text = evaluator_text(result)
    return Scored(question, result, strict, verdict, protocol_score(protocol, truth, text))


def score_run(benchmark: Benchmark, results: Mapping[str, Result]) -> list[Scored]:
    """Score the questions that there are results for, in the order of the benchmark.

    Raises:
        PictureError: A mask cannot be decoded.
    """
    return [
        score(question, results[question.id], benchmark.protocol)
        for question in benchmark.questions
        if question.id in results
    ]
