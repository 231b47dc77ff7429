# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from roborefer_vlm.exceptions import CheckpointError, QueryError
from roborefer_vlm.model.inputs import ModelInput, PictureBlock
from roborefer_vlm.model.multiscale import cut_blocks, join_tiles, merge_scales
from roborefer_vlm.model.projector import Fold, Projector
from roborefer_vlm.model.splicing import MediaItems, splice


def test_fold_pads_below_and_right_and_orders_neighbours_row_by_row():
    # A 3 x 3 grid of numbers 1 to 9, folded by 2, needs one more row and column.
    grid = torch.arange(1.0, 10.0).view(1, 9, 1)

    folded = Fold(2)(grid)

    assert folded[0].tolist() == [[1, 2, 4, 5], [3, 0, 6, 0], [7, 8, 0, 0], [9, 0, 0, 0]]


def test_fold_keeps_the_channels_of_a_neighbour_together():
    grid = torch.arange(8.0).view(1, 4, 2)

    assert Fold(2)(grid)[0].tolist() == [[0, 1, 2, 3, 4, 5, 6, 7]]


@pytest.mark.parametrize(
    ("kind", "grid", "tokens"),
    [
        *(("linear", 5, 25), ("mlp1x_gelu", 5, 25), ("mlp2x_gelu", 5, 25)),
        *(("mlp12x_gelu", 5, 25), ("mlp_downsample", 5, 9)),
        *(("mlp_downsample_2x2_fix", 5, 9), ("mlp_downsample_3x3_fix", 5, 4)),
        # A tile of the published towers.
        *(("mlp_downsample", 32, 256), ("mlp_downsample_3x3_fix", 32, 121)),
    ],
)
def test_projectors_give_the_tokens_they_promise(kind, grid, tokens):
    features = torch.randn(2, grid * grid, 6)

    projected = Projector(kind, 6, 10)(features)

    assert projected.shape == (2, tokens, 10)


def test_names_of_a_plain_stack_count_its_activations():
    names = [name for name, _ in Projector("mlp2x_gelu", 6, 10).named_parameters()]

    assert names == ["layers.0.weight", "layers.0.bias", "layers.2.weight", "layers.2.bias"]


def test_identity_projector_changes_nothing_and_needs_equal_widths():
    features = torch.randn(1, 4, 6)

    assert torch.equal(Projector("identity", 6, 6)(features), features)
    with pytest.raises(CheckpointError, match="6 and 10"):
        Projector("identity", 6, 10)


@pytest.mark.parametrize("kind", ["mlp0x_gelu", "resampler", "", "mlp99999x_gelu"])
def test_unknown_projector_is_named(kind):
    with pytest.raises(CheckpointError, match="known are mlp_downsample"):
        Projector(kind, 6, 10)


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (3, 4), (6, 2)])
def test_cutting_undoes_joining(rows, cols):
    tiles = torch.randn(rows * cols, 9, 5)

    joined = join_tiles(tiles, rows, cols)

    assert joined.shape == (3 * rows, 3 * cols, 5)
    assert torch.equal(cut_blocks(joined, rows, cols), tiles)


def test_joined_tiles_lie_row_by_row():
    tiles = torch.arange(4.0)[:, None, None].expand(4, 1, 1)

    assert join_tiles(tiles, 2, 2)[..., 0].tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_scales_are_stacked_small_first_at_the_size_of_the_kept_one(kept):
    # One constant per scale survives any averaging or repetition.
    counts = [1, 4, 12]
    features = torch.cat(
        [torch.full((count, 4, 2), float(scale)) for scale, count in enumerate(counts)]
    )

    blocks, grid = merge_scales(features, (56, 112, 168), kept, 3, 4)

    assert grid == [(1, 1), (2, 2), (3, 4)][kept]
    assert blocks.shape == (grid[0] * grid[1], 4, 6)
    assert torch.equal(blocks[0, 0], torch.tensor([0.0, 0, 1, 1, 2, 2]))


def test_shrinking_averages_the_cells_of_an_area():
    # The largest scale, 2 x 2 tiles of one cell each, is brought to the one cell of the smallest.
    features = torch.tensor([5.0, 1, 2, 3, 10])[:, None, None]

    blocks, _ = merge_scales(features, (56, 112), 0, 2, 2)

    assert blocks[0, 0].tolist() == [5.0, 4.0]


def test_uncut_picture_is_seen_at_every_scale():
    tile = torch.randn(1, 4, 2)

    blocks, grid = merge_scales(tile, (56, 112, 168), 2, 3, 3)

    assert grid == (1, 1)
    assert torch.equal(blocks, torch.cat([tile, tile, tile], dim=-1))


def test_wrong_number_of_tiles_is_refused():
    with pytest.raises(QueryError, match="17 are needed"):
        merge_scales(torch.zeros(16, 4, 2), (56, 112, 168), 2, 3, 4)


def test_tower_looks_at_many_tiles_in_portions_and_gives_the_same(model, monkeypatch):
    tiles = torch.randn(5, 3, 112, 112)
    with torch.no_grad():
        whole = model.vision_tower(tiles)
        monkeypatch.setattr("roborefer_vlm.model.towers.TILES_AT_ONCE", 2)

        portions = model.vision_tower(tiles)

    torch.testing.assert_close(portions, whole)


def test_last_layer_and_norm_of_a_tower_are_never_computed(model):
    unused = [
        model.vision_tower.vision_model.encoder.layers[-1],
        model.vision_tower.vision_model.post_layernorm,
    ]
    called = []
    hooks = [module.register_forward_hook(lambda *_: called.append(1)) for module in unused]

    with torch.no_grad():
        model.vision_tower(torch.zeros(1, 3, 112, 112))
    for hook in hooks:
        hook.remove()

    assert called == []


def test_every_media_item_is_followed_by_a_newline_embedding(model, requests):
    text, one_picture = requests[0], requests[1]

    lengths = model.embed([text, one_picture]).lengths

    tiles = len(one_picture.image_tiles)
    assert lengths[0] == len(text.input_ids)
    # A placeholder becomes 9 features and a newline.
    assert lengths[1] == len(one_picture.input_ids) + tiles * 9
    newline = model.llm.model.embed_tokens.weight[model.vocabulary.around_image[1][0]]
    place = one_picture.input_ids.tolist().index(model.vocabulary.image)
    embedded = model.embed([one_picture]).embeddings[0]
    assert torch.equal(embedded[place + 9], newline)


def test_items_of_each_kind_replace_their_placeholders_in_order():
    ids = torch.tensor([5, 1, 6, 2, 1, 7])
    words = ids[:, None].float()
    newline = torch.tensor([[0.0]])
    none = torch.empty(0, 1)
    media = {
        1: MediaItems(
            "image", [torch.tensor([[10.0], [11.0]]), torch.tensor([[12.0]])], none, newline
        ),
        2: MediaItems("depth", [torch.tensor([[20.0]])], newline, none),
    }

    row, labels = splice(ids, words, ids, media)

    assert row[:, 0].tolist() == [5, 10, 11, 0, 6, 0, 20, 12, 0, 7]
    assert labels.tolist() == [5, -100, -100, -100, 6, -100, -100, -100, -100, 7]


def test_rows_are_padded_on_the_right_with_zeros(model, requests):
    embedded = model.embed(requests)

    for row, length in enumerate(embedded.lengths):
        assert embedded.mask[row].tolist() == [True] * length + [False] * (
            embedded.mask.shape[1] - length
        )
        assert not embedded.embeddings[row, length:].any()
        assert embedded.positions[row].tolist() == list(range(embedded.mask.shape[1]))


def test_long_row_is_cut_at_its_end(tiny, requests):
    from roborefer_vlm.model.checkpoint import load_checkpoint

    model = load_checkpoint(tiny / "checkpoints" / "dyn3x3")
    whole = model.embed(requests[2:3]).embeddings[0]
    model.vocabulary = replace(model.vocabulary, longest=100)

    cut = model.embed(requests[2:3])

    assert cut.lengths == (100,)
    torch.testing.assert_close(cut.embeddings[0], whole[:100])


@pytest.mark.parametrize("change", ["fewer placeholders", "more placeholders", "tiles", "shape"])
def test_pictures_that_do_not_fit_the_prompt_are_refused(model, requests, change):
    one = requests[1]
    image = model.vocabulary.image
    ids, tiles, blocks = one.input_ids, one.image_tiles, one.image_blocks
    if change == "fewer placeholders":
        ids = ids[ids != image]
    elif change == "more placeholders":
        ids = torch.cat([ids, torch.tensor([image])])
    elif change == "tiles":
        blocks = (PictureBlock(blocks[0].tiles + 1, 1, 1, 1),)
    else:
        tiles = tiles[..., :-14]

    with pytest.raises(QueryError, match=r"placeholders for|is needed"):
        model.embed([ModelInput(ids, tiles, one.depth_tiles, blocks, ())])


def test_depth_without_a_depth_part_is_refused(tiny, checkpoint, requests):
    import json

    from roborefer_vlm.model.checkpoint import load_checkpoint

    path = checkpoint()
    top = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(top | {"enable_depth": False}))
    model = load_checkpoint(path)

    assert model.depth_projector is None
    with pytest.raises(QueryError, match="no depth"):
        model.embed(requests[2:3])
