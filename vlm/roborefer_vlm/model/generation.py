# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Writing answers: one reading of the prompts, then token by token for all rows together.

Decoding is greedy without any penalty. `llm/generation_config.json` of published checkpoints asks
for sampling; it belongs to the language model they started from and is not read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import TypeVar

import torch
from torch import nn
from transformers import Qwen2ForCausalLM

from roborefer_vlm.exceptions import CancelledError, QueryError
from roborefer_vlm.model.decoding import DecodeStep, Decoding, Draw, StepPool
from roborefer_vlm.model.reading import read_prompts
from roborefer_vlm.types import Sampling

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Timing:
    """Seconds that one call of `generate` took, for all its rows together."""

    encode_s: float
    prefill_s: float
    decode_s: float


@dataclass(frozen=True)
class Generation:
    """What was written to one prompt.

    Attributes:
        ids: The greedy answer, without the stop token.
        stopped: Whether it ended by a stop token and not because of its length.
        samples: All answers in the order of sampling, the greedy one first.
        prompt_length: Embeddings of the prompt.
        timing: Of the whole call.
    """

    ids: tuple[int, ...]
    stopped: bool
    samples: tuple[tuple[int, ...], ...]
    prompt_length: int
    timing: Timing


@dataclass
class _Writing:
    """One answer that is being written."""

    prompt: int
    draw: Draw
    most: int
    ids: list[int] = field(default_factory=list)
    stopped: bool = False

    @property
    def done(self) -> bool:
        return self.stopped or len(self.ids) >= self.most


class Generator:
    """Writes with a language model; one caller at a time."""

    def __init__(self, llm: Qwen2ForCausalLM) -> None:
        self._llm = llm
        self._steps = StepPool(llm)

    @property
    def weight(self) -> torch.Tensor:
        """The output matrix, for its device and number format."""
        weight: torch.Tensor = self._llm.lm_head.weight
        return weight

    @torch.no_grad()
    def generate(
        self,
        embed: Callable[[], Sequence[torch.Tensor]],
        *,
        rows: int,
        longest: int,
        stop_ids: Collection[int],
        max_new_tokens: int | Sequence[int] = 1024,
        sampling: Sampling | Sequence[Sampling] | None = None,
        on_token: Callable[[int, int], None] | None = None,
        cancelled: Event | None = None,
        decoding: Decoding = Decoding.AUTO,
    ) -> list[Generation]:
        """Write one or several answers to each prompt.

        A row gives what it gives alone, up to rounding, whatever is in the other rows.

        Args:
            embed: Returns the embeddings of the prompts, one tensor (n, hidden) each; a function,
                so that its time can be measured here.
            rows: Number of prompts.
            longest: Embeddings that a prompt and its answer may have together.
            stop_ids: An answer ends before the first of these.
            max_new_tokens: Longest answer, for all prompts or for each; also limited by
                `longest`.
            sampling: How many answers to draw, for all prompts or for each; None draws the
                greedy one only. All answers to a prompt share its reading.
            on_token: Called with the prompt's index and each new token of its greedy answer.
            cancelled: Looked at before every token.
            decoding: How the steps are carried out.

        Raises:
            CancelledError: `cancelled` was set.
            QueryError: A prompt leaves no room for an answer, or the arguments do not match.
            ConfigurationError: The device cannot do what `decoding` says.
        """
        if rows == 0:
            return []
        limits = _per_row(max_new_tokens, int, rows, "max_new_tokens")
        samplings = _per_row(sampling or Sampling(), Sampling, rows, "sampling")
        clock = _Clock(self.weight.device)
        _check(cancelled)
        prompts = embed()
        clock.lap()
        _check(cancelled)
        lengths = [len(prompt) for prompt in prompts]
        answers = _plan(lengths, longest, limits, samplings)
        slots = max(lengths) + max(answer.most for answer in answers)
        with _evaluating(self._llm):
            step = self._steps.take([answer.draw for answer in answers], slots, decoding)
            owners = [answer.prompt for answer in answers]
            step.choose(read_prompts(self._llm, prompts, owners, step.cache))
            clock.lap()
            self._write(step, answers, max(lengths), stop_ids, on_token, cancelled)
            clock.lap()
        timing = Timing(*clock.laps)
        return [
            _collect([one for one in answers if one.prompt == row], lengths[row], timing)
            for row in range(rows)
        ]

    def _write(
        self,
        step: DecodeStep,
        answers: Sequence[_Writing],
        longest_prompt: int,
        stop_ids: Collection[int],
        on_token: Callable[[int, int], None] | None,
        cancelled: Event | None,
    ) -> None:
        current = list(answers)
        span = longest_prompt
        while True:
            # A step may have more rows than there are answers; those are idle.
            for answer, token in zip(current, step.tokens.tolist(), strict=False):
                if answer.done:
                    continue
                if token in stop_ids:
                    answer.stopped = True
                    continue
                answer.ids.append(token)
                if on_token is not None and answer.draw.temperature is None:
                    on_token(answer.prompt, token)
            going = [row for row, answer in enumerate(current) if not answer.done]
            if not going:
                return
            _check(cancelled)
            # Copying the cache costs about a step, so rows are dropped by halves.
            if not step.cache.fixed and 2 * len(going) <= len(current):
                step.keep(going)
                current = [current[row] for row in going]
            span += 1
            step.advance(span)


class _Clock:
    """Measures stages one after the other, with the device's work included."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.laps: list[float] = []
        self._last = self._now()

    def lap(self) -> None:
        now = self._now()
        self.laps.append(now - self._last)
        self._last = now

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Leave training mode for a while: layers that recompute gradients refuse a cache."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)


def _check(cancelled: Event | None) -> None:
    if cancelled is not None and cancelled.is_set():
        raise CancelledError("the caller took the query back while it was being answered")


def _per_row(
    value: _Value | Sequence[_Value], kind: type[_Value], rows: int, name: str
) -> list[_Value]:
    if isinstance(value, kind):
        return [value] * rows
    assert isinstance(value, Sequence)
    if len(value) != rows:
        raise QueryError(f"{name} has {len(value)} entries for {rows} prompts")
    return list(value)


def _plan(
    lengths: Sequence[int], longest: int, limits: Sequence[int], samplings: Sequence[Sampling]
) -> list[_Writing]:
    """List the answers to write, those to one prompt together and its greedy one first."""
    answers = []
    for row, (length, limit, sampling) in enumerate(zip(lengths, limits, samplings, strict=True)):
        room = longest - length
        if room < 1:
            raise QueryError(
                f"the prompt has {length} embeddings, the model allows"
                f" {longest}; send fewer or smaller pictures or less text"
            )
        if limit < 1:
            raise QueryError(f"max_new_tokens is {limit}; at least 1 is needed")
        for sample in range(sampling.samples):
            temperature = sampling.temperature if sample else None
            draw = Draw(temperature, sampling.seed, sample)
            answers.append(_Writing(row, draw, min(limit, room)))
    return answers


def _collect(answers: Sequence[_Writing], prompt_length: int, timing: Timing) -> Generation:
    first = answers[0]
    samples = tuple(tuple(answer.ids) for answer in answers)
    return Generation(samples[0], first.stopped, samples, prompt_length, timing)
