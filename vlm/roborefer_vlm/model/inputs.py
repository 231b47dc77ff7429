# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the network takes: token ids with placeholders, and the tiles that replace them."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class PictureBlock:
    """How the tiles of one picture (or depth picture) are laid out.

    | mode            | tiles                        | placeholders | rows x cols              |
    |-----------------|------------------------------|--------------|--------------------------|
    | `dynamic`       | rows * cols, + 1 thumbnail   | = tiles      | the grid                 |
    |                 | (last) if more than one      |              |                          |
    | `dynamic_s2`    | sum of k * k over all scales | 1            | the grid of the largest  |
    |                 | but the largest, then        |              | scale ("block size")     |
    |                 | rows * cols; small to large  |              |                          |
    | all other modes | 1                            | 1            | 1 x 1                    |

    In a grid the tiles run row by row, from left to right.

    Attributes:
        tiles: How many consecutive entries of the tile tensor belong to this picture.
        placeholders: How many consecutive media tokens of the prompt stand for it.
        rows: Rows of the (largest) grid.
        cols: Columns of the (largest) grid.
    """

    tiles: int
    placeholders: int
    rows: int
    cols: int


@dataclass(frozen=True, eq=False)
class ModelInput:
    """One prompt, ready for the network; on the CPU, without batch dimension.

    The k-th image placeholder of `input_ids` stands for the k-th feature sequence of the image
    tiles, and the same for depth; the two kinds are counted apart. The newline embedding that
    follows every feature sequence is not part of `input_ids`: the network adds it.

    Attributes:
        input_ids: Token ids, int64, shape (T,).
        image_tiles: RGB tiles, float32, shape (N, 3, S, S), normalised; N is 0 without pictures.
        depth_tiles: The same for the depth pictures, shape (M, 3, S, S).
        image_blocks: One entry per picture, in the order of the tiles; their tiles sum to N.
        depth_blocks: One entry per depth picture; their tiles sum to M.
    """

    input_ids: torch.Tensor
    image_tiles: torch.Tensor
    depth_tiles: torch.Tensor
    image_blocks: tuple[PictureBlock, ...] = ()
    depth_blocks: tuple[PictureBlock, ...] = ()
