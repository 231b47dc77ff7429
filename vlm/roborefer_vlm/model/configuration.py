# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a checkpoint says about itself.

A checkpoint is a directory with one `config.json` and one sub-directory per part, each with a
configuration of its own. The dumps of those in the top-level file carry paths of the machine they
were written on and are not read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roborefer_vlm.exceptions import CheckpointError
from roborefer_vlm.model.json_fields import Fields, read_json
from roborefer_vlm.model.location import resolve_checkpoint

LLM, VISION_TOWER, DEPTH_TOWER = "llm", "vision_tower", "depth_tower"
MM_PROJECTOR, DEPTH_PROJECTOR = "mm_projector", "depth_projector"

DYNAMIC, DYNAMIC_S2, RESIZE = "dynamic", "dynamic_s2", "resize"


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
        layers = fields.integer("num_hidden_layers")
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


@dataclass(frozen=True, eq=False)
class RoboReferConfig:
    """Everything that shapes the network and its inputs.

    Attributes:
        directory: Where it was read from, or None for a shape without files.
        picture_mode: `image_aspect_ratio`: how a picture becomes tiles.
        min_tiles: Fewest tiles of a `dynamic` grid.
        max_tiles: Most tiles of a grid, the thumbnail not counted.
        s2_scales: `dynamic_s2`: sides in pixels, ascending; empty in other modes.
        s2_output_scale: `dynamic_s2`: index of the scale whose map size is kept.
        enable_depth: Whether depth pictures are understood.
        vision: The tower of colour pictures.
        depth: The tower of depth pictures; None when they go through the tower of colour.
        projector_type: How features of colour become language embeddings.
        depth_projector_type: The same for depth; None without depth.
        mm_hidden_size: Channels that enter a projector.
        hidden_size: Width of the language model.
        vocabulary: Rows of its embedding on disk.
        tied: Whether the output head is the embedding.
        model_max_length: Longest sequence, in embeddings; a tokenizer may say less.
        image_tokens: What surrounds the features of a colour item.
        depth_tokens: What surrounds the features of a depth item.
        files: Content of every `config.json`, by part; "" is the top-level one.
    """

    directory: Path | None
    picture_mode: str
    min_tiles: int
    max_tiles: int
    s2_scales: tuple[int, ...]
    s2_output_scale: int
    enable_depth: bool
    vision: TowerConfig
    depth: TowerConfig | None
    projector_type: str
    depth_projector_type: str | None
    mm_hidden_size: int
    hidden_size: int
    vocabulary: int
    tied: bool
    model_max_length: int
    image_tokens: MediaTokens
    depth_tokens: MediaTokens
    files: Mapping[str, Mapping[str, Any]]

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the sub-directories that hold weights."""
        return tuple(name for name in self.files if name)

    @classmethod
    def from_directory(cls, path_or_hub_id: str | Path) -> RoboReferConfig:
        """Read a checkpoint's configuration; see `resolve_checkpoint` for what may be given.

        Raises:
            CheckpointError: A file is missing or broken, or two of them contradict each other.
            UnavailableError: A hub was named and cannot be reached.
        """
        directory = resolve_checkpoint(path_or_hub_id)
        top = read_json(directory / "config.json")
        files = {"": top}
        for part in _needed_parts(Fields(str(directory / "config.json"), top)):
            if not (directory / part).is_dir():
                raise CheckpointError(
                    f"{directory} has no sub-directory '{part}'; its config.json asks for it"
                )
            files[part] = read_json(directory / part / "config.json")
        return cls.from_files(files, directory)

    @classmethod
    def from_files(
        cls, files: Mapping[str, Mapping[str, Any]], directory: Path | None = None
    ) -> RoboReferConfig:
        """Build a configuration from the content of its files, by part; "" is the top one."""
        base = directory if directory is not None else Path()
        fields = {
            part: Fields(str(base / part / "config.json"), content)
            for part, content in files.items()
        }
        top = fields[""]
        for part in _needed_parts(top):
            if part not in fields:
                raise CheckpointError(f"there is no configuration of '{part}', which is needed")
        llm = fields[LLM]
        mode = top.word("image_aspect_ratio", RESIZE)
        if top.flag("s2", False) and mode != DYNAMIC_S2:
            raise top.error("s2", True, "dynamic_s2 pictures (static scales are not supported)")
        top.word("mm_vision_select_feature", "cls_patch", choices=["cls_patch"])
        select_layer = top.integer("mm_vision_select_layer", -2, least=None)
        enable_depth = top.flag("enable_depth", False)
        vision = TowerConfig.from_fields(fields[VISION_TOWER], select_layer)
        depth = (
            TowerConfig.from_fields(fields[DEPTH_TOWER], select_layer)
            if DEPTH_TOWER in fields
            else None
        )
        scales, output_scale = _read_scales(top, vision) if mode == DYNAMIC_S2 else ((), 0)
        _check_language_model(llm)
        min_tiles = top.integer("min_tiles", 1)
        config = cls(
            directory=directory,
            picture_mode=mode,
            min_tiles=min_tiles,
            max_tiles=top.integer("max_tiles", 12, least=min_tiles),
            s2_scales=scales,
            s2_output_scale=output_scale,
            enable_depth=enable_depth,
            vision=vision,
            depth=depth,
            projector_type=fields[MM_PROJECTOR].word("mm_projector_type"),
            depth_projector_type=(
                fields[DEPTH_PROJECTOR].word("mm_projector_type") if enable_depth else None
            ),
            mm_hidden_size=vision.hidden_size * max(1, len(scales)),
            hidden_size=llm.integer("hidden_size"),
            vocabulary=llm.integer("vocab_size"),
            tied=llm.flag("tie_word_embeddings", False),
            model_max_length=llm.integer(
                "model_max_length", llm.integer("max_position_embeddings", 32768)
            ),
            image_tokens=MediaTokens.from_fields(top, "image_encoder"),
            depth_tokens=MediaTokens.from_fields(top, "depth_encoder"),
            files={part: dict(content) for part, content in files.items()},
        )
        _check_sizes(config, top)
        return config


def _needed_parts(top: Fields) -> list[str]:
    """Name the sub-directories that the top-level configuration asks for."""
    architectures = top.values.get("architectures")
    names = architectures if isinstance(architectures, list) else []
    if not any(isinstance(name, str) and "llava" in name.lower() for name in names):
        raise top.error("architectures", architectures, "a list with LlavaLlamaModel")
    parts = [LLM, VISION_TOWER, MM_PROJECTOR]
    if top.flag("enable_depth", False):
        # A checkpoint of before the separate tower has no such key and no such tower.
        if top.flag("use_depth_tower", False):
            parts.append(DEPTH_TOWER)
        parts.append(DEPTH_PROJECTOR)
    return parts


def _read_scales(top: Fields, vision: TowerConfig) -> tuple[tuple[int, ...], int]:
    """Return the scales of `dynamic_s2` in ascending order and the index of the one kept."""
    text = top.word("s2_scales")
    try:
        scales = tuple(sorted(int(scale) for scale in text.split(",")))
    except ValueError:
        raise top.error("s2_scales", text, "a list such as 448,896,1344") from None
    if scales[0] != vision.image_size or any(scale % scales[0] for scale in scales):
        raise top.error("s2_scales", text, f"multiples of {vision.image_size}, itself included")
    if len(set(scales)) != len(scales):
        raise top.error("s2_scales", text, "every scale once")
    index = top.integer("s2_resize_output_to_scale_idx", -1, least=None)
    if not -len(scales) <= index < len(scales):
        raise top.error(
            "s2_resize_output_to_scale_idx", index, f"{-len(scales)} to {len(scales) - 1}"
        )
    return scales, index % len(scales)


def _check_language_model(llm: Fields) -> None:
    llm.word("model_type", "qwen2", choices=["qwen2"])
    if llm.flag("use_sliding_window", False):
        raise llm.error("use_sliding_window", True, "false (attention goes over everything)")
    hidden, heads = llm.integer("hidden_size"), llm.integer("num_attention_heads")
    kv_heads = llm.integer("num_key_value_heads", heads)
    if hidden % heads:
        raise llm.error("num_attention_heads", heads, f"a divisor of {hidden}")
    if heads % kv_heads:
        raise llm.error("num_key_value_heads", kv_heads, f"a divisor of {heads}")


def _check_sizes(config: RoboReferConfig, top: Fields) -> None:
    """Compare what the parts say about each other; absent keys contradict nothing."""
    width = top.integer("hidden_size", config.hidden_size)
    if width != config.hidden_size:
        raise top.error("hidden_size", width, f"{config.hidden_size}, as in {LLM}/config.json,")
    channels = top.integer("mm_hidden_size", config.mm_hidden_size)
    if channels != config.mm_hidden_size:
        raise top.error(
            "mm_hidden_size",
            channels,
            f"{config.mm_hidden_size} ({config.vision.hidden_size} channels of {VISION_TOWER} x"
            f" {max(1, len(config.s2_scales))} scales)",
        )
    depth = config.depth
    if depth is None:
        return
    for name in ("hidden_size", "image_size", "patch_size"):
        found, right = getattr(depth, name), getattr(config.vision, name)
        if found != right:
            raise CheckpointError(
                f"{DEPTH_TOWER}/config.json: '{name}' is {found}; {right}, as in {VISION_TOWER},"
                " is needed"
            )
