# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Merging of the scales of a `dynamic_s2` picture into one map of features.

A picture is cut at every scale into tiles of the size the tower takes. The feature grids of one
scale, side by side, are a map of the whole picture; all maps are brought to the size of one of
them and stacked along the channels. The projector then works on blocks of the size of one tile,
so that folding never crosses the border of a block.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from roborefer_vlm.exceptions import QueryError


def grid_of_scale(scales: Sequence[int], index: int, rows: int, cols: int) -> tuple[int, int]:
    """Return (rows, cols) of tiles at one scale; rows and cols are those of the largest one."""
    if index == len(scales) - 1:
        return rows, cols
    side = scales[index] // scales[0]
    return side, side


def join_tiles(tiles: torch.Tensor, rows: int, cols: int) -> torch.Tensor:
    """Put grids side by side: (rows * cols, g * g, C) to a map (rows * g, cols * g, C)."""
    side, channels = round(tiles.shape[1] ** 0.5), tiles.shape[2]
    grid = tiles.view(rows, cols, side, side, channels).transpose(1, 2)
    return grid.reshape(rows * side, cols * side, channels)


def cut_blocks(feature_map: torch.Tensor, rows: int, cols: int) -> torch.Tensor:
    """Undo `join_tiles`: a map (rows * g, cols * g, C) to (rows * cols, g * g, C)."""
    side, channels = feature_map.shape[0] // rows, feature_map.shape[2]
    grid = feature_map.view(rows, side, cols, side, channels).transpose(1, 2)
    return grid.reshape(rows * cols, side * side, channels)


def merge_scales(
    features: torch.Tensor, scales: Sequence[int], output_scale: int, rows: int, cols: int
) -> tuple[torch.Tensor, tuple[int, int]]:
    """Merge the tiles of one picture.

    Args:
        features: Tower output of the tiles, small scale to large, shape (tiles, g * g, C).
        scales: Sides of the scales in pixels, ascending.
        output_scale: Index of the scale whose map size is kept.
        rows: Rows of tiles at the largest scale.
        cols: Columns of tiles at the largest scale.

    Returns:
        Blocks for the projector, shape (blocks, g * g, scales * C), and their (rows, cols).

    Raises:
        QueryError: The number of tiles is not that of the scales.
    """
    grids = [grid_of_scale(scales, index, rows, cols) for index in range(len(scales))]
    counts = [r * c for r, c in grids]
    if len(features) == 1 and sum(counts) != 1:
        # A picture that was not cut: every scale sees the same tile.
        return features.repeat(1, 1, len(scales)), (1, 1)
    if sum(counts) != len(features):
        raise QueryError(
            f"a picture has {len(features)} tiles; {sum(counts)} are needed for scales"
            f" {list(scales)} with {rows} x {cols} tiles at the largest"
        )
    maps = [
        join_tiles(tiles, *grid)
        for tiles, grid in zip(torch.split(features, counts), grids, strict=True)
    ]
    size = maps[output_scale].shape[:2]
    # Area interpolation is an average over cells, done in float32 whatever the weights are.
    resized = [
        one
        if one.shape[:2] == size
        else functional.interpolate(one.permute(2, 0, 1)[None].float(), size=size, mode="area")[0]
        .permute(1, 2, 0)
        .to(features.dtype)
        for one in maps
    ]
    grid = grids[output_scale]
    return cut_blocks(torch.cat(resized, dim=-1), *grid), grid
