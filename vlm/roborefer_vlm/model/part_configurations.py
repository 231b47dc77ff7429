# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the parts of a checkpoint say about themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from roborefer_vlm.exceptions import CheckpointError
from roborefer_vlm.model.json_fields import Fields

# More is a broken file, and would take forever to build.
_MOST_LAYERS = 1000


@dataclass(frozen=True)
class TowerConfig:
    """Shape of a SigLIP vision transformer.

    Attributes:
        image_size: Side of the square tile it takes, pixels.
        patch_size: Side of a patch, pixels; what is left over at the border is not seen.
        select_layer: Index of the hidden state that is used, 0 to layers: 0 is the output of the
            patch embedding, so this many layers are computed.
    """

    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    image_size: int
    patch_size: int
    channels: int
    layer_norm_eps: float
    activation: str
    select_layer: int

    @property
    def grid(self) -> int:
        """Patches along one side of a tile."""
        return self.image_size // self.patch_size

    @classmethod
    def from_fields(cls, fields: Fields, select_layer: int) -> TowerConfig:
        """Read `vision_tower/config.json` or `depth_tower/config.json`.

        Args:
            fields: Content of the file.
            select_layer: `mm_vision_select_layer`, an index from the front or (negative) the end.
        """
        layers = fields.integer("num_hidden_layers", most=_MOST_LAYERS)
        if not -layers - 1 <= select_layer <= layers:
            raise CheckpointError(
                f"config.json: 'mm_vision_select_layer' is {select_layer}; {fields.source} has"
                f" {layers} layers, so {-layers - 1} to {layers} can be selected"
            )
        config = cls(
            hidden_size=fields.integer("hidden_size"),
            intermediate_size=fields.integer("intermediate_size"),
            layers=layers,
            heads=fields.integer("num_attention_heads"),
            image_size=fields.integer("image_size"),
            patch_size=fields.integer("patch_size"),
            channels=fields.integer("num_channels", 3),
            layer_norm_eps=fields.number("layer_norm_eps", 1e-6),
            activation=fields.word("hidden_act", "gelu_pytorch_tanh"),
            select_layer=select_layer if select_layer >= 0 else layers + 1 + select_layer,
        )
        if config.hidden_size % config.heads:
            raise fields.error(
                "num_attention_heads", config.heads, f"a divisor of {config.hidden_size}"
            )
        if config.patch_size > config.image_size:
            raise fields.error("patch_size", config.patch_size, f"up to {config.image_size}")
        return config


@dataclass(frozen=True)
class LanguageConfig:
    """Shape of a Qwen2 decoder.

    Attributes:
        head_width: Channels of one attention head.
        rope_theta: Base of the rotary position embedding.
        rope_factor: Positions are divided by this (linear scaling); 1 for none.
        vocabulary: Rows of the embedding on disk.
        tied: Whether the output head is the embedding.
        model_max_length: Longest sequence, in embeddings; a tokenizer may say less.
    """

    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    norm_eps: float
    activation: str
    rope_theta: float
    rope_factor: float
    vocabulary: int
    tied: bool
    max_positions: int
    model_max_length: int

    @classmethod
    def from_fields(cls, fields: Fields) -> LanguageConfig:
        """Read `llm/config.json`."""
        fields.word("model_type", "qwen2", choices=["qwen2"])
        if fields.flag("use_sliding_window", False):
            raise fields.error("use_sliding_window", True, "false (attention sees everything)")
        hidden, heads = fields.integer("hidden_size"), fields.integer("num_attention_heads")
        kv_heads = fields.integer("num_key_value_heads", heads)
        if hidden % heads:
            raise fields.error("num_attention_heads", heads, f"a divisor of {hidden}")
        if heads % kv_heads:
            raise fields.error("num_key_value_heads", kv_heads, f"a divisor of {heads}")
        theta, factor = _read_rope(fields)
        max_positions = fields.integer("max_position_embeddings", 32768)
        return cls(
            hidden_size=hidden,
            intermediate_size=fields.integer("intermediate_size"),
            layers=fields.integer("num_hidden_layers", most=_MOST_LAYERS),
            heads=heads,
            kv_heads=kv_heads,
            head_width=fields.integer("head_dim", hidden // heads, least=2),
            norm_eps=fields.number("rms_norm_eps", 1e-6),
            activation=fields.word("hidden_act", "silu"),
            rope_theta=theta,
            rope_factor=factor,
            vocabulary=fields.integer("vocab_size"),
            tied=fields.flag("tie_word_embeddings", False),
            max_positions=max_positions,
            model_max_length=fields.integer("model_max_length", max_positions),
        )


@dataclass(frozen=True)
class MediaTokens:
    """Text that the network puts around the features of one media item, or None."""

    start: str | None = None
    end: str | None = "\n"

    @classmethod
    def from_fields(cls, fields: Fields, key: str) -> MediaTokens:
        """Read an encoder entry, which is an object or a string that holds one."""
        entry = fields.values.get(key)
        if isinstance(entry, str):
            try:
                entry = json.loads(entry)
            except (json.JSONDecodeError, RecursionError):
                raise fields.error(key, entry, "an object or JSON that holds one") from None
        if entry is None:
            return cls()
        if not isinstance(entry, Mapping):
            raise fields.error(key, entry, "an object or JSON that holds one")
        start, end = entry.get("start_tokens"), entry.get("end_tokens", "\n")
        for value in (start, end):
            if value is not None and not isinstance(value, str):
                raise fields.error(key, entry, "start_tokens and end_tokens of text or null")
        return cls(start or None, end or None)


def _read_rope(fields: Fields) -> tuple[float, float]:
    """Return base and linear factor, from the keys of transformers 4 or of 5."""
    key = "rope_parameters" if fields.values.get("rope_parameters") else "rope_scaling"
    scaling = fields.values.get(key) or {}
    if not isinstance(scaling, Mapping):
        raise fields.error(key, scaling, "an object or null")
    inner = Fields(f"{fields.source}: {key}", scaling)
    theta = inner.number("rope_theta", fields.number("rope_theta", 10_000.0))
    kind = inner.word("rope_type", inner.word("type", "default"), choices=["default", "linear"])
    return theta, inner.number("factor") if kind == "linear" else 1.0
