# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The real scenes beside the repository, where they are there; none of them is copied."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from roborefer_vlm.evaluation.benchmarks import load_benchmark

SCENES = Path(__file__).parents[3].parent / "shared/data/real_rgbd"

pytestmark = pytest.mark.skipif(not SCENES.is_dir(), reason=f"no real scenes at {SCENES}")


def test_all_real_questions_load_with_depth_camera_and_things():
    found = load_benchmark("own", SCENES, parts=["location", "placement", "unseen"])

    counts = {part: 0 for part in ("location", "placement", "unseen")}
    for question in found.questions:
        counts[question.category] += 1
        assert question.depth is not None
        assert question.camera is not None
        assert question.instances is not None
    assert counts == {"location": 32, "placement": 16, "unseen": 4}


def test_depth_of_every_real_scene_is_in_metres():
    found = load_benchmark("own", SCENES, parts=["location", "placement"])

    for question in {q.scene: q for q in found.questions}.values():
        depth = question.query("where").depth_m
        # Units differ per scene; table tops stand between half a metre and two metres away.
        assert 0.3 < np.median(depth[depth > 0]) < 2.5, question.scene


def test_picture_without_depth_loads_beside_the_others():
    found = load_benchmark("own", SCENES, parts=["rgb_only_demo"])

    assert len(found.questions) == 3
    assert all(question.depth is None for question in found.questions)
