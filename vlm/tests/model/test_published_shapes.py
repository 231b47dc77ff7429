# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from roborefer_vlm.model.checkpoint import build_without_weights
from roborefer_vlm.model.inputs import ModelInput, PictureBlock
from roborefer_vlm.model.shapes import published_vocabulary, roborefer_2b, roborefer_8b

LINEAR_OF_TOWER = [
    "layer_norm1",
    "layer_norm2",
    "mlp.fc1",
    "mlp.fc2",
    "self_attn.k_proj",
    "self_attn.out_proj",
    "self_attn.q_proj",
    "self_attn.v_proj",
]


def tower_names() -> set[str]:
    names = {
        "vision_model.embeddings.patch_embedding.weight",
        "vision_model.embeddings.patch_embedding.bias",
        "vision_model.embeddings.position_embedding.weight",
        "vision_model.post_layernorm.weight",
        "vision_model.post_layernorm.bias",
    }
    for layer in range(27):
        for inner in LINEAR_OF_TOWER:
            for kind in ("weight", "bias"):
                names.add(f"vision_model.encoder.layers.{layer}.{inner}.{kind}")
    return names


def language_names(*, tied: bool) -> set[str]:
    names = {"model.embed_tokens.weight", "model.norm.weight"}
    if not tied:
        names.add("lm_head.weight")
    for layer in range(28):
        prefix = f"model.layers.{layer}"
        for projection in "qkv":
            names |= {f"{prefix}.self_attn.{projection}_proj.{k}" for k in ("weight", "bias")}
        names.add(f"{prefix}.self_attn.o_proj.weight")
        names |= {f"{prefix}.mlp.{one}_proj.weight" for one in ("gate", "up", "down")}
        names |= {f"{prefix}.{one}_layernorm.weight" for one in ("input", "post_attention")}
    return names


def names_of(module) -> set[str]:
    return {name for name, _ in module.named_parameters()}


@pytest.fixture(scope="module")
def small():
    return build_without_weights(roborefer_2b(), published_vocabulary())


@pytest.fixture(scope="module")
def large():
    return build_without_weights(roborefer_8b(), published_vocabulary())


@pytest.mark.parametrize("which", ["small", "large"])
def test_parts_have_exactly_the_names_on_disk(which, request):
    model = request.getfixturevalue(which)
    projector = (1, 2, 4, 5, 7) if which == "small" else (1, 2, 4)

    stack = {f"layers.{index}.{kind}" for index in projector for kind in ("weight", "bias")}

    assert all(parameter.is_meta for parameter in model.parameters())
    assert names_of(model.llm) == language_names(tied=which == "small")
    assert names_of(model.vision_tower) == names_of(model.depth_tower) == tower_names()
    assert names_of(model.mm_projector) == names_of(model.depth_projector) == stack


@pytest.mark.parametrize(
    ("which", "name", "shape"),
    [
        ("small", "llm.model.embed_tokens.weight", (151_652, 1536)),
        ("small", "llm.model.layers.27.self_attn.k_proj.bias", (256,)),
        ("small", "llm.model.layers.0.mlp.down_proj.weight", (1536, 8960)),
        ("small", "mm_projector.layers.1.weight", (10_368,)),
        ("small", "mm_projector.layers.2.weight", (3456, 10_368)),
        ("small", "depth_projector.layers.5.weight", (1536, 3456)),
        ("small", "depth_projector.layers.7.weight", (1536, 1536)),
        (
            "small",
            "vision_tower.vision_model.embeddings.patch_embedding.weight",
            (1152, 3, 14, 14),
        ),
        ("small", "vision_tower.vision_model.embeddings.position_embedding.weight", (1024, 1152)),
        ("small", "depth_tower.vision_model.encoder.layers.26.mlp.fc1.weight", (4304, 1152)),
        ("large", "llm.lm_head.weight", (151_652, 3584)),
        ("large", "llm.model.layers.0.self_attn.k_proj.weight", (512, 3584)),
        ("large", "llm.model.layers.0.mlp.gate_proj.weight", (18_944, 3584)),
        ("large", "mm_projector.layers.1.weight", (13_824,)),
        ("large", "mm_projector.layers.2.weight", (3584, 13_824)),
        ("large", "depth_projector.layers.4.weight", (3584, 3584)),
    ],
)
def test_key_tensors_have_the_published_shapes(which, name, shape, request):
    model = request.getfixturevalue(which)

    assert tuple(model.get_parameter(name).shape) == shape


@pytest.mark.parametrize(
    ("which", "part", "megabytes"),
    [
        # Sizes of published files at two bytes per parameter.
        ("small", "vision_tower", 827),
        ("large", "vision_tower", 827),
        ("small", "mm_projector", 87),
        ("large", "mm_projector", 125),
    ],
)
def test_parts_have_the_published_sizes(which, part, megabytes, request):
    module = request.getfixturevalue(which).get_submodule(part)

    size = sum(2 * parameter.numel() for parameter in module.parameters())

    assert size / 1e6 == pytest.approx(megabytes, abs=1)


def test_tied_head_is_the_embedding_and_untied_is_not(small, large):
    assert small.llm.lm_head.weight is small.llm.model.embed_tokens.weight
    assert large.llm.lm_head.weight is not large.llm.model.embed_tokens.weight


def test_second_to_last_layer_is_selected(small):
    assert small.vision_tower.config.select_layer == 26


@pytest.mark.parametrize(
    ("which", "blocks", "features"),
    [
        # A thumbnail behind 12 tiles of 121 vectors, each with a newline.
        ("small", PictureBlock(13, 13, 3, 4), 13 * 122),
        # 1 + 4 + 12 tiles of one picture, 12 blocks of 256 vectors, one newline.
        ("large", PictureBlock(17, 1, 3, 4), 12 * 256 + 1),
    ],
)
def test_rgbd_query_of_the_true_shape_has_the_lengths_of_the_facts(
    which, blocks, features, request
):
    model = request.getfixturevalue(which)
    model.fill_buffers(torch.device("meta"))
    vocabulary = model.vocabulary
    placeholders = torch.tensor([vocabulary.image, vocabulary.depth])
    word = torch.tensor([1000])
    ids = torch.cat([word, placeholders.repeat_interleave(blocks.placeholders), word])
    tiles = torch.empty(blocks.tiles, 3, 448, 448, device="meta")
    query = ModelInput(ids, tiles, tiles, (blocks,), (blocks,))

    with torch.no_grad():
        logits = model([query])

    assert logits.is_meta
    assert logits.shape == (1, 2 + 2 * features, 151_652)
