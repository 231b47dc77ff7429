# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""One token per row through the decoder.

It is the computation of transformers' Qwen2 layers, with the same modules and weights, written
for a single token: about half as many kernels, no reshaping of keys and values for grouped
heads, and nothing in it that depends on values, so that it can be recorded or compiled.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional
from transformers import Qwen2ForCausalLM
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention, Qwen2RMSNorm

from roborefer_vlm.model.cache import KeyValueCache


def decode(llm: Qwen2ForCausalLM, cache: KeyValueCache, tokens: torch.Tensor) -> torch.Tensor:
    """Read one token per row, at the positions that the cache names.

    Args:
        llm: The decoder.
        cache: What was read before; gets the keys and values of these tokens. Its positions stay.
        tokens: Shape (rows,).

    Returns:
        Logits of the next token, shape (rows, vocabulary).
    """
    model = llm.model
    states: torch.Tensor = model.embed_tokens(tokens)
    rotary: Any = model.rotary_emb
    turns = _turns(cache.positions, rotary.inv_freq, rotary.attention_scaling, states.dtype)
    bias = _bias(cache.visible(), cache.heads)
    for index, layer in enumerate(model.layers):
        normed = _norm(layer.input_layernorm, states)
        states = states + _attend(layer.self_attn, normed, turns, bias, cache, index)
        states = states + layer.mlp(_norm(layer.post_attention_layernorm, states))
    logits: torch.Tensor = llm.lm_head(_norm(model.norm, states))
    return logits


def _norm(norm: Qwen2RMSNorm, states: torch.Tensor) -> torch.Tensor:
    return functional.rms_norm(states, norm.weight.shape, norm.weight, norm.variance_epsilon)


def _turns(
    positions: torch.Tensor, frequencies: torch.Tensor, scaling: float, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cosines and sines (rows, 1, width); the sines of the first half are negated.

    With these, turning is x * cos + roll(x) * sin, where roll exchanges the halves.
    """
    # Angles need float32: positions go into the thousands.
    angles = positions[:, None, None] * frequencies.float()
    cos, sin = angles.cos() * scaling, angles.sin() * scaling
    return torch.cat([cos, cos], -1).to(dtype), torch.cat([-sin, sin], -1).to(dtype)


def _bias(visible: torch.Tensor, kv_heads: int) -> torch.Tensor:
    """Return what hides slots: float32, (rows * heads, 1, span), from (rows, span)."""
    rows, span = visible.shape
    bias = torch.zeros(rows, span, device=visible.device).masked_fill(~visible, float("-inf"))
    return bias[:, None].expand(rows, kv_heads, span).reshape(rows * kv_heads, 1, span)


def _product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Multiply batches of matrices to float32.

    The keys of Qwen2 have large biases, so scores are large numbers with small differences;
    rounded to half precision they would lose these.
    """
    if left.dtype == torch.float32:
        return torch.bmm(left, right)
    if left.is_cuda:
        return torch.bmm(left, right, out_dtype=torch.float32)
    return torch.bmm(left.float(), right.float())


def _attend(
    attention: Qwen2Attention,
    states: torch.Tensor,
    turns: tuple[torch.Tensor, torch.Tensor],
    bias: torch.Tensor,
    cache: KeyValueCache,
    layer: int,
) -> torch.Tensor:
    """Let one token per row (rows, hidden) look at what its row has in the cache.

    The query heads that share a key head are rows of one matrix, so keys and values are read
    once for all of them.
    """
    rows, width = len(states), attention.head_dim
    cos, sin = turns
    together = torch.cat([attention.q_proj(states), attention.k_proj(states)], dim=-1)
    heads = together.view(rows, -1, width)
    heads = heads * cos + heads.roll(width // 2, -1) * sin
    value = attention.v_proj(states).view(rows, -1, width)
    kv_heads = value.shape[1]
    query, key = heads[:, :-kv_heads], heads[:, -kv_heads:]
    keys, values = cache.append(key, value, layer)
    scores = _product(
        query.reshape(rows * kv_heads, -1, width), keys.flatten(0, 1).transpose(1, 2)
    )
    weights = torch.add(bias, scores, alpha=attention.scaling).softmax(-1)
    looked = torch.bmm(weights.to(states.dtype), values.flatten(0, 1))
    out: torch.Tensor = attention.o_proj(looked.view(rows, -1))
    return out
