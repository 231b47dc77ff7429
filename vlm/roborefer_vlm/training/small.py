# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""New small networks in the published layout, with a tokenizer of their own.

Everything is as in the large checkpoints (two SigLIP towers, two projectors, a Qwen2 decoder, the
chat format, the files), only narrower, so that all code for them is the code for those. A picture
becomes one square tile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from math import log2
from pathlib import Path
from typing import Any

import torch

from roborefer_vlm.data.matching import COLORS
from roborefer_vlm.exceptions import CheckpointError, ConfigurationError
from roborefer_vlm.model import configuration as parts
from roborefer_vlm.model.checkpoint import random_model, save_checkpoint
from roborefer_vlm.model.configuration import RoboReferConfig
from roborefer_vlm.model.network import RoboReferModel
from roborefer_vlm.model.prompt import DEFAULT_SYSTEM_PROMPT, FORMAT_SUFFIX
from roborefer_vlm.model.tokenizer import IM_END, IM_START, Tokenizer
from roborefer_vlm.model.towers import VisionTower
from roborefer_vlm.model.vocabulary import Vocabulary
from roborefer_vlm.scenes.wording import PHRASES
from roborefer_vlm.training.samples import read_records

_PADDING = "<|endoftext|>"
_LONGEST = 2048
# What answers are made of, beside the words of the questions.
_ANSWERS = (
    "[(0.245, 0.147)]",
    "<think> [Position] [the red mug]: [(0.245, 0.147)]\n[Orientation] [the handle of it]:"
    " (1.000, 0.000, -0.500)\n[Size] [the box]: 0.12 </think><answer>[(0.412, 0.520)]</answer>",
    "Step1: [Position] [the leftmost box] Point (0.129, 0.617). Step2: [Size] [the cup] 0.10.",
    "yes no Yes No (A) (B) 0.25 m 12 degrees",
)
# Words of answers count for more than words of questions, for answers cost a step per token.
_ANSWER_WEIGHT = 200


@dataclass(frozen=True)
class SmallShape:
    """How wide and deep a small network is.

    Attributes:
        tokens: Most entries of the tokenizer before the special ones.
        picture: Side of the tile, pixels.
        patch: Side of a patch, pixels.
        tower_width: Channels of a tower; heads are 64 wide.
        tower_layers: Its layers; the last one's output is used.
        width: Channels of the decoder; heads are 64 wide, two share keys and values.
        inner_width: Channels inside its feed-forward layers.
        layers: Its layers.
    """

    tokens: int = 2048
    picture: int = 320
    patch: int = 16
    tower_width: int = 256
    tower_layers: int = 6
    width: int = 384
    inner_width: int = 1024
    layers: int = 6

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 1:
                raise ConfigurationError(f"'{name}' is {value}; at least 1 is needed")
        if self.tokens < 300:
            raise ConfigurationError(f"'tokens' is {self.tokens}; 256 are bytes, use 300 or more")
        for name, step in (("tower_width", 64), ("width", 128)):
            if getattr(self, name) % step:
                raise ConfigurationError(
                    f"'{name}' is {getattr(self, name)}; a multiple of {step} is needed"
                )


# "small" is for a GPU, "tiny" for what a CPU learns in half an hour; "toy" learns next to nothing
# and is for trying the pipeline out.
SHAPES = {
    "small": SmallShape(),
    "tiny": SmallShape(
        tokens=640, picture=128, tower_width=64, tower_layers=2, width=128, inner_width=256,
        layers=3,
    ),
    "toy": SmallShape(
        tokens=512, picture=112, tower_width=64, tower_layers=2, width=128, inner_width=256,
        layers=2,
    ),
}  # fmt: skip


def new_small(
    directory: str | Path,
    shape: SmallShape | None = None,
    *,
    texts: Sequence[str] = (),
    seed: int = 0,
    dtype: torch.dtype = torch.bfloat16,
) -> RoboReferModel:
    """Write a checkpoint with random weights and return its network.

    Args:
        directory: Where it goes; it must not exist, or be empty.
        shape: How large; None: `SHAPES["small"]`.
        texts: What the tokenizer is learnt from, beside what answers are made of. Give the
            questions that the network will be trained on; without any, sentences of relations
            and colours are taken, whose words are few.
        seed: Of the weights.
        dtype: Number format of the files.

    Raises:
        CheckpointError: The directory holds something, or cannot be written.
    """
    shape = shape or SmallShape()
    folder = Path(directory).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise CheckpointError(f"{folder} is not empty; name a new directory")
        for part in (parts.LLM, parts.VISION_TOWER, parts.DEPTH_TOWER):
            (folder / part).mkdir()
        for tower in (parts.VISION_TOWER, parts.DEPTH_TOWER):
            content = json.dumps(_preprocessor(shape), indent=2) + "\n"
            (folder / tower / "preprocessor_config.json").write_text(content, encoding="utf-8")
        tokenizer = learn_tokenizer(texts or _known_words(), shape.tokens)
        tokenizer.save(folder / parts.LLM)
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be written: {error}") from error
    config = RoboReferConfig.from_files(configurations(shape, tokenizer), folder)
    vocabulary = Vocabulary.from_tokenizer(tokenizer, config)
    network = random_model(config, vocabulary, dtype=dtype, seed=seed)
    _lay_out(network.vision_tower)
    if network.depth_tower is not None:
        _lay_out(network.depth_tower)
    save_checkpoint(network, folder)
    return network


def _lay_out(tower: VisionTower) -> None:
    """Begin with positions that tell where a patch is: sines of its row and of its column.

    From random ones a network must first find out which patches are neighbours.
    """
    table = tower.vision_model.embeddings.position_embedding.weight
    grid, width = tower.config.grid, table.shape[1]
    rates = torch.pi * 2.0 ** torch.linspace(0, log2(grid), width // 4)
    angles = torch.linspace(0, 1, grid)[:, None] * rates
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)
    down = waves[:, None].expand(grid, grid, -1)
    across = waves[None].expand(grid, grid, -1)
    with torch.no_grad():
        table.copy_(torch.cat([down, across], dim=2).flatten(0, 1))


def texts_of(path: str | Path) -> Iterator[str]:
    """Yield everything that is said in a file of records; see `training.samples`.

    Raises:
        RecordError: The file or one of its records cannot be used.
    """
    for record in read_records(path, with_depth=False):
        yield from record.turns


def learn_tokenizer(texts: Iterable[str], size: int) -> Tokenizer:
    """Return a byte-level tokenizer whose tokens are frequent in some texts.

    Text is split as Qwen2 does it: every digit is a token of its own, so that all coordinates of
    three decimals are equally long, and near ones begin alike.

    Args:
        texts: What it is learnt from.
        size: Most tokens, before special ones; fewer if the texts have no more.
    """
    from tokenizers import trainers
    from transformers import Qwen2Tokenizer

    empty = Qwen2Tokenizer(vocab={}, merges=[])
    alphabet = sorted(_byte_letters())
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, show_progress=False, min_frequency=2
    )
    fixed = [DEFAULT_SYSTEM_PROMPT, FORMAT_SUFFIX, *_ANSWERS] * _ANSWER_WEIGHT
    backend = empty.backend_tokenizer
    backend.train_from_iterator([*fixed, *texts], trainer)
    model = json.loads(backend.to_str())["model"]
    # What its stubs say of merges and of absent tokens is not so.
    make: Any = Qwen2Tokenizer
    learnt = make(
        vocab={name: number for name, number in model["vocab"].items() if name not in _SPECIAL},
        merges=[tuple(pair) for pair in model["merges"]],
        unk_token=None,
        bos_token=None,
        eos_token=IM_END,
        pad_token=_PADDING,
        additional_special_tokens=[IM_START, IM_END],
        model_max_length=_LONGEST,
    )
    return Tokenizer(learnt, enable_depth=True)


_SPECIAL = frozenset({_PADDING, IM_START, IM_END})


def _byte_letters() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return list(ByteLevel.alphabet())


def _known_words() -> Iterator[str]:
    """Yield sentences of the relations and colours that every data source has."""
    for color in sorted(COLORS):
        for words in PHRASES.values():
            yield f"Please point to the {color} object that is {words} the {color} object."


def _preprocessor(shape: SmallShape) -> dict[str, Any]:
    return {
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "SiglipImageProcessor",
        "image_std": [0.5, 0.5, 0.5],
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"height": shape.picture, "width": shape.picture},
    }


def configurations(shape: SmallShape, tokenizer: Tokenizer) -> dict[str, dict[str, Any]]:
    """Return the content of every config.json, by part; "" is the top-level one."""
    tower = {
        "architectures": ["SiglipVisionModel"],
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_size": shape.tower_width,
        "image_size": shape.picture,
        "intermediate_size": 4 * shape.tower_width,
        "layer_norm_eps": 1e-6,
        "model_type": "siglip_vision_model",
        "num_attention_heads": shape.tower_width // 64,
        "num_channels": 3,
        "num_hidden_layers": shape.tower_layers,
        "patch_size": shape.patch,
        "vision_use_head": False,
    }
    projector = {
        "architectures": ["MultimodalProjector"],
        "mm_projector_type": "mlp_downsample_2x2_fix",
        "model_type": "v2l_projector",
    }
    language = {
        "architectures": ["Qwen2ForCausalLM"],
        "eos_token_id": tokenizer.eos_id,
        "hidden_act": "silu",
        "hidden_size": shape.width,
        "intermediate_size": shape.inner_width,
        "max_position_embeddings": _LONGEST,
        "model_max_length": _LONGEST,
        "model_type": "qwen2",
        "num_attention_heads": shape.width // 64,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.width // 128,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": True,
        "use_sliding_window": False,
        "vocab_size": tokenizer.size,
    }
    top = {
        "architectures": ["LlavaLlamaModel"],
        "depth_encoder": {"_target_": "llava.model.encoders.BasicImageEncoder"},
        "dynamic_s2": False,
        "enable_depth": True,
        "hidden_size": shape.width,
        "image_aspect_ratio": parts.DYNAMIC,
        "image_encoder": {"_target_": "llava.model.encoders.BasicImageEncoder"},
        "max_tiles": 1,
        "min_tiles": 1,
        "mm_hidden_size": shape.tower_width,
        "mm_vision_select_feature": "cls_patch",
        # Large towers leave out their last layer, which was trained for captions; this one was
        # not.
        "mm_vision_select_layer": -1,
        "model_type": "llava_llama",
        "use_depth_tower": True,
    }
    return {
        "": top,
        parts.LLM: language,
        parts.VISION_TOWER: tower,
        parts.MM_PROJECTOR: projector,
        parts.DEPTH_TOWER: dict(tower),
        parts.DEPTH_PROJECTOR: dict(projector),
    }
