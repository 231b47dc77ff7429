# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How sure a mean of scores is, by the bootstrap (Efron 1979), and what latencies look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DRAWS = 10_000
SEED = 20_251_121
# Index table of one go: bounds the memory for any number of questions.
_CELLS = 2_000_000


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval.

    Scores that are all equal give an interval without width, however few they are: the bootstrap
    only knows what it has seen.

    Attributes:
        mean: Of the scores.
        low: 2.5 % of the means of drawn samples lie below.
        high: 2.5 % of them lie above.
        count: Number of scores.
    """

    mean: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Difference:
    """How two runs on the same questions differ.

    Attributes:
        estimate: Of "second minus first" per question.
        better: Share of drawn samples in which the second run has the higher mean; ties count
            half.
    """

    estimate: Estimate
    better: float


@dataclass(frozen=True)
class Latency:
    """Seconds: median, 95th percentile and mean of the values that there are."""

    p50_s: float
    p95_s: float
    mean_s: float
    count: int


def bootstrap(scores: Sequence[float], *, draws: int = DRAWS, seed: int = SEED) -> Estimate:
    """Return the mean of scores with its 95 % percentile interval.

    Raises:
        ValueError: There are no scores.
    """
    values = np.asarray(scores, float)
    low, high = np.percentile(_drawn_means(values, draws, seed), (2.5, 97.5))
    return Estimate(float(values.mean()), float(low), float(high), len(values))


def compare(
    first: Sequence[float], second: Sequence[float], *, draws: int = DRAWS, seed: int = SEED
) -> Difference:
    """Return how much the second run scores above the first, question by question.

    Drawing questions, not scores, keeps what hard questions do to both runs out of the interval.

    Raises:
        ValueError: The numbers of scores differ, or there are none.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} scores cannot be paired")
    values = np.asarray(second, float) - np.asarray(first, float)
    means = _drawn_means(values, draws, seed)
    low, high = np.percentile(means, (2.5, 97.5))
    better = float((means > 0).mean() + (means == 0).mean() / 2)
    return Difference(Estimate(float(values.mean()), float(low), float(high), len(values)), better)


def latency(seconds: Sequence[float]) -> Latency | None:
    """Return percentiles of seconds; None when there are none."""
    if not seconds:
        return None
    p50, p95 = np.percentile(np.asarray(seconds, float), (50, 95))
    return Latency(float(p50), float(p95), float(np.mean(seconds)), len(seconds))


def _drawn_means(
    values: npt.NDArray[np.float64], draws: int, seed: int
) -> npt.NDArray[np.float64]:
    if not len(values):
        raise ValueError("there are no scores")
    rng = np.random.default_rng(seed)
    rows = max(1, _CELLS // len(values))
    parts = [
        values[rng.integers(len(values), size=(min(rows, draws - start), len(values)))].mean(
            axis=1
        )
        for start in range(0, draws, rows)
    ]
    return np.concatenate(parts)
