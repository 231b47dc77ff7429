# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import torch
from roborefer_vlm.verification.comparison import Comparison, close, equal, read_expected
from roborefer_vlm.verification.inference import verify_inference


def test_requests_give_what_the_original_gives(goldens, golden_name):
    comparisons = list(verify_inference(goldens, golden_name))

    assert [str(one) for one in comparisons if not one.passed] == []
    kinds = {one.where.rpartition("/")[2] for one in comparisons}
    assert {"input_ids", "inputs_embeds", "logits_last", "answer", "ids"} <= kinds
    assert any("/batch/" in one.where for one in comparisons)


def test_records_follow_the_installed_pillow(tiny, monkeypatch):
    def pixels(content):
        return {case["id"]: case["media"]["image"]["u8_sha256"] for case in content["cases"][:4]}

    monkeypatch.setattr("PIL.__version__", "12.3.0")
    older, older_arrays = read_expected(tiny, "dyn3x3", "inference")
    monkeypatch.setattr("PIL.__version__", "13.0.0")
    newer, newer_arrays = read_expected(tiny, "dyn3x3", "inference")

    changed = {case for case in pixels(older) if pixels(older)[case] != pixels(newer)[case]}
    assert changed == {"two_rgb", "two_rgbd"}
    assert older_arrays.keys() == newer_arrays.keys()
    key = "two_rgb__logits_last"
    assert (older_arrays[key] != newer_arrays[key]).any()


def test_a_difference_beyond_its_limit_fails():
    assert close("here", [1.0, 2.0], [1.0, 2.001], 2e-3).passed
    assert not close("here", [1.0, 2.0], [1.0, 2.01], 2e-3).passed
    assert not close("here", [1.0], [1.0, 1.0], 1.0).passed
    assert not close("here", [float("nan")], [1.0], 1.0).passed
    assert not equal("here", [1], [2]).passed
    assert not Comparison("here", float("nan"), 1.0).passed


def test_last_hidden_layer_instead_of_the_second_to_last_would_be_seen(tiny, monkeypatch):
    from roborefer_vlm.model.part_configurations import TowerConfig

    original = TowerConfig.from_fields.__func__

    def one_layer_more(cls, fields, select_layer):
        config = original(cls, fields, select_layer)
        return replace(config, select_layer=config.layers)

    monkeypatch.setattr(TowerConfig, "from_fields", classmethod(one_layer_more))

    comparisons = list(verify_inference(tiny, "resize"))

    failed = {one.where for one in comparisons if not one.passed}
    assert "resize/rgbd_basic/logits_last" in failed
    assert "resize/rgbd_basic/input_ids" not in failed


def test_tanh_gelu_in_the_projector_would_be_seen(tiny, monkeypatch):
    gelu = torch.nn.functional.gelu

    def tanh(values, approximate="none"):
        return gelu(values, approximate="tanh")

    monkeypatch.setattr(torch.nn.functional, "gelu", tanh)

    comparisons = list(verify_inference(tiny, "resize"))

    assert any(one.where.endswith("logits_last") and not one.passed for one in comparisons)
