# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What training costs: products per step, and memory of weights, gradients and optimizer.

Counted as is usual for model FLOP utilisation (arXiv 2204.02311, appendix B): two operations per
weight and position forwards; as many backwards for what has to pass a gradient on and as many
again for what learns; nothing for what is computed twice to save memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from roborefer_vlm.model import configuration as parts
from roborefer_vlm.model.network import RoboReferModel
from roborefer_vlm.model.projector import Fold, Projector
from roborefer_vlm.model.towers import VisionTower

# Products per second of dense bfloat16 matrices, from the makers' data sheets.
_PEAKS = {
    "B200": 2.25e15,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}
# Bytes of one weight of the optimizer, its gradient, and its two running means, all float32.
_WEIGHT, _GRADIENT, _MEANS = 4, 4, 8


@dataclass(frozen=True)
class Sizes:
    """Weights of one part."""

    part: str
    weights: int
    learning: int


def sizes_of(model: RoboReferModel) -> list[Sizes]:
    """Return how many weights the parts have and how many of them learn."""
    return [
        Sizes(
            part,
            sum(one.numel() for one in module.parameters()),
            sum(one.numel() for one in module.parameters() if one.requires_grad),
        )
        for part, module in model.named_children()
        if part in model.config.parts
    ]


def state_bytes(sizes: Sequence[Sizes], processes: int = 1) -> int:
    """Return the memory per process of weights, gradients and optimizer, spread evenly."""
    weights = sum(one.weights for one in sizes)
    learning = sum(one.learning for one in sizes)
    return (weights * _WEIGHT + learning * (_GRADIENT + _MEANS)) // processes


class StepCost:
    """Operations of a forward and backward pass; made before weights are spread."""

    def __init__(self, model: RoboReferModel) -> None:
        """Count what a network computes per position and tile, as it learns now."""
        depth_tower = model.depth_tower if model.depth_tower is not None else model.vision_tower
        self.per_image_tile = _tile_flops(model.vision_tower, model.mm_projector)
        self.per_depth_tile = (
            0.0
            if model.depth_projector is None
            else _tile_flops(depth_tower, model.depth_projector)
        )
        below = any(
            _learns(module) for name, module in model.named_children() if name != parts.LLM
        )
        learns = _learns(model.llm)
        passes = 1 + (below or learns) + learns
        language = model.config.language
        # The output matrix only meets what is learnt, which is little.
        self.per_position = 2.0 * passes * _products(model.llm.model.layers)
        # Scores and weighted sums of causal attention, half of a square each. Both factors of
        # these products have gradients, whether or not weights learn.
        width = language.layers * language.heads * language.head_width
        self.per_pair = 2.0 * (3 if below or learns else 1) * width

    def flops(self, lengths: Sequence[int], image_tiles: int, depth_tiles: int) -> float:
        """Return the operations for samples of so many positions, and so many tiles in all."""
        return (
            self.per_position * sum(lengths)
            + self.per_pair * sum(length**2 for length in lengths)
            + self.per_image_tile * image_tiles
            + self.per_depth_tile * depth_tiles
        )


def peak_flops(device: torch.device) -> float | None:
    """Return the bfloat16 operations per second of a GPU, or None where they are not known."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for known, peak in _PEAKS.items() if known in name), None)


def _tile_flops(tower: VisionTower, projector: Projector) -> float:
    config = tower.config
    patches = config.grid**2
    layers = tower.vision_model.encoder.layers[: config.select_layer]
    weights = _products(layers) + _products(tower.vision_model.embeddings.patch_embedding)
    look = 2.0 * patches * weights + 4.0 * patches**2 * config.hidden_size * len(layers)
    folds = [step.k for step in projector.layers if isinstance(step, Fold)]
    cells = (-(-config.grid // folds[0])) ** 2 if folds else patches
    below, learns = _learns(tower), _learns(projector)
    # The patches of a picture have no gradient.
    return look * (3 if below else 1) + 2.0 * cells * _products(projector) * (1 + below + learns)


def _products(module: nn.Module) -> int:
    return sum(one.numel() for one in module.parameters() if one.ndim > 1)


def _learns(module: nn.Module) -> bool:
    return any(one.requires_grad for one in module.parameters())
