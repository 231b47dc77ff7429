# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth is estimated by a Depth Anything checkpoint; here a tiny one with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from roborefer_vlm.exceptions import CheckpointError, PictureError
from roborefer_vlm.model.estimator import DepthAnything, prepare_picture
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

PICTURE = np.random.default_rng(0).integers(0, 256, (30, 44, 3), dtype=np.uint8)


def save_tiny(path: Path, **options) -> None:
    torch.manual_seed(0)
    backbone = Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=56,
        patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=4,
        **options,
    )
    network = DepthAnythingForDepthEstimation(config)
    # Otherwise the last ReLU leaves next to nothing of random weights.
    torch.nn.init.constant_(network.head.conv3.bias, 1.0)
    torch.nn.init.constant_(network.head.conv2.bias, 1.0)
    network.save_pretrained(path)


@pytest.fixture(scope="module")
def estimator(tmp_path_factory) -> DepthAnything:
    path = tmp_path_factory.mktemp("depth") / "tiny"
    save_tiny(path)
    return DepthAnything(path)


def test_the_map_has_the_size_of_the_picture_and_repeats(estimator):
    first, second = estimator.inverse_depth(PICTURE), estimator.inverse_depth(PICTURE)

    assert first.shape == (30, 44)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert first.min() >= 0
    assert (first == second).all()
    assert estimator.name == "depth_anything:tiny"


def test_metric_checkpoints_are_inverted(tmp_path, estimator):
    save_tiny(tmp_path, depth_estimation_type="metric", max_depth=20)

    inverse = DepthAnything(tmp_path).inverse_depth(PICTURE)

    # A sigmoid of at most 20 m.
    assert inverse.min() >= 1 / 20
    assert np.isfinite(inverse).all()


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((480, 640), (518, 686)),
        ((640, 480), (686, 518)),
        ((518, 518), (518, 518)),
        ((1080, 1920), (518, 924)),
        ((10, 10), (518, 518)),
    ],
)
def test_the_shorter_side_is_518_and_both_are_whole_patches(size, wanted):
    prepared = prepare_picture(np.zeros((*size, 3), np.uint8))

    assert prepared.shape == (3, *wanted)
    assert prepared.dtype == np.float32
    # Black, normalised by the mean and spread of ImageNet.
    assert prepared[:, 0, 0] == pytest.approx(
        np.divide([-0.485, -0.456, -0.406], [0.229, 0.224, 0.225])
    )


def test_what_cannot_be_estimated_is_refused(estimator):
    with pytest.raises(PictureError, match="ratio"):
        estimator.inverse_depth(np.zeros((10, 100, 3), np.uint8))
    with pytest.raises(PictureError, match="uint8"):
        estimator.inverse_depth(np.zeros((10, 10, 3), np.float32))


def test_pickled_weights_are_refused_with_the_way_out(tmp_path):
    with pytest.raises(CheckpointError, match="convert"):
        DepthAnything(tmp_path / "depth_anything_v2_vitl.pth")


def test_folders_without_a_depth_network_are_refused(tmp_path, golden):
    with pytest.raises(CheckpointError):
        DepthAnything(tmp_path)
    with pytest.raises(CheckpointError, match="qwen2"):
        DepthAnything(golden / "checkpoints" / "dyn3x3" / "llm")
