# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a checkpoint says about itself.

A checkpoint is a directory with one `config.json` and one sub-directory per part, each with a
configuration of its own. The dumps of those in the top-level file carry paths of the machine they
were written on and are not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roborefer_vlm.exceptions import CheckpointError
from roborefer_vlm.model.json_fields import Fields, read_json
from roborefer_vlm.model.location import resolve_checkpoint
from roborefer_vlm.model.part_configurations import LanguageConfig, MediaTokens, TowerConfig

LLM, VISION_TOWER, DEPTH_TOWER = "llm", "vision_tower", "depth_tower"
MM_PROJECTOR, DEPTH_PROJECTOR = "mm_projector", "depth_projector"

DYNAMIC, DYNAMIC_S2, RESIZE = "dynamic", "dynamic_s2", "resize"


@dataclass(frozen=True, eq=False)
class RoboReferConfig:
    """Everything that shapes the network and its inputs.

    Attributes:
        directory: Where it was read from, or None for a shape without files.
        picture_mode: `image_aspect_ratio`: how a picture becomes tiles.
        min_tiles: Fewest tiles of a `dynamic` grid.
        max_tiles: Most tiles of a grid, the thumbnail not counted.
        s2_scales: Sides in pixels, ascending, whose features are merged; else empty.
        s2_output_scale: Index of the scale whose map size is kept.
        enable_depth: Whether depth pictures are understood.
        vision: The tower of colour pictures.
        depth: The tower of depth pictures; None when they go through the tower of colour.
        projector_type: How features of colour become language embeddings.
        depth_projector_type: The same for depth; None without depth.
        mm_hidden_size: Channels that enter a projector.
        language: The decoder.
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
    language: LanguageConfig
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
        fields = Fields(str(directory / "config.json"), top)
        for part in _needed_parts(fields, (directory / DEPTH_TOWER).is_dir()):
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
        for part in _needed_parts(top, DEPTH_TOWER in fields):
            if part not in fields:
                raise CheckpointError(f"there is no configuration of '{part}', which is needed")
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
        scales, output_scale = _read_scales(top, mode, vision)
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
            language=LanguageConfig.from_fields(fields[LLM]),
            image_tokens=MediaTokens.from_fields(top, "image_encoder"),
            depth_tokens=MediaTokens.from_fields(top, "depth_encoder"),
            files={part: dict(content) for part, content in files.items()},
        )
        _check_sizes(config, top)
        return config


def _needed_parts(top: Fields, has_depth_tower: bool) -> list[str]:
    """Name the sub-directories that the top-level configuration asks for.

    Args:
        top: The top-level configuration.
        has_depth_tower: Decides where the configuration does not say.
    """
    architectures = top.values.get("architectures")
    names = architectures if isinstance(architectures, list) else []
    if not any(isinstance(name, str) and "llava" in name.lower() for name in names):
        raise top.error("architectures", architectures, "a list with LlavaLlamaModel")
    parts = [LLM, VISION_TOWER, MM_PROJECTOR]
    if top.flag("enable_depth", False):
        if top.flag("use_depth_tower", has_depth_tower):
            parts.append(DEPTH_TOWER)
        parts.append(DEPTH_PROJECTOR)
    return parts


def _read_scales(top: Fields, mode: str, vision: TowerConfig) -> tuple[tuple[int, ...], int]:
    """Return the scales in ascending order and the index of the one kept; () for one scale."""
    merges = top.flag("dynamic_s2", mode == DYNAMIC_S2)
    # Other modes give one tile per picture, which then stands for all scales.
    if merges != (mode == DYNAMIC_S2) and (not merges or mode == DYNAMIC):
        raise top.error("dynamic_s2", merges, f"{not merges}, with '{mode}' pictures,")
    if not merges:
        return (), 0
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


def _check_sizes(config: RoboReferConfig, top: Fields) -> None:
    """Compare what the parts say about each other; absent keys contradict nothing."""
    width = top.integer("hidden_size", config.language.hidden_size)
    if width != config.language.hidden_size:
        raise top.error(
            "hidden_size", width, f"{config.language.hidden_size}, as in {LLM}/config.json,"
        )
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
        found, wanted = getattr(depth, name), getattr(config.vision, name)
        if found != wanted:
            raise CheckpointError(
                f"{DEPTH_TOWER}/config.json: '{name}' is {found}; {wanted}, as in {VISION_TOWER},"
                " is needed"
            )
