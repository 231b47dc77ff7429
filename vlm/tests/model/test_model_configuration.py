# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from roborefer_vlm.exceptions import CheckpointError, UnavailableError
from roborefer_vlm.model.checkpoint import build_without_weights, load_checkpoint
from roborefer_vlm.model.configuration import RoboReferConfig
from roborefer_vlm.model.location import resolve_checkpoint
from roborefer_vlm.model.part_configurations import MediaTokens
from roborefer_vlm.model.vocabulary import Vocabulary


def edit(path: Path, **changes) -> None:
    content = json.loads(path.read_text())
    for key, value in changes.items():
        if value is ...:
            content.pop(key, None)
        else:
            content[key] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "mode", "scales", "kept", "tiles", "has_depth_tower"),
    [
        ("dyn3x3", "dynamic", (), 0, 12, True),
        ("s2", "dynamic_s2", (112, 224, 336), 2, 12, True),
        ("s2mid", "dynamic_s2", (56, 112, 168), 1, 12, True),
        ("resize", "resize", (), 0, 12, True),
        ("shared", "dynamic", (), 0, 6, False),
    ],
)
def test_every_picture_mode_is_read(tiny, name, mode, scales, kept, tiles, has_depth_tower):
    config = RoboReferConfig.from_directory(tiny / "checkpoints" / name)

    assert config.picture_mode == mode
    assert config.s2_scales == scales
    assert config.s2_output_scale == kept
    assert config.max_tiles == tiles
    assert (config.depth is not None) == has_depth_tower
    assert config.vision.select_layer == config.vision.layers - 1
    assert config.mm_hidden_size == config.vision.hidden_size * max(1, len(scales))


def test_directory_of_a_training_run_is_entered(checkpoint, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    shutil.move(checkpoint(), run / "model")

    config = RoboReferConfig.from_directory(run)

    assert config.directory == run / "model"


def test_home_directory_is_expanded(checkpoint, tmp_path, monkeypatch):
    checkpoint()
    monkeypatch.setenv("HOME", str(tmp_path))

    assert RoboReferConfig.from_directory("~/dyn3x3").directory == tmp_path / "dyn3x3"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (None, MediaTokens(None, "\n")),
        ({"_target_": "llava.model.encoders.BasicImageEncoder"}, MediaTokens(None, "\n")),
        ('{"_target_": "x", "end_tokens": "\\n\\n"}', MediaTokens(None, "\n\n")),
        ({"start_tokens": "<s>", "end_tokens": None, "more": [1]}, MediaTokens("<s>", None)),
    ],
)
def test_encoder_entry_may_be_an_object_or_a_string(checkpoint, entry, expected):
    path = checkpoint()
    edit(path / "config.json", depth_encoder=entry)

    assert RoboReferConfig.from_directory(path).depth_tokens == expected


def test_unknown_keys_and_absent_optional_ones_do_no_harm(checkpoint):
    path = checkpoint()
    absent = dict.fromkeys(
        ["mm_hidden_size", "min_tiles", "max_tiles", "mm_vision_select_layer", "image_encoder"],
        ...,
    )
    edit(path / "config.json", **absent, Ubit="many", new_key={"deep": [None]})
    edit(path / "llm" / "config.json", model_max_length=..., surprise=1)

    config = RoboReferConfig.from_directory(path)

    assert (config.min_tiles, config.max_tiles, config.mm_hidden_size) == (1, 12, 32)
    assert config.language.model_max_length == 32768


@pytest.mark.parametrize(
    ("name", "part", "changes", "words"),
    [
        ("dyn3x3", "", {"architectures": ["Qwen2ForCausalLM"]}, "LlavaLlamaModel"),
        ("dyn3x3", "", {"architectures": None}, "architectures"),
        ("dyn3x3", "", {"hidden_size": 65}, "64, as in llm/config.json"),
        ("dyn3x3", "", {"mm_hidden_size": 96}, "32 .*channels of vision_tower"),
        ("dyn3x3", "", {"mm_vision_select_layer": -9}, "3 layers"),
        ("dyn3x3", "", {"mm_vision_select_feature": "patch"}, "cls_patch"),
        ("dyn3x3", "", {"enable_depth": "yes"}, "true or false"),
        ("dyn3x3", "", {"max_tiles": 0}, "at least 1"),
        ("dyn3x3", "", {"min_tiles": 2.5}, "whole number"),
        ("dyn3x3", "", {"s2": True}, "dynamic_s2"),
        ("dyn3x3", "", {"image_encoder": "not json"}, "image_encoder"),
        ("dyn3x3", "", {"image_encoder": {"end_tokens": 5}}, "end_tokens"),
        ("s2", "", {"s2_scales": "112,200"}, "multiples of 112"),
        ("s2", "", {"s2_scales": "112,112,224"}, "every scale once"),
        ("s2", "", {"s2_scales": "small,large"}, "448,896,1344"),
        ("s2", "", {"s2_resize_output_to_scale_idx": 3}, "-3 to 2"),
        ("dyn3x3", "llm", {"hidden_size": ...}, "llm.*'hidden_size' is missing"),
        ("dyn3x3", "llm", {"model_type": "llama"}, "qwen2"),
        ("dyn3x3", "llm", {"use_sliding_window": True}, "use_sliding_window"),
        ("s2", "", {"dynamic_s2": False}, "True, with 'dynamic_s2' pictures"),
        ("dyn3x3", "", {"dynamic_s2": True}, "False, with 'dynamic' pictures"),
        ("dyn3x3", "llm", {"rope_scaling": {"type": "yarn", "factor": 2}}, "default, linear"),
        ("dyn3x3", "llm", {"rope_scaling": {"type": "linear"}}, "rope_scaling: 'factor'"),
        ("dyn3x3", "llm", {"rope_scaling": 2}, "object or null"),
        ("dyn3x3", "llm", {"num_hidden_layers": 10**9}, "at most 1000"),
        ("dyn3x3", "llm", {"num_attention_heads": 5}, "divisor of 64"),
        ("dyn3x3", "llm", {"num_key_value_heads": 3}, "divisor of 4"),
        ("dyn3x3", "vision_tower", {"num_attention_heads": 5}, "divisor of 32"),
        ("dyn3x3", "vision_tower", {"image_size": "112"}, "whole number"),
        ("dyn3x3", "vision_tower", {"patch_size": 999}, "up to 112"),
        ("dyn3x3", "vision_tower", {"layer_norm_eps": -1}, "greater than 0"),
        ("dyn3x3", "vision_tower", {"layer_norm_eps": 10**400}, "a finite number"),
        ("dyn3x3", "depth_tower", {"image_size": 56}, "112, as in vision_tower"),
        ("dyn3x3", "mm_projector", {"mm_projector_type": None}, "mm_projector_type"),
    ],
)
def test_what_cannot_be_is_named_with_what_would_be_right(checkpoint, name, part, changes, words):
    path = checkpoint(name)
    edit(path / part / "config.json", **changes)

    with pytest.raises(CheckpointError, match=words):
        RoboReferConfig.from_directory(path)


@pytest.mark.parametrize("part", ["", "llm", "vision_tower", "mm_projector"])
def test_any_wrong_value_gives_a_network_or_a_typed_error(tiny, part):
    config = RoboReferConfig.from_directory(tiny / "checkpoints" / "dyn3x3")
    vocabulary = Vocabulary.from_checkpoint(config)
    refused = 0
    for key in config.files[part]:
        if key.endswith("_cfg"):
            continue
        for wrong in (-1, "x", {"a": 1}, float("nan")):
            files = {name: dict(content) for name, content in config.files.items()}
            files[part][key] = wrong
            try:
                changed = RoboReferConfig.from_files(files)
                if part:
                    build_without_weights(changed, vocabulary)
            except CheckpointError:
                refused += 1

    assert refused > 0


@pytest.mark.parametrize(
    ("changes", "theta", "factor"),
    [
        ({}, 1e6, 1.0),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, 1e6, 2.0),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}, 5e5, 1.0),
    ],
)
def test_position_embedding_is_read_in_both_spellings(checkpoint, changes, theta, factor):
    path = checkpoint()
    edit(path / "llm" / "config.json", **changes)

    language = RoboReferConfig.from_directory(path).language

    assert (language.rope_theta, language.rope_factor) == (theta, factor)


def test_linear_scaling_divides_the_positions(checkpoint):
    path = checkpoint()
    plain = load_checkpoint(path).llm.model.rotary_emb
    edit(path / "llm" / "config.json", rope_scaling={"type": "linear", "factor": 4.0})
    scaled = load_checkpoint(path).llm.model.rotary_emb
    states = torch.zeros(1)

    ours = scaled(states, torch.tensor([[8]]))
    expected = plain(states, torch.tensor([[2]]))

    torch.testing.assert_close(ours, expected)


def test_scales_may_be_merged_for_uncut_pictures(checkpoint):
    path = checkpoint("s2")
    edit(path / "config.json", image_aspect_ratio="resize")

    config = RoboReferConfig.from_directory(path)

    assert (config.picture_mode, config.s2_scales) == ("resize", (112, 224, 336))


@pytest.mark.parametrize(
    "part", ["llm", "vision_tower", "mm_projector", "depth_tower", "depth_projector"]
)
def test_missing_part_is_named(checkpoint, part):
    path = checkpoint()
    shutil.rmtree(path / part)

    with pytest.raises(CheckpointError, match=f"'{part}'"):
        RoboReferConfig.from_directory(path)


@pytest.mark.parametrize("text", ["", "[]", "{", "\udcff", '{"a": ' * 100_000, "9" * 9000])
def test_broken_json_is_named(checkpoint, text):
    path = checkpoint()
    (path / "llm" / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(CheckpointError, match=r"llm.config\.json"):
        RoboReferConfig.from_directory(path)


def test_missing_configuration_is_named(checkpoint):
    path = checkpoint()
    (path / "config.json").unlink()

    with pytest.raises(CheckpointError, match=r"config\.json is missing"):
        RoboReferConfig.from_directory(path)


@pytest.fixture
def hub(monkeypatch):
    """Stand in for the hub; it notes what was asked for."""
    asked: list[str] = []

    def snapshot_download(name, **_):
        asked.append(name)
        raise OSError("no network in tests")

    package, errors = ModuleType("huggingface_hub"), ModuleType("huggingface_hub.errors")
    package.snapshot_download = snapshot_download
    errors.HfHubHTTPError = OSError
    monkeypatch.setitem(sys.modules, "huggingface_hub", package)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", errors)
    return asked


@pytest.mark.parametrize("wrong", ["/no/such/folder", "~/none", "./a/b", "plain", "a/b/c", ""])
def test_missing_directory_never_asks_the_hub(wrong, hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if wrong == "":
        wrong = str(tmp_path / "none")

    with pytest.raises(CheckpointError, match="no directory"):
        resolve_checkpoint(wrong)

    assert hub == []


def test_mistyped_path_below_a_real_folder_never_asks_the_hub(hub, tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)

    with pytest.raises(CheckpointError, match="models"):
        resolve_checkpoint("models/RoboRefer-2B")

    assert hub == []


def test_name_of_the_hub_is_asked_for_when_a_person_gives_one(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UnavailableError, match="no network in tests"):
        resolve_checkpoint("Zhoues/RoboRefer-2B-SFT")

    assert hub == ["Zhoues/RoboRefer-2B-SFT"]
