# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from roborefer_vlm.exceptions import CheckpointError, ConfigurationError
from roborefer_vlm.model import checkpoint as checkpoint_module
from roborefer_vlm.model.checkpoint import load_checkpoint, save_checkpoint
from roborefer_vlm.model.processor import Processor
from roborefer_vlm.model.tensor_files import find_tensors, read_tensor, write_tensors
from safetensors.torch import load_file, save_file

PARTS = ["llm", "vision_tower", "mm_projector", "depth_tower", "depth_projector"]


def change_weights(directory: Path, change) -> None:
    """Rewrite the single weight file of a part with what `change` makes of its tensors."""
    tensors = load_file(directory / "model.safetensors")
    save_file(change(dict(tensors)), directory / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("name", ["dyn3x3", "s2", "s2mid", "resize", "shared"])
def test_saved_network_loads_to_the_same_logits(tiny, tmp_path, name):
    source = tiny / "checkpoints" / name
    model = load_checkpoint(source)
    request = Processor.from_checkpoint(source).prepare([], [], "Where is the cup?")
    tiles = torch.randn(1, 3, *[model.config.vision.image_size] * 2)

    save_checkpoint(model, tmp_path / "saved")
    again = load_checkpoint(tmp_path / "saved")

    assert again.dtype == model.dtype
    with torch.no_grad():
        assert torch.equal(again([request]), model([request]))
        assert torch.equal(again.vision_tower(tiles), model.vision_tower(tiles))
    for name, parameter in model.named_parameters():
        assert torch.equal(again.get_parameter(name), parameter), name


def test_saved_directory_has_all_parts_and_the_tokenizer(tiny, tmp_path):
    source = tiny / "checkpoints" / "dyn3x3"

    save_checkpoint(load_checkpoint(source), tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {*PARTS, "config.json"}
    for part in PARTS:
        assert {path.name for path in (tmp_path / part).iterdir()} == {
            path.name for path in (source / part).iterdir()
        }
    prompt = "Point to <image> or <|im_end|>."
    ours, theirs = (
        Processor.from_checkpoint(path).prepare([], [], prompt) for path in (tmp_path, source)
    )
    assert torch.equal(ours.input_ids, theirs.input_ids)


def test_saved_files_are_read_by_the_library_of_the_format(tiny, tmp_path):
    model = load_checkpoint(tiny / "checkpoints" / "s2mid")

    save_checkpoint(model, tmp_path)

    for part in PARTS:
        stored = load_file(tmp_path / part / "model.safetensors")
        parameters = dict(model.get_submodule(part).named_parameters())
        assert stored.keys() == parameters.keys()
        assert all(torch.equal(stored[name], parameters[name]) for name in stored)


def test_network_may_be_saved_over_where_it_came_from(checkpoint):
    path = checkpoint("s2")
    model = load_checkpoint(path)
    with torch.no_grad():
        model.llm.model.norm.weight.mul_(2)

    save_checkpoint(model, path)

    # The six shards of before would contradict the one file of now.
    assert [p.name for p in (path / "llm").glob("model*")] == ["model.safetensors"]
    again = load_checkpoint(path)
    assert torch.equal(again.llm.model.norm.weight, model.llm.model.norm.weight)


def test_large_part_is_saved_in_shards_with_an_index(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_module, "_LARGEST_FILE", 150_000)
    model = load_checkpoint(tiny / "checkpoints" / "dyn3x3")

    save_checkpoint(model, tmp_path)

    shards = sorted(path.name for path in (tmp_path / "llm").glob("*.safetensors"))
    assert len(shards) > 2
    assert shards[0] == f"model-00001-of-{len(shards):05d}.safetensors"
    index = json.loads((tmp_path / "llm" / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == set(shards)
    again = load_checkpoint(tmp_path)
    for name, parameter in model.named_parameters():
        assert torch.equal(again.get_parameter(name), parameter)


def test_head_of_a_tied_model_is_tolerated_and_the_embedding_used(checkpoint):
    path = checkpoint("dyn3x3")
    reference = load_checkpoint(path)
    change_weights(
        path / "llm",
        lambda tensors: tensors | {"lm_head.weight": torch.zeros(560, 64)},
    )

    model = load_checkpoint(path)

    assert model.llm.lm_head.weight is model.llm.model.embed_tokens.weight
    assert torch.equal(model.llm.lm_head.weight, reference.llm.lm_head.weight)


@pytest.mark.parametrize("rows", [500, 700])
@pytest.mark.parametrize("name", ["dyn3x3", "shared"])
def test_embedding_gets_the_rows_of_the_tokenizer(checkpoint, name, rows):
    path = checkpoint(name)
    before = load_checkpoint(path).llm.model.embed_tokens.weight

    def resize(tensors):
        for key in ("model.embed_tokens.weight", "lm_head.weight"):
            if key in tensors:
                old = tensors[key]
                more = torch.full((max(0, rows - len(old)), 64), 9.0)
                tensors[key] = torch.cat([old, more])[:rows].contiguous()
        return tensors

    change_weights(path / "llm", resize)
    config = json.loads((path / "llm" / "config.json").read_text())
    (path / "llm" / "config.json").write_text(json.dumps(config | {"vocab_size": rows}))

    model = load_checkpoint(path)

    for weight in (model.llm.model.embed_tokens.weight, model.llm.lm_head.weight):
        assert len(weight) == len(before)
    kept = min(rows, len(before))
    after = model.llm.model.embed_tokens.weight
    assert torch.equal(after[:kept], before[:kept])
    for row in after[kept:]:
        torch.testing.assert_close(row, before[:kept].mean(0))


def test_pooling_head_is_not_loaded(tiny):
    stored = find_tensors(tiny / "checkpoints" / "resize" / "vision_tower")

    model = load_checkpoint(tiny / "checkpoints" / "resize")

    assert any(name.startswith("vision_model.head.") for name in stored)
    assert not any("head" in name for name, _ in model.vision_tower.named_parameters())


def test_buffers_that_older_versions_stored_are_passed_over(checkpoint):
    path = checkpoint()
    buffers = {
        "llm": {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.zeros(8)},
        "vision_tower": {"vision_model.embeddings.position_ids": torch.arange(64)},
    }
    for part, more in buffers.items():
        change_weights(path / part, lambda tensors, more=more: tensors | more)

    load_checkpoint(path)


def test_embedding_without_a_row_is_refused(checkpoint):
    path = checkpoint()
    change_weights(
        path / "llm",
        lambda tensors: tensors | {"model.embed_tokens.weight": torch.zeros(0, 64)},
    )

    with pytest.raises(CheckpointError, match=r"embed_tokens\.weight' has shape \[0, 64\]"):
        load_checkpoint(path)


def test_missing_and_unexpected_tensors_are_named(checkpoint):
    path = checkpoint()

    def rename(tensors):
        tensors["layers.1.wait"] = tensors.pop("layers.1.weight")
        return tensors

    change_weights(path / "mm_projector", rename)

    with pytest.raises(
        CheckpointError,
        match=r"mm_projector.*1 missing: layers\.1\.weight; 1 unexpected: layers\.1\.wait",
    ):
        load_checkpoint(path)


def test_tensor_of_another_shape_is_named(checkpoint):
    path = checkpoint()
    change_weights(
        path / "vision_tower",
        lambda tensors: tensors | {"vision_model.post_layernorm.bias": torch.zeros(31)},
    )

    with pytest.raises(CheckpointError, match=r"post_layernorm\.bias' has shape \[31\]; \[32\]"):
        load_checkpoint(path)


def test_absent_weights_are_named(checkpoint):
    path = checkpoint()
    (path / "depth_projector" / "model.safetensors").unlink()

    with pytest.raises(CheckpointError, match=r"depth_projector has no weights"):
        load_checkpoint(path)


def test_lost_shard_is_named(checkpoint):
    path = checkpoint("s2")
    (path / "llm" / "model-00004-of-00006.safetensors").unlink()

    with pytest.raises(CheckpointError, match=r"00004-of-00006.* is missing"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "weight_map",
    [
        {"a": "../../secret.safetensors"},
        {"a": 5},
        [],
        {"no.such": "model-00001-of-00006.safetensors"},
    ],
)
def test_index_that_points_elsewhere_is_refused(checkpoint, weight_map):
    path = checkpoint("s2")
    index = path / "llm" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))

    with pytest.raises(CheckpointError, match=r"index\.json"):
        load_checkpoint(path)


def header(entries: object) -> bytes:
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        (1 << 60).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{[",
        header([1]),
        header({"a": 5}),
        header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 9]}}) + bytes(9),
        header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}) + bytes(7),
        header({"a": {"dtype": "F32", "shape": [-1, -2], "data_offsets": [0, 8]}}) + bytes(8),
        header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}}) + bytes(8),
        header({"a": {"dtype": "F32", "shape": [10**15], "data_offsets": [0, 4 * 10**15]}}),
        header({"a": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}}) + bytes(8),
        header({"a": {"dtype": "F32", "shape": "2", "data_offsets": [0, 8]}}) + bytes(8),
    ],
)
def test_broken_weight_file_is_refused_by_its_header(checkpoint, content):
    path = checkpoint()
    (path / "mm_projector" / "model.safetensors").write_bytes(content)

    with pytest.raises(CheckpointError, match=r"mm_projector.model\.safetensors"):
        load_checkpoint(path)


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("wanted", [torch.float32, torch.bfloat16, torch.float16])
def test_number_format_is_converted_while_reading(tmp_path, monkeypatch, stored, wanted):
    monkeypatch.setattr("roborefer_vlm.model.tensor_files._CHUNK", 7)
    original = torch.randn(5, 6, dtype=torch.float64).to(stored)
    write_tensors(tmp_path / "model.safetensors", {"first": original[0], "all": original})
    target = torch.empty(5, 6, dtype=wanted)

    read_tensor(find_tensors(tmp_path)["all"], target)

    assert torch.equal(target, original.to(wanted))


def test_number_format_of_the_language_model_is_kept_unless_told(tiny):
    path = tiny / "checkpoints" / "s2mid"

    assert load_checkpoint(path).dtype == torch.bfloat16
    assert load_checkpoint(path, dtype=torch.float16).dtype == torch.float16
    with pytest.raises(ConfigurationError, match="int8"):
        load_checkpoint(path, dtype=torch.int8)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_near_single(tiny, requests, model, dtype):
    half = load_checkpoint(tiny / "checkpoints" / "dyn3x3", dtype=dtype)

    with torch.no_grad():
        exact, rounded = model(requests[2:3])[0, -1], half(requests[2:3])[0, -1].float()
    written = half.generate(requests, max_new_tokens=8)

    # The weights of the tiny model are drawn wide, so rounding moves its logits (of a spread of
    # about 3) more than those of a trained one.
    limit = 0.5 if dtype is torch.bfloat16 else 0.1
    assert (exact - rounded).abs().max() < limit
    assert all(0 < len(one.ids) <= 8 for one in written)
