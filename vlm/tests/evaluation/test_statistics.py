# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from roborefer_vlm.evaluation.statistics import bootstrap, compare, latency


def test_interval_of_shares_is_that_of_the_normal_approximation():
    scores = [1.0] * 60 + [0.0] * 40
    half = 1.96 * np.sqrt(0.6 * 0.4 / 100)

    found = bootstrap(scores)

    assert found.mean == pytest.approx(0.6)
    # 10,000 draws leave about 0.003 of noise in a percentile; scores come in steps of 0.01.
    assert found.low == pytest.approx(0.6 - half, abs=0.015)
    assert found.high == pytest.approx(0.6 + half, abs=0.015)
    assert found.count == 100


def test_same_seed_gives_the_same_interval_and_another_seed_another():
    scores = np.random.default_rng(3).random(57).tolist()

    assert bootstrap(scores) == bootstrap(scores)
    assert bootstrap(scores) != bootstrap(scores, seed=1)


def test_coverage_of_the_interval_is_near_95_percent():
    rng = np.random.default_rng(5)
    samples = rng.random((200, 80)) < 0.5

    covered = [(e := bootstrap(s.astype(float), draws=500)).low <= 0.5 <= e.high for s in samples]

    # 200 trials at 95 %: three standard deviations are 0.046; percentile intervals run short.
    assert 0.89 <= np.mean(covered) <= 0.99


def test_paired_difference_is_sharper_than_the_two_intervals_apart():
    rng = np.random.default_rng(7)
    hard = rng.random(200) < 0.5
    first = hard.astype(float)
    second = np.where(rng.random(200) < 0.06, 1.0, first)

    found = compare(first, second)

    assert found.estimate.low > 0
    assert found.better > 0.99
    assert bootstrap(first).high > bootstrap(second).low


def test_equal_runs_differ_by_nothing():
    found = compare([1.0, 0.0, 1.0], [1.0, 0.0, 1.0])

    assert (found.estimate.mean, found.estimate.low, found.estimate.high) == (0, 0, 0)
    assert found.better == 0.5


def test_nothing_to_draw_from_is_refused():
    with pytest.raises(ValueError, match="no scores"):
        bootstrap([])
    with pytest.raises(ValueError, match="2 and 1 scores"):
        compare([1.0, 0.0], [1.0])


def test_latency_gives_percentiles():
    found = latency([float(n) for n in range(1, 101)])

    assert (found.p50_s, found.count) == (50.5, 100)
    assert found.p95_s == pytest.approx(95.05)
    assert latency([]) is None
