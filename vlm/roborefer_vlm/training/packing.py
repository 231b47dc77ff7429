# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Samples of different length in one row, so that no padding is computed.

Everything but attention looks at each position alone and takes the row as it is. Attention is
computed sample by sample, each causal in itself, so that none sees another; positions start again
at 0 with each. The loss is that of the samples read apart, up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import Qwen2ForCausalLM
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from roborefer_vlm.model.inputs import ModelInput
from roborefer_vlm.model.network import RoboReferModel

_NAME = "roborefer_packed"


def enable_packing(llm: Qwen2ForCausalLM) -> None:
    """Let a decoder read packed rows; all else it does goes on as before."""
    ALL_ATTENTION_FUNCTIONS.register(_NAME, _attend)
    llm.config._attn_implementation = _NAME


def packed_loss(
    model: RoboReferModel,
    inputs: Sequence[ModelInput],
    labels: Sequence[torch.Tensor],
    num_items: int | None = None,
) -> torch.Tensor:
    """Return what `RoboReferModel.loss` does, with all conversations in one row.

    Args:
        model: Its decoder must have been prepared with `enable_packing`.
        inputs: The conversations, answers included.
        labels: Token ids to learn, -100 elsewhere; the first of each is not learnt.
        num_items: See `RoboReferModel.loss`.

    Raises:
        QueryError: Nothing is supervised, or labels and ids do not match.
    """
    rows, targets = model.embed_rows(inputs, labels)
    return model.loss_of_states(read_packed(model.llm, rows), targets, num_items)


def read_packed(llm: Qwen2ForCausalLM, rows: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return the last hidden states of several rows of embeddings, each (n, hidden).

    Args:
        llm: Prepared with `enable_packing`.
        rows: Embeddings, (n, hidden) each.
    """
    lengths = [len(row) for row in rows]
    packed = torch.cat(list(rows))[None]
    positions = torch.cat([torch.arange(length, device=packed.device) for length in lengths])
    hidden: torch.Tensor = llm.model(
        inputs_embeds=packed,
        attention_mask={"full_attention": None},
        position_ids=positions[None],
        use_cache=False,
        sample_lengths=lengths,
    ).last_hidden_state
    return list(torch.split(hidden[0], lengths))


def _attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    sample_lengths: Sequence[int] | None = None,
    scaling: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attend within each sample; tensors are (1, heads, T, width)."""
    if sample_lengths is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **others
        )
    grouped = query.shape[1] != key.shape[1]
    split = [torch.split(one, list(sample_lengths), dim=2) for one in (query, key, value)]
    pieces = [
        functional.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=scaling, enable_gqa=grouped
        )
        for q, k, v in zip(*split, strict=True)
    ]
    return torch.cat(pieces, dim=2).transpose(1, 2).contiguous(), None
