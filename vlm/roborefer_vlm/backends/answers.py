# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From the texts that a language model wrote to one query to an Answer.

Several samples vote. First on what the answer is: points, words, or "nothing fits"; then, for
points, on where: samples that point to about the same place form a group, and the earliest
sample of the largest group is the answer. Its confidence is the share of all samples, unreadable
ones included, that are in its group. One sample alone has nothing to agree with; its confidence
is ONE_SAMPLE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import hypot

from roborefer_vlm.exceptions import AnswerError
from roborefer_vlm.parsing.families import Family
from roborefer_vlm.parsing.points import ParsedAnswer, parse_points
from roborefer_vlm.types import Answer, Outcome, Pixel, Query, ReferredPoint

ONE_SAMPLE = 0.5
# Points closer than this share of the picture's diagonal mean the same place.
SAME_PLACE = 0.05


class _Says(Enum):
    """What a text is."""

    UNREADABLE = Outcome.INVALID_ANSWER
    WORDS = Outcome.TEXT
    NOTHING = Outcome.NOTHING_FOUND
    POINTS = Outcome.OK


@dataclass(frozen=True)
class _Sample:
    text: str
    says: _Says
    parsed: ParsedAnswer

    def referred(self, confidence: float) -> tuple[ReferredPoint, ...]:
        points = zip(self.parsed.points, self.parsed.labels, strict=True)
        return tuple(ReferredPoint(pixel, confidence, label) for pixel, label in points)


def answer_from_texts(
    texts: Sequence[str],
    query: Query,
    family: Family,
    *,
    engine: str,
    sent_size: tuple[int, int] | None = None,
    report_splits: bool = True,
) -> Answer:
    """Read all samples and agree on one answer.

    Args:
        texts: What the model wrote, the greedy sample first; at least one.
        query: What was asked.
        family: How the model writes points.
        engine: Name for the answer.
        sent_size: (width, height) of the picture that the model was sent, if it was resized.
        report_splits: Whether samples that fall into groups, none of them with more than half of
            the samples and at least two with two or more, make the answer AMBIGUOUS.

    Returns:
        INVALID_ANSWER, with the first raw text, if no sample can be read. Without latency.
    """
    samples = [_read(text, query, family, sent_size) for text in texts]
    blank = Answer(
        Outcome.INVALID_ANSWER,
        kind=query.kind,
        text=samples[0].text,
        samples=tuple(sample.referred(_confidence(1, 1)) for sample in samples),
        engine=engine,
    )
    readable = [sample.says for sample in samples if sample.says is not _Says.UNREADABLE]
    if not readable:
        return blank
    # max() takes the first of equals, which is what the earliest sample says.
    said = max(readable, key=readable.count)
    voters = [sample for sample in samples if sample.says is said]
    if said is _Says.POINTS:
        return _pointing(voters, query, report_splits, blank)
    first = voters[0]
    same = sum(sample.text.casefold() == first.text.casefold() for sample in voters)
    return replace(
        blank,
        outcome=said.value,
        text=first.text,
        reasoning=first.parsed.steps,
        confidence=_confidence(same, len(samples)),
    )


def _read(text: str, query: Query, family: Family, sent_size: tuple[int, int] | None) -> _Sample:
    try:
        parsed = parse_points(text, query.width, query.height, family, sent_size=sent_size)
    except AnswerError:
        return _Sample(text, _Says.UNREADABLE, ParsedAnswer((), (), text))
    if parsed.points:
        return _Sample(text, _Says.POINTS, parsed)
    return _Sample(text, _Says.NOTHING if parsed.nothing else _Says.WORDS, parsed)


def _pointing(
    voters: Sequence[_Sample], query: Query, report_splits: bool, blank: Answer
) -> Answer:
    total = len(blank.samples)
    radius = SAME_PLACE * hypot(query.width, query.height)
    # Stable, so that among groups of one size the one of the earliest sample is first.
    groups = sorted(_groups(voters, radius), key=len, reverse=True)
    best = groups[0][0]
    confidence = _confidence(len(groups[0]), total)
    split = 2 * len(groups[0]) <= total and len(groups) > 1 and len(groups[1]) > 1
    answer = replace(
        blank,
        text=best.text,
        reasoning=best.parsed.steps,
        confidence=confidence,
    )
    if split and report_splits:
        candidates = tuple(
            group[0].referred(_confidence(len(group), total))[0] for group in groups
        )
        return replace(answer, outcome=Outcome.AMBIGUOUS, candidates=candidates)
    return replace(answer, outcome=Outcome.OK, points=best.referred(confidence))


def _groups(samples: Sequence[_Sample], radius: float) -> list[list[_Sample]]:
    """Put each sample to the first group whose first sample points, with any point, near by."""
    groups: list[list[_Sample]] = []
    for sample in samples:
        place = sample.parsed.points[0]
        for group in groups:
            if any(_distance(place, other) <= radius for other in group[0].parsed.points):
                group.append(sample)
                break
        else:
            groups.append([sample])
    return groups


def _distance(one: Pixel, other: Pixel) -> float:
    return hypot(one.u - other.u, one.v - other.v)


def _confidence(agreeing: int, samples: int) -> float:
    return agreeing / samples if samples > 1 else ONE_SAMPLE
