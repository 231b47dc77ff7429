# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Bad steps are seen, good ones are let through, and everything is counted and written down."""

from __future__ import annotations

import json
from dataclasses import replace
from math import nan

import numpy as np
import pytest
from roborefer_vlm.exceptions import RecordError, TrainingError
from roborefer_vlm.training.guards import Guard
from roborefer_vlm.training.settings import GuardSettings, OnTrouble

SKIPS = GuardSettings(OnTrouble.SKIP, OnTrouble.SKIP, OnTrouble.SKIP, most_skipped=2)


def falling(count=60):
    rng = np.random.default_rng(0)
    return [float(2 * 0.99**step + rng.normal(0, 0.05)) for step in range(count)]


def test_a_noisy_falling_loss_is_no_trouble(tmp_path):
    guard = Guard(SKIPS, tmp_path)

    assert [guard.judge(loss, 1.0, 10) for loss in falling()] == [None] * 60


def test_a_spike_is_seen_with_how_far_it_stands_out(tmp_path):
    guard = Guard(SKIPS, tmp_path)
    for loss in falling():
        guard.judge(loss, 1.0, 10)

    trouble = guard.judge(30.0, 1.0, 10)

    assert trouble is not None
    assert trouble.action is OnTrouble.SKIP
    assert "deviations above the last" in trouble.reason


def test_losses_that_hardly_differ_make_no_spike_of_rounding(tmp_path):
    guard = Guard(SKIPS, tmp_path)
    for _ in range(20):
        guard.judge(0.5, 1.0, 10)

    assert guard.judge(0.5001, 1.0, 10) is None


@pytest.mark.parametrize(
    ("loss", "norm", "tokens", "reason"),
    [
        (nan, 1.0, 10, "the loss is nan"),
        (1.0, float("inf"), 10, "the norm of the gradient is inf"),
        (0.0, 0.0, 0, "nothing to learn in it"),
    ],
)
def test_what_is_no_number_or_has_no_tokens_is_trouble(tmp_path, loss, norm, tokens, reason):
    trouble = Guard(SKIPS, tmp_path).judge(loss, norm, tokens)

    assert trouble is not None
    assert trouble.reason == reason


def test_too_many_skipped_steps_stop_training(tmp_path):
    guard = Guard(SKIPS, tmp_path)
    for step in (1, 2, 3):
        trouble = guard.judge(nan, 1.0, 10)
        if step < 3:
            guard.report(step, trouble, nan, 1.0, [("a.json", "7")])
    with pytest.raises(TrainingError, match="step 3: 3 steps were skipped, 'most_skipped' is 2"):
        guard.report(3, trouble, nan, 1.0, [("a.json", "7")])

    lines = (tmp_path / "bad_batches.jsonl").read_text().splitlines()
    assert len(lines) == 3
    entry = json.loads(lines[0])
    assert entry["records"] == [["a.json", "7"]]
    assert entry["loss"] is None


def test_a_bad_record_stops_unless_it_may_be_skipped(tmp_path):
    error = RecordError("a.json", "7", "image", "is missing")
    with pytest.raises(TrainingError, match=r"record 7, field 'image': is missing"):
        Guard(replace(SKIPS, records=OnTrouble.STOP), tmp_path).reject(1, [error])

    guard = Guard(SKIPS, tmp_path)
    guard.reject(1, [error])
    assert guard.rejected == 1


def test_a_restored_guard_judges_as_before(tmp_path):
    guard, other = Guard(SKIPS, tmp_path), Guard(SKIPS, tmp_path)
    for loss in falling():
        guard.judge(loss, 1.0, 10)

    other.restore(json.loads(json.dumps(guard.state())))

    assert other.judge(9.0, 1.0, 10) == guard.judge(9.0, 1.0, 10)
