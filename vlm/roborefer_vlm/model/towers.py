# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The SigLIP vision transformers that look at the tiles."""

from __future__ import annotations

import torch
from torch import nn
from transformers import SiglipVisionConfig
from transformers.models.siglip.modeling_siglip import SiglipEncoderLayer, SiglipVisionEmbeddings

from roborefer_vlm.model.part_configurations import TowerConfig

# Tiles that go through a tower together when no gradient is wanted; bounds its memory.
TILES_AT_ONCE = 64


class _Encoder(nn.Module):
    def __init__(self, config: SiglipVisionConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            SiglipEncoderLayer(config) for _ in range(config.num_hidden_layers)
        )


class _Transformer(nn.Module):
    def __init__(self, config: SiglipVisionConfig) -> None:
        super().__init__()
        self.embeddings = SiglipVisionEmbeddings(config)
        self.encoder = _Encoder(config)
        self.post_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)


class VisionTower(nn.Module):
    """A SigLIP transformer, of which one of the inner hidden states is used.

    The modules are nested as the names on disk are (`vision_model.encoder.layers.0...`). Layers
    behind the selected state and the last norm are kept for saving but never computed, so they
    get no gradient.
    """

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config = config
        siglip = SiglipVisionConfig(
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_channels=config.channels,
            image_size=config.image_size,
            patch_size=config.patch_size,
            hidden_act=config.activation,
            layer_norm_eps=config.layer_norm_eps,
            vision_use_head=False,
        )
        siglip._attn_implementation = "sdpa"
        self.vision_model = _Transformer(siglip)

    def fill_buffers(self, device: torch.device) -> None:
        """Compute what is no weight; needed after construction on the meta device."""
        embeddings = self.vision_model.embeddings
        places = torch.arange(self.config.grid**2, device=device)[None]
        embeddings.register_buffer("position_ids", places, persistent=False)

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        """Look at tiles (N, 3, S, S), normalised; returns features (N, grid * grid, hidden)."""
        if torch.is_grad_enabled() or len(tiles) <= TILES_AT_ONCE:
            return self._look(tiles)
        return torch.cat([self._look(some) for some in torch.split(tiles, TILES_AT_ONCE)])

    def _look(self, tiles: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.vision_model.embeddings(tiles)
        for layer in self.vision_model.encoder.layers[: self.config.select_layer]:
            hidden = layer(hidden, None)
        return hidden
