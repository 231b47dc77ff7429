# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The shapes of the published checkpoints, for measurements and tests without their weights.

Loading never looks at these: a checkpoint on disk says itself what it is.
"""

from __future__ import annotations

from typing import Any

from roborefer_vlm.model import configuration as parts
from roborefer_vlm.model.configuration import RoboReferConfig
from roborefer_vlm.model.vocabulary import Vocabulary

# SigLIP so400m/14 at 448 pixels, without pooling head.
_SIGLIP: dict[str, Any] = {
    "architectures": ["SiglipVisionModel"],
    "hidden_act": "gelu_pytorch_tanh",
    "hidden_size": 1152,
    "image_size": 448,
    "intermediate_size": 4304,
    "layer_norm_eps": 1e-6,
    "model_type": "siglip_vision_model",
    "num_attention_heads": 16,
    "num_channels": 3,
    "num_hidden_layers": 27,
    "patch_size": 14,
    "vision_use_head": False,
}
_QWEN2: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "hidden_act": "silu",
    "max_position_embeddings": 32768,
    "model_max_length": 16384,
    "model_type": "qwen2",
    "num_hidden_layers": 28,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1_000_000.0,
    "use_sliding_window": False,
    "vocab_size": 151_652,
}
_TOP: dict[str, Any] = {
    "architectures": ["LlavaLlamaModel"],
    "depth_encoder": {"_target_": "llava.model.encoders.BasicImageEncoder"},
    "enable_depth": True,
    "image_encoder": {"_target_": "llava.model.encoders.BasicImageEncoder"},
    "max_tiles": 12,
    "min_tiles": 1,
    "mm_vision_select_feature": "cls_patch",
    "mm_vision_select_layer": -2,
    "model_type": "llava_llama",
    "use_depth_tower": True,
}


def roborefer_2b() -> RoboReferConfig:
    """Return the shape of RoboRefer-2B-SFT."""
    return _shape(
        top={
            "dynamic_s2": False,
            "hidden_size": 1536,
            "image_aspect_ratio": parts.DYNAMIC,
            "mm_hidden_size": 1152,
        },
        llm={
            "hidden_size": 1536,
            "intermediate_size": 8960,
            "num_attention_heads": 12,
            "num_key_value_heads": 2,
            "tie_word_embeddings": True,
        },
        projector="mlp_downsample_3x3_fix",
    )


def roborefer_8b() -> RoboReferConfig:
    """Return the shape of RoboRefer-8B-SFT."""
    return _shape(
        top={
            "dynamic_s2": True,
            "hidden_size": 3584,
            "image_aspect_ratio": parts.DYNAMIC_S2,
            "mm_hidden_size": 3456,
            "s2_resize_output_to_scale_idx": -1,
            "s2_scales": "448,896,1344",
        },
        llm={
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "tie_word_embeddings": False,
        },
        projector="mlp_downsample",
    )


def published_vocabulary() -> Vocabulary:
    """Return the token ids that the published checkpoints have."""
    newline = (198,)
    return Vocabulary(
        size=151_652,
        image=151_649,
        depth=151_651,
        pad=151_647,
        stop=(151_645,),
        around_image=((), newline),
        around_depth=((), newline),
        longest=16_384,
    )


def _shape(*, top: dict[str, Any], llm: dict[str, Any], projector: str) -> RoboReferConfig:
    stack = {
        "architectures": ["MultimodalProjector"],
        "mm_projector_type": projector,
        "model_type": "v2l_projector",
    }
    return RoboReferConfig.from_files(
        {
            "": _TOP | top,
            parts.LLM: _QWEN2 | llm,
            parts.VISION_TOWER: _SIGLIP,
            parts.MM_PROJECTOR: stack,
            parts.DEPTH_TOWER: _SIGLIP,
            parts.DEPTH_PROJECTOR: stack,
        }
    )
