# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The RoboRefer network (arXiv 2506.04308) as an engine."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import numpy as np
import torch

from roborefer_vlm.backends.answers import answer_from_texts
from roborefer_vlm.backends.base import EngineInfo
from roborefer_vlm.backends.streaming import TextStream
from roborefer_vlm.exceptions import (
    CancelledError,
    QueryError,
    ReferringError,
    UnavailableError,
)
from roborefer_vlm.model.checkpoint import load_checkpoint
from roborefer_vlm.model.depth import relative_depth, render_inverse_depth
from roborefer_vlm.model.estimator import DepthEstimator
from roborefer_vlm.model.generation import Generation
from roborefer_vlm.model.inputs import ModelInput
from roborefer_vlm.model.network import RoboReferModel
from roborefer_vlm.model.processor import Processor
from roborefer_vlm.parsing.families import family_named
from roborefer_vlm.types import Answer, LatencySplit, Query, UInt8Array


@dataclass(frozen=True)
class Options:
    """How the network is used.

    Attributes:
        max_batch: Most queries that are answered together.
        append_suffix: Whether sentences get the request for points that the network was trained
            with, unless they say how to answer; without it, it may answer in words.
        report_splits: Whether samples that disagree make an answer AMBIGUOUS; see `answers`.
    """

    max_batch: int = 8
    append_suffix: bool = True
    report_splits: bool = True


class RoboReferEngine:
    """Answers with a checkpoint in the published layout; one caller at a time.

    Depth, by what a query brings: metric depth is rendered as the network was taught, a relative
    depth picture is used as it is, and without either it is estimated if an estimator is
    configured. Else, and with checkpoints that know no depth, the picture alone decides.
    """

    def __init__(
        self,
        model: RoboReferModel,
        processor: Processor,
        *,
        name: str,
        depth_estimator: DepthEstimator | None = None,
        options: Options | None = None,
    ) -> None:
        """Put network and inputs together; `from_checkpoint` loads both.

        Args:
            model: The network.
            processor: The inputs of the same checkpoint.
            name: What answers call the checkpoint.
            depth_estimator: For queries without depth.
            options: How it is used.
        """
        self._model: RoboReferModel | None = model
        self._processor = processor
        self._estimator = depth_estimator
        self._options = options or Options()
        self._family = family_named("roborefer")
        self._info = EngineInfo(
            name="roborefer",
            model=name,
            device=str(model.device),
            uses_depth=processor.enable_depth,
            max_batch=self._options.max_batch,
        )

    @classmethod
    def from_checkpoint(
        cls,
        path_or_hub_id: str | Path,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        depth_estimator: DepthEstimator | None = None,
        options: Options | None = None,
    ) -> RoboReferEngine:
        """Load an engine.

        Args:
            path_or_hub_id: Directory, or a name of the hub.
            device: Where to compute.
            dtype: Number format; None keeps that of the files.
            depth_estimator: For queries without depth.
            options: How it is used.

        Raises:
            CheckpointError: The checkpoint lacks something or contradicts itself.
            UnavailableError: A hub was named and cannot be reached.
        """
        model = load_checkpoint(path_or_hub_id, device=device, dtype=dtype)
        processor = Processor.from_checkpoint(path_or_hub_id, model.config)
        return cls(
            model,
            processor,
            name=Path(path_or_hub_id).name or str(path_or_hub_id),
            depth_estimator=depth_estimator,
            options=options,
        )

    @property
    def info(self) -> EngineInfo:
        """What this engine is."""
        return self._info

    def refer(
        self,
        query: Query,
        *,
        on_text: Callable[[str], None] | None = None,
        cancelled: Event | None = None,
    ) -> Answer:
        """Answer one query; see `Engine.refer`."""
        start = time.perf_counter()
        inputs = [self._prepare(query)]
        prepared = time.perf_counter()
        stream = TextStream(self._processor.tokenizer.decode, on_text) if on_text else None
        (generation,) = self._generate(
            inputs,
            [query],
            on_token=(lambda _, token: stream.add(token)) if stream else None,
            cancelled=cancelled,
        )
        if stream:
            stream.end()
        return self._answer(query, generation, start, prepared - start)

    def refer_batch(self, queries: Sequence[Query]) -> list[Answer | Exception]:
        """Answer queries together; see `Engine.refer_batch`.

        The latency of each answer is that of the batch it was part of, which is how long its
        caller waited for it.
        """
        answers: list[Answer | Exception] = []
        for begin in range(0, len(queries), self._options.max_batch):
            answers += self._batch(queries[begin : begin + self._options.max_batch])
        return answers

    def complete(
        self,
        images: Sequence[UInt8Array],
        text: str,
        *,
        depths: Sequence[UInt8Array] | None = (),
        max_new_tokens: int = 512,
        cancelled: Event | None = None,
    ) -> str:
        """Return the model's text for a bare prompt; see `PromptEngine.complete`."""
        if depths is None:
            depths = [self._estimated(image) for image in images]
        elif depths and len(depths) != len(images):
            raise QueryError(
                f"{len(depths)} depth pictures for {len(images)} images; send as many"
            )
        prompt = self._processor.prepare(images, depths, text)
        (generation,) = self._network().generate(
            [prompt], max_new_tokens=max_new_tokens, cancelled=cancelled
        )
        return self._processor.decode(generation.ids)

    def warm_up(self) -> None:
        """Answer the first token of a usual query, so that the first real one is not slow.

        On CUDA it is then that kernels are loaded and the steps of writing are recorded.
        """
        image = np.zeros((480, 640, 3), np.uint8)
        depth = image[:, :, 0] if self._processor.enable_depth else None
        enough = Event()
        with suppress(CancelledError):
            self.refer(
                Query(image, "warm up", relative_depth=depth),
                on_text=lambda _: enough.set(),
                cancelled=enough,
            )

    def close(self) -> None:
        """Let go of the network; calling it twice is allowed."""
        if self._model is None:
            return
        device = self._model.device
        self._model = None
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()

    def _network(self) -> RoboReferModel:
        if self._model is None:
            raise UnavailableError("this engine is closed")
        return self._model

    def _prepare(self, query: Query) -> ModelInput:
        depth = self._depth(query)
        text = self._family.ask(query.text) if self._options.append_suffix else query.text
        return self._processor.prepare([query.image], [] if depth is None else [depth], text)

    def _depth(self, query: Query) -> UInt8Array | None:
        if not self._processor.enable_depth:
            return None
        if query.depth_m is not None:
            return relative_depth(query.depth_m)
        if query.relative_depth is not None:
            return query.relative_depth
        return self._estimated(query.image) if self._estimator else None

    def _estimated(self, image: UInt8Array) -> UInt8Array:
        if self._estimator is None:
            raise QueryError("depth has to be estimated, but no depth estimator is configured")
        return render_inverse_depth(self._estimator.inverse_depth(image))

    def _generate(
        self,
        inputs: Sequence[ModelInput],
        queries: Sequence[Query],
        *,
        on_token: Callable[[int, int], None] | None = None,
        cancelled: Event | None = None,
    ) -> list[Generation]:
        try:
            return self._network().generate(
                inputs,
                max_new_tokens=[query.max_new_tokens for query in queries],
                sampling=[query.sampling for query in queries],
                on_token=on_token,
                cancelled=cancelled,
            )
        except torch.OutOfMemoryError as error:
            raise UnavailableError(
                f"{self._info.device} has no memory left for {len(queries)} queries; send fewer"
                " at a time, fewer samples or smaller pictures"
            ) from error

    def _batch(self, queries: Sequence[Query]) -> list[Answer | Exception]:
        start = time.perf_counter()
        answers: dict[int, Answer | Exception] = {}
        inputs: dict[int, ModelInput] = {}
        for row, query in enumerate(queries):
            try:
                inputs[row] = self._prepare(query)
            except ReferringError as error:
                answers[row] = error
        preprocess_s = time.perf_counter() - start
        sound = [queries[row] for row in inputs]
        try:
            generations = self._generate(list(inputs.values()), sound)
        except ReferringError as error:
            if len(queries) == 1:
                return [error]
            # One prompt that is too long, say, must not fail the others.
            return [answer for query in queries for answer in self._batch([query])]
        for row, generation in zip(inputs, generations, strict=True):
            answers[row] = self._answer(queries[row], generation, start, preprocess_s)
        return [answers[row] for row in range(len(queries))]

    def _answer(
        self, query: Query, generation: Generation, start: float, preprocess_s: float
    ) -> Answer:
        written = time.perf_counter()
        answer = answer_from_texts(
            [self._processor.decode(ids) for ids in generation.samples],
            query,
            self._family,
            engine=f"roborefer:{self._info.model}",
            report_splits=self._options.report_splits,
        )
        end = time.perf_counter()
        latency = LatencySplit(
            preprocess_s=preprocess_s,
            encode_s=generation.timing.encode_s,
            prefill_s=generation.timing.prefill_s,
            decode_s=generation.timing.decode_s,
            postprocess_s=end - written,
            total_s=end - start,
            new_tokens=sum(map(len, generation.samples)),
        )
        return replace(answer, latency=latency)
