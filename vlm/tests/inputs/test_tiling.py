# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of any size and shape are cut as documented."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from roborefer_vlm.exceptions import CheckpointError, PictureError
from roborefer_vlm.model.configuration import RoboReferConfig
from roborefer_vlm.model.inputs import PictureBlock
from roborefer_vlm.model.tiling import Tiling, closest_grid

sides = st.integers(1, 4000)


def grey_levels(tiles) -> np.ndarray:
    return np.rint((tiles.numpy() * 0.5 + 0.5) * 255).astype(np.uint8)


@pytest.fixture(scope="module")
def tiling(golden) -> Tiling:
    return Tiling.from_config(RoboReferConfig.from_directory(golden / "checkpoints" / "dyn3x3"))


@given(sides, sides)
@settings(max_examples=200, deadline=None)
def test_the_grid_is_the_nearest_in_shape(width, height):
    rows, cols = closest_grid(width, height, 1, 12, 448)

    assert 1 <= rows * cols <= 12
    shapes = [c / r for r in range(1, 13) for c in range(1, 13) if r * c <= 12]
    assert abs(cols / rows - width / height) == min(abs(s - width / height) for s in shapes)


@pytest.mark.parametrize(
    ("width", "height", "grid"),
    [
        (448, 448, (1, 1)),
        (600, 600, (1, 1)),
        # More than half of 2 x 2 tiles, then of 3 x 3.
        (640, 640, (2, 2)),
        (1000, 1000, (3, 3)),
        (1280, 720, (2, 4)),
        (640, 480, (3, 4)),
        (4000, 100, (1, 12)),
        (100, 4000, (12, 1)),
    ],
)
def test_larger_pictures_get_larger_grids_of_the_same_shape(width, height, grid):
    assert closest_grid(width, height, 1, 12, 448) == grid


def test_tiles_run_row_by_row_and_the_thumbnail_comes_last(tiling):
    size = tiling.size
    picture = np.zeros((2 * size, 3 * size, 3), np.uint8)
    for row in range(2):
        for col in range(3):
            tile = picture[row * size : (row + 1) * size, col * size : (col + 1) * size]
            tile[:] = (row * 3 + col + 1) * 20

    tiles, blocks = tiling.cut([picture])

    assert blocks == (PictureBlock(tiles=7, placeholders=7, rows=2, cols=3),)
    middles = grey_levels(tiles)[:6, 0, size // 2, size // 2]
    assert middles.tolist() == [20, 40, 60, 80, 100, 120]
    thumbnail = Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC)
    assert (grey_levels(tiles)[6].transpose(1, 2, 0) == np.asarray(thumbnail)).all()


def test_scales_come_small_first_and_without_thumbnail(golden):
    config = RoboReferConfig.from_directory(golden / "checkpoints" / "s2")
    tiling = Tiling.from_config(config)

    tiles, blocks = tiling.cut([np.zeros((90, 160, 3), np.uint8)])

    assert blocks == (PictureBlock(tiles=1 + 4 + 12, placeholders=1, rows=3, cols=4),)
    assert len(tiles) == blocks[0].tiles


def test_padding_puts_the_picture_in_the_middle_of_grey(tiling):
    padded = replace(tiling, mode="pad")
    picture = np.full((tiling.size, 3 * tiling.size, 3), 255, np.uint8)

    tiles, blocks = padded.cut([picture])

    grey = grey_levels(tiles)[0, 0]
    assert blocks == (PictureBlock(1, 1, 1, 1),)
    assert grey[0, 0] == grey[-1, -1] == 127
    assert grey[tiling.size // 2, 0] == 255
    rows = np.flatnonzero(grey[:, 0] == 255)
    assert len(rows) == pytest.approx(tiling.size / 3, abs=3)


def test_an_unknown_mode_squeezes_the_picture_into_one_tile(tiling):
    picture = np.random.default_rng(0).integers(0, 256, (50, 90, 3), dtype=np.uint8)

    tiles, _ = replace(tiling, mode="plain").cut([picture])

    squeezed = Image.fromarray(picture).resize((tiling.size,) * 2, Image.Resampling.BICUBIC)
    assert (grey_levels(tiles)[0].transpose(1, 2, 0) == np.asarray(squeezed)).all()


def test_several_pictures_stand_one_after_the_other(tiling):
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 256, (*s, 3), dtype=np.uint8) for s in ((40, 40), (90, 300))]

    together, blocks = tiling.cut(pictures)

    alone = [tiling.cut([picture])[0] for picture in pictures]
    assert [block.tiles for block in blocks] == [len(tiles) for tiles in alone]
    assert (together[: len(alone[0])] == alone[0]).all()
    assert (together[len(alone[0]) :] == alone[1]).all()


def test_views_and_read_only_arrays_are_cut_like_any_other(tiling):
    picture = np.random.default_rng(2).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    mirrored = picture[:, ::-1]
    mirrored.flags.writeable = False

    assert (tiling.cut([mirrored])[0] == tiling.cut([mirrored.copy()])[0]).all()


def test_no_picture_gives_no_tile(tiling):
    tiles, blocks = tiling.cut([])

    assert tiles.shape == (0, 3, tiling.size, tiling.size)
    assert blocks == ()


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((20_000, 1, 3), np.uint8),
    ],
    ids=["four channels", "floats", "empty", "too long"],
)
def test_what_is_no_picture_is_refused(tiling, picture):
    with pytest.raises(PictureError):
        tiling.cut([picture])


def test_scales_that_need_more_tiles_than_allowed_are_refused(golden):
    config = RoboReferConfig.from_directory(golden / "checkpoints" / "s2")

    with pytest.raises(CheckpointError, match="max_tiles is 4"):
        Tiling.from_config(replace(config, max_tiles=4))


@pytest.mark.parametrize("name", ["dyn3x3", "s2"])
def test_the_number_of_threads_changes_nothing(golden, name):
    tiling = Tiling.from_config(RoboReferConfig.from_directory(golden / "checkpoints" / name))
    rng = np.random.default_rng(3)
    pictures = [rng.integers(0, 256, (70, side, 3), dtype=np.uint8) for side in (50, 300)]
    grey = [rng.integers(0, 256, (90, 60), dtype=np.uint8)]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = tiling.cut_groups(pictures, grey)
        torch.set_num_threads(4)
        shared = tiling.cut_groups(pictures, grey)
    finally:
        torch.set_num_threads(before)

    for (tiles, blocks), (other_tiles, other_blocks) in zip(alone, shared, strict=True):
        assert blocks == other_blocks
        assert torch.equal(tiles, other_tiles)
