# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the network has to know of the tokenizer."""

from __future__ import annotations

from dataclasses import dataclass

from roborefer_vlm.exceptions import CheckpointError
from roborefer_vlm.model.configuration import LLM, RoboReferConfig
from roborefer_vlm.model.part_configurations import MediaTokens
from roborefer_vlm.model.tokenizer import IM_END, Tokenizer

# Tokenizers without a limit note a number of this size or more.
_NO_LIMIT = 10**9


@dataclass(frozen=True)
class Vocabulary:
    """Token ids that mean something to the network itself.

    Attributes:
        size: Tokens of the tokenizer, hence rows of the embedding.
        image: Placeholder of a colour item.
        depth: Placeholder of a depth item; None where depth is not enabled.
        pad: Fills the ends of shorter rows; never looked at.
        stop: An answer ends before the first of these.
        around_image: Ids whose embeddings go before and behind a colour item.
        around_depth: The same for a depth item.
        longest: Embeddings that a sequence may have, answer included.
    """

    size: int
    image: int
    depth: int | None
    pad: int
    stop: tuple[int, ...]
    around_image: tuple[tuple[int, ...], tuple[int, ...]]
    around_depth: tuple[tuple[int, ...], tuple[int, ...]]
    longest: int

    @classmethod
    def from_checkpoint(cls, config: RoboReferConfig) -> Vocabulary:
        """Read the tokenizer of a checkpoint.

        Raises:
            CheckpointError: The configuration has no directory, or no tokenizer can be read.
        """
        if config.directory is None:
            raise CheckpointError("a configuration without directory has no tokenizer")
        tokenizer = Tokenizer.from_directory(
            config.directory / LLM, enable_depth=config.enable_depth
        )
        return cls.from_tokenizer(tokenizer, config)

    @classmethod
    def from_tokenizer(cls, tokenizer: Tokenizer, config: RoboReferConfig) -> Vocabulary:
        """Ask a tokenizer for everything that the network needs."""
        limit = tokenizer.model_max_length
        return cls(
            size=tokenizer.size,
            image=tokenizer.image_id,
            depth=tokenizer.depth_id,
            pad=tokenizer.pad_id,
            stop=(tokenizer.special_id(IM_END),),
            around_image=_around(tokenizer, config.image_tokens),
            around_depth=_around(tokenizer, config.depth_tokens),
            longest=limit if limit < _NO_LIMIT else config.language.model_max_length,
        )


def _around(tokenizer: Tokenizer, tokens: MediaTokens) -> tuple[tuple[int, ...], tuple[int, ...]]:
    def ids(text: str | None) -> tuple[int, ...]:
        if not text:
            return ()
        if text in tokenizer.special_tokens:
            return (tokenizer.special_id(text),)
        return tuple(tokenizer.encode_text(text))

    return ids(tokens.start), ids(tokens.end)
