# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The curves of a run become a picture, and what was not logged is named."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from roborefer_vlm.exceptions import TrainingError
from roborefer_vlm.training.curves import draw_curves, write_curves


@pytest.fixture
def run(tmp_path):
    lines = [{"step": step, "loss": 5.0 - 0.01 * step} for step in range(1, 401)]
    lines[7]["loss"] = float("nan")
    path = tmp_path / "run"
    path.mkdir()
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_falling_loss_is_drawn_falling(run):
    picture = draw_curves({"run": run})

    # The first run is blue: far more blue than red.
    blue = picture[..., 0].astype(int) - picture[..., 2] > 100
    blue[:60] = False  # the legend
    columns = np.flatnonzero(blue.any(axis=0))
    heights = [np.flatnonzero(blue[:, column]).mean() for column in (columns[10], columns[-10])]
    assert heights[1] - heights[0] > 250


def test_pictures_are_written_where_asked(run, tmp_path):
    write_curves(tmp_path / "new" / "loss.png", {"run": run})

    assert cv2.imread(str(tmp_path / "new" / "loss.png")).shape == (480, 900, 3)


def test_what_was_not_logged_is_named(run):
    with pytest.raises(TrainingError, match="has no 'reward'; it has loss"):
        draw_curves({"run": run}, "reward")


def test_a_line_that_was_cut_short_does_not_matter(run):
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 401, "lo')

    draw_curves({"run": run})
