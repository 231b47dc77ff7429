# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The contract between whoever asks and whatever engine answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Protocol, runtime_checkable

from roborefer_vlm.exceptions import ConfigurationError
from roborefer_vlm.types import Answer, Query, UInt8Array


@dataclass(frozen=True)
class EngineInfo:
    """What an engine is, for people and for /v1/model.

    Attributes:
        name: Kind of engine: "roborefer", "scene_graph" or "openai".
        model: Checkpoint, remote model or rule set that answers.
        device: Where it computes, such as "cpu" or "cuda:0".
        uses_depth: Whether depth changes its answers.
        needs_depth: Whether it refuses queries without metric depth and intrinsics.
        max_batch: How many queries `refer_batch` gains from; 1 means that it does not.
    """

    name: str
    model: str
    device: str = "cpu"
    uses_depth: bool = False
    needs_depth: bool = False
    max_batch: int = 1

    def __post_init__(self) -> None:
        # A server would wait forever for a batch of none.
        if self.max_batch < 1:
            raise ConfigurationError(f"max_batch is {self.max_batch}; at least 1 is needed")


class Engine(Protocol):
    """Answers queries. One caller at a time: whoever has several threads brings the lock."""

    @property
    def info(self) -> EngineInfo:
        """What this engine is."""

    def refer(
        self,
        query: Query,
        *,
        on_text: Callable[[str], None] | None = None,
        cancelled: Event | None = None,
    ) -> Answer:
        """Answer one query.

        Args:
            query: The question.
            on_text: Called with every new piece of text while the first sample is written.
            cancelled: Looked at between steps and between tokens.

        Raises:
            QueryError: The query lacks something that this engine needs.
            CancelledError: `cancelled` was set.
            UnavailableError: A remote engine cannot be reached.
        """

    def refer_batch(self, queries: Sequence[Query]) -> list[Answer | Exception]:
        """Answer several queries; row i is what `refer(queries[i])` gives alone, or its error."""

    def close(self) -> None:
        """Let go of memory and connections; calling it twice is allowed."""


@runtime_checkable
class PromptEngine(Engine, Protocol):
    """An engine that also takes the bare prompt of the original RoboRefer service."""

    def complete(
        self,
        images: Sequence[UInt8Array],
        text: str,
        *,
        depths: Sequence[UInt8Array] | None = (),
        max_new_tokens: int = 512,
        cancelled: Event | None = None,
    ) -> str:
        """Return the model's text for these pictures, then depths, then text; greedy.

        Args:
            images: RGB, each uint8 (height, width, 3); empty for a text without pictures.
            text: Sent as it is, format suffix included; may be empty.
            depths: One per image, each uint8 (rows, columns, 3) or (rows, columns), bright is
                near; empty: without depth; None: estimated from each image.
            max_new_tokens: Longest answer.
            cancelled: Looked at between tokens.

        Raises:
            QueryError: The numbers of images and depths differ, or depth has to be estimated
                and no estimator is configured.
            CancelledError: `cancelled` was set.
        """
