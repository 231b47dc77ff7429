# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From pictures and a sentence to what the network takes, and from its ids back to text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.model.configuration import LLM, RoboReferConfig
from roborefer_vlm.model.inputs import ModelInput
from roborefer_vlm.model.prompt import (
    FORMAT_SUFFIX,
    ChatFormat,
    PromptForm,
    Turn,
    build_content,
    choose_format,
    clean_text,
)
from roborefer_vlm.model.tiling import Tiling
from roborefer_vlm.model.tokenizer import Piece, Tokenizer
from roborefer_vlm.types import UInt8Array


class Processor:
    """The inputs of one checkpoint. Nothing in it changes, so threads may share it.

    Attributes:
        tokenizer: Text to ids and back.
        tiling: Pictures to tiles.
        chat: How a chat is written.
        enable_depth: Whether the checkpoint understands depth pictures.
    """

    def __init__(
        self, tokenizer: Tokenizer, tiling: Tiling, chat: ChatFormat, *, enable_depth: bool
    ) -> None:
        self.tokenizer = tokenizer
        self.tiling = tiling
        self.chat = chat
        self.enable_depth = enable_depth
        self._stop_ids = tuple(tokenizer.special_id(name) for name in chat.stop_tokens)

    @classmethod
    def from_checkpoint(
        cls, path_or_hub_id: str | Path, config: RoboReferConfig | None = None
    ) -> Processor:
        """Read what a checkpoint says about its inputs.

        Args:
            path_or_hub_id: The directory, or the name on the hub.
            config: Its configuration, if that has been read already.

        Raises:
            CheckpointError: A file is missing, broken, or contradicts another.
            UnavailableError: A hub was named and cannot be reached.
        """
        if config is None or config.directory is None:
            config = RoboReferConfig.from_directory(path_or_hub_id)
        assert config.directory is not None
        tokenizer = Tokenizer.from_directory(
            config.directory / LLM, enable_depth=config.enable_depth
        )
        return cls(
            tokenizer,
            Tiling.from_config(config),
            choose_format(tokenizer),
            enable_depth=config.enable_depth,
        )

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Ids that end an answer; none of them is part of it."""
        return self._stop_ids

    def prepare(
        self,
        images: Sequence[UInt8Array],
        depths: Sequence[UInt8Array],
        text: str,
        *,
        with_format_suffix: bool = False,
        form: PromptForm = PromptForm.SERVE,
        with_system: bool = True,
        system_prompt: str | None = None,
    ) -> ModelInput:
        """Turn a request into model input: pictures, then depth pictures, then text.

        Args:
            images: RGB, uint8, each (height, width, 3).
            depths: Relative inverse depth, bright is near, uint8, each (height, width) or, with
                equal channels, (height, width, 3); the size may differ from that of the image.
                As many as images, or none: other numbers are possible, but not trained.
            text: The sentence. Names of special tokens in it are ordinary letters, and those of
                media tokens are removed.
            with_format_suffix: Append the request for points that pointing data ends with.
            form: How pictures without depth are written.
            with_system: Whether there is a system turn at all.
            system_prompt: Other than the checkpoint's own.

        Raises:
            PictureError: A picture has another dtype or shape.
            QueryError: There is depth and the checkpoint has none, or the text is no Unicode.
            ConfigurationError: An option that this checkpoint cannot express.
        """
        if depths and not self.enable_depth:
            raise QueryError(f"{len(depths)} depth pictures, but this checkpoint knows no depth")
        (image_tiles, image_blocks), (depth_tiles, depth_blocks) = self.tiling.cut_groups(
            images, depths
        )
        sentence = clean_text(text + FORMAT_SUFFIX if with_format_suffix else text)
        content = build_content(self.tiling.mode, image_blocks, depth_blocks, sentence, form)
        turns = [Turn("user", content)]
        if system_prompt is not None:
            turns.insert(0, Turn("system", (Piece(system_prompt),)))
        ids, _ = self.tokenizer.encode(self.chat.render(turns, with_system=with_system))
        return ModelInput(
            input_ids=torch.tensor(ids, dtype=torch.int64),
            image_tiles=image_tiles,
            depth_tiles=depth_tiles,
            image_blocks=image_blocks,
            depth_blocks=depth_blocks,
        )

    def decode(self, ids: Sequence[int] | torch.Tensor) -> str:
        """Return an answer as text, special tokens left out, stripped."""
        listed = ids.tolist() if isinstance(ids, torch.Tensor) else list(ids)
        return self.tokenizer.decode(listed).strip()
