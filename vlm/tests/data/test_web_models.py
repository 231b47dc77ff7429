# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of transformers estimate photographs; here tiny ones with random weights."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from PIL import Image
from roborefer_vlm.backends.scene_graph.colors import NAMES
from roborefer_vlm.backends.scene_graph.detector import Detection
from roborefer_vlm.data.sources.web_estimates import Photo
from roborefer_vlm.data.sources.web_models import (
    ModelCaptioner,
    ModelFinder,
    ModelGeometry,
    focal_length,
)
from roborefer_vlm.exceptions import CheckpointError, ConfigurationError, SourceError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture
def photo(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (30, 44, 3), dtype=np.uint8)
    Image.fromarray(rgb).save(tmp_path / "photo.png")
    return Photo(tmp_path / "photo.png", rgb)


def _save_depth_anything(path, kind):
    torch.manual_seed(0)
    backbone = transformers.Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=56,
        patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
    )
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=4,
        depth_estimation_type=kind,
        max_depth=20,
    )
    transformers.DepthAnythingForDepthEstimation(config).save_pretrained(path)
    transformers.DPTImageProcessor(size={"height": 56, "width": 56}).save_pretrained(path)
    return str(path)


def test_metric_depth_has_the_size_of_the_photograph(photo, tmp_path):
    estimator = ModelGeometry(_save_depth_anything(tmp_path / "depth", "metric"), 60.0)

    geometry = pickle.loads(pickle.dumps(estimator)).estimate(photo)

    assert geometry.metric
    assert geometry.depth_m.shape == (30, 44)
    assert geometry.depth_m.dtype == np.float32
    assert ((geometry.depth_m > 0) & (geometry.depth_m <= 20)).all()
    k = geometry.intrinsics
    assert 2 * np.rad2deg(np.arctan(44 / 2 / k.fx)) == pytest.approx(60)
    assert (k.width, k.height, k.cx, k.cy) == (44, 30, 21.5, 14.5)


def test_relative_depth_is_refused(photo, tmp_path):
    estimator = ModelGeometry(_save_depth_anything(tmp_path / "depth", "relative"), 60.0)

    with pytest.raises(CheckpointError, match="relative 'depth_anything'"):
        estimator.estimate(photo)


def test_without_any_focal_length_a_photograph_is_left_out(photo, tmp_path):
    estimator = ModelGeometry(_save_depth_anything(tmp_path / "depth", "metric"))

    with pytest.raises(SourceError, match=r"^focal length unknown: "):
        estimator.estimate(photo)


def test_the_focal_length_noted_in_the_file_is_that_of_35_mm_film(tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 36
    rgb = np.zeros((240, 360, 3), np.uint8)
    Image.fromarray(rgb).save(tmp_path / "noted.jpg", exif=exif)

    focal = focal_length(Photo(tmp_path / "noted.jpg", rgb), 60.0)

    # Film is 36 mm wide and 3 : 2 as this picture is.
    assert focal == pytest.approx(360, rel=1e-3)


def _letters(folder):
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = [*letters, *(c + "</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return len(tokens), transformers.CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=40
    )


WIDTH = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "clip"
    size, tokenizer = _letters(folder)
    pictures = transformers.CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    transformers.CLIPProcessor(pictures, tokenizer).save_pretrained(folder)
    config = transformers.CLIPConfig(
        text_config={
            **WIDTH,
            "num_attention_heads": 2,
            "vocab_size": size,
            "max_position_embeddings": 40,
            "eos_token_id": size - 1,
        },
        vision_config={**WIDTH, "num_attention_heads": 2, "image_size": 32, "patch_size": 16},
        projection_dim=32,
    )
    transformers.CLIPModel(config).save_pretrained(folder)
    return str(folder)


def _thing(mask):
    return Detection("cup", 0.9, (0, 0, 1, 1), mask)


def test_a_color_is_named_only_where_it_leads(photo, clip):
    mask = np.zeros(photo.rgb.shape[:2], bool)
    mask[5:20, 5:25] = True

    (eager,) = ModelCaptioner(clip, least_lead=1.0).looks(photo, [_thing(mask)])
    (careful,) = ModelCaptioner(clip, least_lead=1e9).looks(photo, [_thing(mask)])

    assert len(eager.colors) == 1
    assert set(eager.colors) <= set(NAMES)
    assert careful.colors == ()


def test_a_thing_without_mask_has_no_crop(photo, clip):
    with pytest.raises(SourceError, match="no mask to crop"):
        ModelCaptioner(clip).looks(photo, [_thing(None)])


@pytest.fixture(scope="module")
def owl_and_sam(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models")
    size, tokenizer = _letters(folder / "owl")
    pictures = transformers.Owlv2ImageProcessor(size={"height": 64, "width": 64})
    transformers.Owlv2Processor(pictures, tokenizer).save_pretrained(folder / "owl")
    config = transformers.Owlv2Config(
        text_config={
            **WIDTH,
            "num_attention_heads": 2,
            "vocab_size": size,
            "max_position_embeddings": 16,
        },
        vision_config={**WIDTH, "num_attention_heads": 2, "image_size": 64, "patch_size": 16},
        projection_dim=32,
    )
    transformers.Owlv2ForObjectDetection(config).save_pretrained(folder / "owl")
    vision = transformers.SamVisionConfig(
        hidden_size=16,
        output_channels=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=64,
        patch_size=16,
        global_attn_indexes=[0],
        mlp_dim=16,
        window_size=2,
        num_pos_feats=8,
    )
    prompt = transformers.SamPromptEncoderConfig(
        hidden_size=16, image_size=64, patch_size=16, mask_input_channels=4
    )
    decoder = transformers.SamMaskDecoderConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        mlp_dim=16,
        iou_head_hidden_dim=16,
    )
    sam = transformers.SamConfig(
        vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder
    )
    transformers.SamModel(sam).save_pretrained(folder / "sam")
    transformers.SamProcessor(
        transformers.SamImageProcessor(
            size={"longest_edge": 64},
            pad_size={"height": 64, "width": 64},
            mask_size={"longest_edge": 16},
            mask_pad_size={"height": 16, "width": 16},
        )
    ).save_pretrained(folder / "sam")
    return str(folder / "owl"), str(folder / "sam")


def test_more_labels_than_one_question_holds_are_all_looked_for(photo, owl_and_sam):
    letters = "abcdefghijklmnopqrstuvwxyz"
    labels = tuple(letters[i % 26] * (1 + i // 26) for i in range(40))

    found = ModelFinder(*owl_and_sam, labels, least_score=0.0).find(photo)

    assert not found.complete
    assert {d.label for d in found.detections} & set(labels[:32])
    assert {d.label for d in found.detections} & set(labels[32:])
    assert all(d.mask.shape == (30, 44) and d.mask.dtype == np.bool_ for d in found.detections)
    scores = [d.score for d in found.detections]
    assert scores == sorted(scores, reverse=True)


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(ConfigurationError, match="labels is empty"):
        ModelFinder("a", "b", ())
    with pytest.raises(ConfigurationError, match="horizontal_deg is 0"):
        ModelGeometry("a", 0)


def test_a_folder_without_a_model_is_named(photo, tmp_path):
    with pytest.raises(CheckpointError, match="nothing"):
        ModelGeometry(str(tmp_path / "nothing")).estimate(photo)
    with pytest.raises(CheckpointError, match="nothing"):
        ModelCaptioner(str(tmp_path / "nothing")).looks(photo, [_thing(np.ones((30, 44), bool))])
