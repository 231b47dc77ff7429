# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Keys and values of what has been read and written so far, in memory that does not move.

Every row fills its slots from 0 without gaps, whatever the lengths of the other rows, so a slot
is also a position, and a row computes in a batch what it computes alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_STEP = 256


class KeyValueCache:
    """The cache of a decoder.

    Attributes:
        positions: Slot that the next token of each row takes, int64, shape (rows,).
        fixed: Whether attention always spans all slots, so that shapes stay the same from step
            to step; otherwise it spans the filled ones only and the cache grows when needed.
    """

    def __init__(
        self,
        *,
        layers: int,
        rows: int,
        heads: int,
        width: int,
        capacity: int,
        device: torch.device,
        dtype: torch.dtype,
        fixed: bool = False,
    ) -> None:
        """Reserve slots.

        Args:
            layers: Layers of the decoder.
            rows: Sequences that are written.
            heads: Heads of keys and values.
            width: Width of a head.
            capacity: Slots per row at the start; rounded up.
            device: Where the cache lives.
            dtype: As the weights.
            fixed: See the attribute.
        """
        self.fixed = fixed
        shape = (rows, heads, _round_up(capacity), width)
        # Zeros: a slot that is masked out still gets multiplied, and 0 x NaN would be NaN.
        self._keys = [torch.zeros(shape, device=device, dtype=dtype) for _ in range(layers)]
        self._values = [torch.zeros(shape, device=device, dtype=dtype) for _ in range(layers)]
        self.positions = torch.zeros(rows, dtype=torch.long, device=device)
        self._rows = torch.arange(rows, device=device)
        self._slots = torch.arange(self.capacity, device=device)
        self._span = self.capacity
        self._prompt: tuple[torch.Tensor, torch.Tensor] | None = None

    @property
    def rows(self) -> int:
        """Sequences that are written."""
        return len(self.positions)

    @property
    def heads(self) -> int:
        """Heads of keys and values."""
        return self._keys[0].shape[1]

    @property
    def capacity(self) -> int:
        """Slots per row."""
        return self._keys[0].shape[2]

    def update(
        self, key: torch.Tensor, value: torch.Tensor, layer: int, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store keys and values of prompts, shape (prompts, heads, T, width); see `reading`.

        This is what the layers of transformers call; prompts look at nothing but themselves.
        """
        assert self._prompt is not None
        targets, sources = self._prompt
        length = key.shape[2]
        self._keys[layer][targets, :, :length] = key[sources]
        self._values[layer][targets, :, :length] = value[sources]
        return key, value

    def append(
        self, key: torch.Tensor, value: torch.Tensor, layer: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store one key and value per row, (rows, heads, width), at `positions`.

        Returns:
            All keys and values of the layer, shape (rows, heads, span, width).
        """
        keys, values = self._keys[layer], self._values[layer]
        keys[self._rows, :, self.positions] = key
        values[self._rows, :, self.positions] = value
        return keys[:, :, : self._span], values[:, :, : self._span]

    @contextmanager
    def reading(
        self, targets: torch.Tensor, sources: torch.Tensor, lengths: torch.Tensor
    ) -> Iterator[None]:
        """Take what is stored meanwhile as right-padded prompts that start at slot 0.

        Args:
            targets: Rows of the cache that are filled, int64, shape (n,).
            sources: Row of the prompt batch that each of them takes; one prompt may fill several.
            lengths: Length of the prompt of each target, shape (n,).
        """
        self._prompt = (targets, sources)
        try:
            yield
        finally:
            self._prompt = None
        self.positions[targets] = lengths

    def reserve(self, length: int) -> None:
        """Make sure that slots 0 to length - 1 exist, and let attention span just these."""
        if self.fixed:
            return
        if length > self.capacity:
            for tensors in (self._keys, self._values):
                for index, old in enumerate(tensors):
                    new = old.new_zeros(*old.shape[:2], _round_up(length), old.shape[3])
                    new[:, :, : old.shape[2]] = old
                    tensors[index] = new
            self._slots = torch.arange(self.capacity, device=self._slots.device)
        self._span = length

    def visible(self) -> torch.Tensor:
        """Tell what the token at `positions` may look at, itself included: (rows, span)."""
        return self._slots[: self._span] <= self.positions[:, None]

    def keep(self, rows: torch.Tensor) -> None:
        """Forget all other rows."""
        for tensors in (self._keys, self._values):
            tensors[:] = [tensor[rows] for tensor in tensors]
        self.positions = self.positions[rows]
        self._rows = self._rows[: len(rows)]

    def get_seq_length(self, *_: object) -> int:
        """Return the slots in use, for callers that know transformers' caches only."""
        return int(self.positions.max())


def _round_up(length: int) -> int:
    return -(-length // _STEP) * _STEP
