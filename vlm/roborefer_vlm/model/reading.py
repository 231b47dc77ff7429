# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Prompts of different length in one tensor, and reading them with the decoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import Qwen2ForCausalLM

from roborefer_vlm.model.cache import KeyValueCache

# Embeddings that are read together; more would only cost memory, the device is busy already.
_READ_AT_ONCE = 8192
# Share of padding that is accepted in what is read together.
_PADDING = 0.25


@dataclass(frozen=True, eq=False)
class Embedded:
    """Prompts as the decoder takes them, padded on the right.

    Attributes:
        embeddings: Shape (rows, T, hidden); zeros behind the end of a row.
        mask: True where a row has a real embedding, shape (rows, T).
        positions: 0 to T - 1, shape (rows, T).
        lengths: Embeddings of each row.
    """

    embeddings: torch.Tensor
    mask: torch.Tensor
    positions: torch.Tensor
    lengths: tuple[int, ...]

    @classmethod
    def from_rows(cls, rows: Sequence[torch.Tensor]) -> Embedded:
        """Pad rows (n, hidden) of different length."""
        lengths = tuple(len(row) for row in rows)
        padded = nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
        positions = torch.arange(padded.shape[1], device=padded.device).expand(len(rows), -1)
        mask = positions < torch.tensor(lengths, device=padded.device)[:, None]
        return cls(padded, mask, positions, lengths)


def read(
    llm: Qwen2ForCausalLM, embedded: Embedded, cache: KeyValueCache | None = None
) -> torch.Tensor:
    """Return the last hidden state of every position, shape (rows, T, hidden).

    Padding lies on the right, so causal attention alone keeps it out of real positions; without
    a mask the fastest attention kernels can be chosen.
    """
    hidden: torch.Tensor = llm.model(
        inputs_embeds=embedded.embeddings,
        attention_mask={"full_attention": None},
        position_ids=embedded.positions,
        past_key_values=cache,
        use_cache=cache is not None,
    ).last_hidden_state
    return hidden


def read_prompts(
    llm: Qwen2ForCausalLM,
    prompts: Sequence[torch.Tensor],
    owners: Sequence[int],
    cache: KeyValueCache,
) -> torch.Tensor:
    """Fill a cache with prompts, each of which is read once.

    Args:
        llm: The decoder.
        prompts: Embeddings of each prompt, (n, hidden).
        owners: The prompt that row i of the cache continues; a prompt may have several rows.
        cache: Where keys and values go; rows behind those of `owners` are left alone.

    Returns:
        Logits of the last position of each row's prompt, shape (len(owners), vocabulary).
    """
    device = cache.positions.device
    cache.reserve(max(len(prompt) for prompt in prompts))
    last = torch.empty(
        len(prompts), llm.config.hidden_size, device=device, dtype=llm.lm_head.weight.dtype
    )
    for group in group_by_length([len(prompt) for prompt in prompts]):
        embedded = Embedded.from_rows([prompts[index] for index in group])
        rows = [
            (target, group.index(owner)) for target, owner in enumerate(owners) if owner in group
        ]
        targets, sources = torch.tensor(rows, device=device).T
        lengths = torch.tensor(embedded.lengths, device=device)
        with cache.reading(targets, sources, lengths[sources]):
            hidden = read(llm, embedded, cache)
        last[group] = hidden[torch.arange(len(group), device=device), lengths - 1]
    logits: torch.Tensor = llm.lm_head(last)
    return logits[torch.tensor(owners, device=device)]


def group_by_length(lengths: Sequence[int]) -> list[list[int]]:
    """Part prompts into groups that are read together with little padding.

    Returns:
        Indices, every one in exactly one group.
    """
    groups: list[list[int]] = []
    total = 0
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        length = lengths[index]
        if groups:
            padded = (len(groups[-1]) + 1) * length
            if padded <= _READ_AT_ONCE and padded - total - length <= _PADDING * padded:
                groups[-1].append(index)
                total += length
                continue
        groups.append([index])
        total = length
    return groups
