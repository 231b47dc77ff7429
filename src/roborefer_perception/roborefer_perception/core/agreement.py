# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How far several sampled answers mean the same place, in metres and not in pixels.

Each sample has one vote. Places that are near each other, or lie on one object, form a cluster
around the one place that most others are near to. The confidence of a cluster is

    max over its members m of the sum over its members i of c(i) w(i, m), over all samples

with the model's own confidence c and the closeness w = 1 / (1 + (distance / scale)²). Samples that
lie elsewhere, or led to no place, add nothing. So the confidence of a cluster never rises when a
member fails or goes elsewhere, is less sure, or when all lie further apart; one sample alone has
the confidence that the model gives. The member m of the maximum stands for the cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from roborefer_perception.core.camera import Array
from roborefer_perception.core.types import Kind, Mask, Place


@dataclass(frozen=True)
class AgreementSettings:
    """What counts as the same place.

    Attributes:
        same_place_m: Places this near to the middle one of a cluster belong to it.
        same_object: So much of the smaller of two objects' regions lies in the other one where
            both are the same object, 0 to 1.
        spread_m: The scale: at this distance from the middle a sample counts half. For an object
            half its extent, if that is more, because any point on it means it.
        rival: Another cluster with more than this share of the best one's votes makes the answer
            ambiguous, 0 to 1.
    """

    same_place_m: float = 0.03
    same_object: float = 0.5
    spread_m: float = 0.05
    rival: float = 0.6


@dataclass(frozen=True, eq=False)
class Cluster:
    """Samples that mean the same place.

    Attributes:
        members: Their numbers, in order.
        place: Number of the one in the middle, whose place stands for all.
        spread_m: Standard deviation of the points around their mean, metres; 0 for one member.
        scatter: Covariance of the points, m², shape (3, 3); zero for one member.
        share: Members over all samples, 0 to 1.
        confidence: 0 (guess) to 1 (sure).
    """

    members: tuple[int, ...]
    place: int
    spread_m: float
    scatter: Array
    share: float
    confidence: float


@dataclass(frozen=True, eq=False)
class Agreement:
    """What several samples make together.

    Attributes:
        clusters: Best first; candidates are numbered in this order. Empty: no sample has a place.
        confidence: Of the first one; 0 without any.
        ambiguous: Whether the second one has nearly as many votes as the first.
    """

    clusters: tuple[Cluster, ...]
    confidence: float
    ambiguous: bool


def agree(
    places: Sequence[Place | None],
    confidences: Sequence[float],
    settings: AgreementSettings | None = None,
) -> Agreement:
    """Find what samples agree on.

    Args:
        places: Of each sample, in one optical frame; None where it led to no place.
        confidences: Of each sample, as the model gives them, 0 to 1.
        settings: What counts as the same.

    Returns:
        The clusters. The order of the samples does not matter, but for the numbers.

    Raises:
        ValueError: There are more or fewer confidences than places.
    """
    settings = settings or AgreementSettings()
    votes = [
        _Vote(number, place, float(np.clip(confidence, 0.0, 1.0)))
        for number, (place, confidence) in enumerate(zip(places, confidences, strict=True))
        if place is not None
    ]
    # A fixed order of the votes themselves, so that ties do not depend on the order of samples.
    votes.sort(key=_Vote.key)
    same = _sameness(votes, settings)
    clusters: list[Cluster] = []
    left = np.ones(len(votes), bool)
    while left.any():
        near = same & left
        counts = np.where(left, near.sum(1), 0)
        # Of places with as many neighbours, the one in their middle.
        middle = min(
            np.flatnonzero(counts == counts.max()),
            key=lambda at: float(_distances(votes[at], _chosen(votes, near[at])).sum()),
        )
        clusters.append(_cluster(_chosen(votes, near[middle]), len(places), settings))
        left &= ~near[middle]
    clusters.sort(key=lambda one: (-len(one.members), -one.confidence))
    ambiguous = len(clusters) > 1 and (
        len(clusters[1].members) > settings.rival * len(clusters[0].members)
    )
    return Agreement(tuple(clusters), clusters[0].confidence if clusters else 0.0, ambiguous)


@dataclass(frozen=True, eq=False)
class _Vote:
    number: int
    place: Place
    confidence: float

    def key(self) -> tuple[float, ...]:
        return (*map(float, self.place.point), -self.confidence)


def _chosen(votes: Sequence[_Vote], chosen: Mask) -> list[_Vote]:
    return [vote for vote, one in zip(votes, chosen, strict=True) if one]


def _sameness(votes: Sequence[_Vote], settings: AgreementSettings) -> Mask:
    """Return for all pairs whether they mean the same place, shape (N, N)."""
    same = np.eye(len(votes), dtype=bool)
    for i, one in enumerate(votes):
        near = _distances(one, votes) <= settings.same_place_m
        for j in range(i):
            same[i, j] = same[j, i] = near[j] or _same_object(
                one.place, votes[j].place, settings.same_object
            )
    return same


def _same_object(one: Place, other: Place, least: float) -> bool:
    """Tell whether two places lie on one object; surfaces and parts are no objects."""
    if not (one.kind is other.kind is Kind.OBJECT):
        return False
    smaller = min(np.count_nonzero(one.region), np.count_nonzero(other.region))
    shared = np.count_nonzero(one.region & other.region)
    return bool(smaller > 0 and shared >= least * smaller)


def _distances(one: _Vote, others: Sequence[_Vote]) -> Array:
    points = np.array([other.place.point for other in others]).reshape(-1, 3)
    return np.asarray(np.linalg.norm(points - one.place.point, axis=1))


def _cluster(votes: Sequence[_Vote], samples: int, settings: AgreementSettings) -> Cluster:
    points = np.array([vote.place.point for vote in votes])
    offsets = points - points.mean(0)
    scatter = offsets.T @ offsets / max(1, len(points) - 1)
    confidence, middle = max(
        ((_support(vote, votes, settings) / samples, vote) for vote in votes),
        key=lambda one: one[0],
    )
    return Cluster(
        members=tuple(sorted(vote.number for vote in votes)),
        place=middle.number,
        spread_m=float(np.sqrt(np.trace(scatter))),
        scatter=scatter,
        share=len(votes) / samples,
        confidence=confidence,
    )


def _support(one: _Vote, votes: Sequence[_Vote], settings: AgreementSettings) -> float:
    """Return how many votes there are for one place, each by its confidence and closeness."""
    scale_m = settings.spread_m
    if one.place.kind is Kind.OBJECT:
        scale_m = max(scale_m, float(np.max(one.place.extent)) / 2)
    closeness = 1 / (1 + (_distances(one, votes) / scale_m) ** 2)
    return float(closeness @ [vote.confidence for vote in votes])
