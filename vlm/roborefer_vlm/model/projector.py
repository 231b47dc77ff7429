# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From the features of a tower to embeddings of the language model.

The modules keep the numbering of the published files (`layers.<index>`), in which steps without
weights (fold, activation) count as well.
"""

from __future__ import annotations

import re

import torch
from torch import nn
from torch.nn import functional

from roborefer_vlm.exceptions import CheckpointError

_MLP = re.compile(r"mlp(\d{1,2})x_gelu")
_FOLDS = {
    "mlp_downsample": 2,
    "mlp_downsample_2x2_fix": 2,
    "mlp_downsample_3x3_fix": 3,
}
KNOWN_TYPES = (*_FOLDS, "linear", "identity", "mlpNx_gelu")


class Fold(nn.Module):
    """Puts the vectors of k x k neighbours into one.

    The grid is padded with zeros below and to the right until k divides it. In an output vector
    the neighbours follow row by row.
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Fold (N, rows * cols, C), a square grid, to (N, cells, k * k * C)."""
        count, length, channels = features.shape
        side, k = round(length**0.5), self.k
        grid = features.view(count, side, side, channels)
        missing = -side % k
        if missing:
            grid = functional.pad(grid, (0, 0, 0, missing, 0, missing))
        cells = (side + missing) // k
        grid = grid.view(count, cells, k, cells, k, channels).transpose(2, 3)
        return grid.reshape(count, cells * cells, k * k * channels)


class Projector(nn.Module):
    """A stack of the steps that a projector type stands for."""

    def __init__(self, kind: str, channels: int, width: int) -> None:
        """Build the stack.

        Args:
            kind: `mm_projector_type` of the configuration.
            channels: Width of a feature vector that comes in.
            width: Width of the language model.

        Raises:
            CheckpointError: The type is not known, or cannot have these widths.
        """
        super().__init__()
        self.kind = kind
        self.layers = nn.Sequential(*_steps(kind, channels, width))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Project (N, rows * cols, channels), square grids, to (N, cells, width)."""
        projected: torch.Tensor = self.layers(features)
        return projected


def _steps(kind: str, channels: int, width: int) -> list[nn.Module]:
    if kind == "identity":
        if channels != width:
            raise CheckpointError(
                f"projector 'identity' between {channels} and {width} channels; they must be equal"
            )
        return [nn.Identity()]
    if kind == "linear":
        return [nn.Linear(channels, width)]
    if kind == "mlp_downsample_3x3_fix":
        return [
            Fold(3),
            nn.LayerNorm(9 * channels),
            nn.Linear(9 * channels, 3 * channels),
            nn.GELU(),
            nn.LayerNorm(3 * channels),
            nn.Linear(3 * channels, width),
            nn.GELU(),
            nn.Linear(width, width),
        ]
    if kind in _FOLDS:
        return [
            Fold(2),
            nn.LayerNorm(4 * channels),
            nn.Linear(4 * channels, width),
            nn.GELU(),
            nn.Linear(width, width),
        ]
    match = _MLP.fullmatch(kind)
    if match is None or int(match[1]) < 1:
        raise CheckpointError(
            f"projector type '{kind}' is not known; known are {', '.join(KNOWN_TYPES)}"
        )
    steps: list[nn.Module] = [nn.Linear(channels, width)]
    for _ in range(int(match[1]) - 1):
        steps += [nn.GELU(), nn.Linear(width, width)]
    return steps
