# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The network as `accelerate` wraps it: from a batch to its share of the loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from roborefer_vlm.model.inputs import ModelInput, PictureBlock
from roborefer_vlm.model.network import RoboReferModel
from roborefer_vlm.model.reading import Embedded, read
from roborefer_vlm.training.collate import Batch
from roborefer_vlm.training.labels import IGNORED
from roborefer_vlm.training.packing import enable_packing, read_packed


class LossNetwork(nn.Module):
    """The network as `accelerate` wraps it: from a batch to its share of the loss."""

    def __init__(
        self,
        model: RoboReferModel,
        *,
        packing: bool = True,
        dummies: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Wrap a network.

        Args:
            model: The network.
            packing: Read all samples in one row.
            dummies: Let a picture of zeros through a tower that a batch has no picture for, so
                that processes which train together all have a gradient for everything.
            dtype: Number format of the products: float32 or bfloat16. Weights stay as they are.
        """
        super().__init__()
        self.model = model
        self.packing = packing
        self.dummies = dummies
        self.dtype = dtype
        if packing:
            enable_packing(model.llm)

    def forward(self, batch: Batch | None, num_items: int) -> tuple[torch.Tensor, list[int]]:
        """Return the sum of the losses of a batch over `num_items`, and positions per sample."""
        narrow = torch.autocast(
            self.model.device.type, self.dtype, enabled=self.dtype != torch.float32
        )
        with narrow:
            return self._loss(batch, num_items)

    def _loss(self, batch: Batch | None, num_items: int) -> tuple[torch.Tensor, list[int]]:
        inputs, labels = _content(batch, self.model)
        rows, targets = self.model.embed_rows(inputs, labels)
        hidden = (
            read_packed(self.model.llm, rows)
            if self.packing
            else list(read(self.model.llm, Embedded.from_rows(rows)))
        )
        loss = self.model.loss_of_states(hidden, targets, num_items)
        if batch is None:
            loss = 0.0 * loss
        if self.dummies:
            loss = loss + 0.0 * self._dummies(inputs)
        return loss, [len(row) for row in rows] if batch is not None else []

    def _dummies(self, inputs: Sequence[ModelInput]) -> torch.Tensor:
        """Return a sum over the features of a picture of zeros of each kind that is missing."""
        size = self.model.vision_tower.config.image_size
        channels = self.model.vision_tower.config.channels
        tile = torch.zeros(1, channels, size, size)
        total = tile.new_zeros((), device=self.model.device)
        for missing, encode in (
            (not any(one.image_blocks for one in inputs), self.model.encode_images),
            (
                self.model.depth_projector is not None
                and not any(one.depth_blocks for one in inputs),
                self.model.encode_depths,
            ),
        ):
            if missing:
                total = total + encode(tile, [PictureBlock(1, 1, 1, 1)])[0].float().sum()
        return total


def _content(
    batch: Batch | None, model: RoboReferModel
) -> tuple[Sequence[ModelInput], Sequence[torch.Tensor]]:
    """Return inputs and labels; for an empty batch two tokens of nothing."""
    if batch is not None:
        return batch.inputs, batch.labels
    pad = model.vocabulary.pad
    none = torch.empty(0, 3, 1, 1)
    return [ModelInput(torch.tensor([pad, pad]), none, none)], [torch.tensor([IGNORED, pad])]
