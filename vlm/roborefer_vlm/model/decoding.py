# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""One step of writing, for all rows together, and the ways to carry it out.

A step of a small decoder is many short kernels. On CUDA it is recorded once as a graph, after
which the processor only has to start it; that needs shapes and addresses that stay the same, so
recorded steps are kept together with their caches and used again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from enum import StrEnum
from random import Random

import torch
from transformers import Qwen2ForCausalLM

from roborefer_vlm.exceptions import ConfigurationError
from roborefer_vlm.model.cache import KeyValueCache
from roborefer_vlm.model.decoder_step import decode

_KEPT_STEPS = 4
_WARM_UPS = 3
# Slots of a kept step are a multiple of this, so that prompts of like length share one.
_FIXED_CAPACITY_STEP = 1024


class Decoding(StrEnum):
    """How the steps are carried out.

    AUTO is GRAPH on CUDA and EAGER elsewhere. COMPILED adds torch.compile, so that the first step
    of every new shape takes long; on CUDA the compiled step is recorded as well.
    """

    AUTO = "auto"
    EAGER = "eager"
    GRAPH = "graph"
    COMPILED = "compiled"


class Draw:
    """How one row chooses its tokens.

    Every draw is one number out of the row's own random sequence, so that what a row writes does
    not depend on which other rows there are.
    """

    def __init__(self, temperature: float | None = None, seed: int = 0, sample: int = 0) -> None:
        """Choose the likeliest token without temperature, else draw.

        Args:
            temperature: Of the softmax that is drawn from.
            seed: Of the query.
            sample: Which of the answers to the same query this is.
        """
        self.temperature = temperature
        self._random = Random(f"{seed}/{sample}")

    def next(self) -> float:
        """Return the next number, from 0 to below 1."""
        return self._random.random()


class DecodeStep:
    """Writes one token per row.

    Attributes:
        cache: Keys and values of all rows.
        tokens: The newest token of each row, int64, shape (rows,).
    """

    def __init__(
        self,
        llm: Qwen2ForCausalLM,
        cache: KeyValueCache,
        forward: Callable[[Qwen2ForCausalLM, KeyValueCache, torch.Tensor], torch.Tensor],
    ) -> None:
        self.cache = cache
        device = cache.positions.device
        self.tokens = torch.zeros(cache.rows, dtype=torch.long, device=device)
        self._llm = llm
        self._forward = forward
        self._draws: list[Draw] = []
        self._numbers = torch.zeros(cache.rows, dtype=torch.float64, device=device)
        self._temperatures = torch.ones(cache.rows, device=device)
        self._drawn = torch.zeros(cache.rows, dtype=torch.bool, device=device)
        self._any_drawn = False

    def begin(self, draws: Sequence[Draw]) -> None:
        """Take over how the first rows choose; rows behind them are idle."""
        self._draws = list(draws)
        self._any_drawn = any(draw.temperature is not None for draw in draws)
        self.cache.positions.zero_()
        drawn = torch.tensor([draw.temperature is not None for draw in draws])
        self._drawn[: len(draws)] = drawn.to(self._drawn.device)
        temperatures = torch.tensor([draw.temperature or 1.0 for draw in draws])
        self._temperatures[: len(draws)] = temperatures.to(self._temperatures.device)

    def choose(self, logits: torch.Tensor) -> None:
        """Take the first tokens from logits (rows in use, vocabulary)."""
        rows = len(logits)
        self._throw()
        self.tokens[:rows] = self._choose(logits, rows)

    def advance(self, span: int) -> None:
        """Read the newest tokens and choose the next; span is the longest row including them."""
        self._throw()
        self.cache.reserve(span)
        self._run()

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all other rows; not for recorded steps."""
        index = torch.tensor(rows, device=self.tokens.device)
        self.cache.keep(index)
        self._draws = [self._draws[row] for row in rows]
        self._any_drawn = any(draw.temperature is not None for draw in self._draws)
        self.tokens = self.tokens[index]
        self._numbers = self._numbers[index]
        self._temperatures = self._temperatures[index]
        self._drawn = self._drawn[index]

    def _run(self) -> None:
        logits = self._forward(self._llm, self.cache, self.tokens)
        self.cache.positions += 1
        self.tokens.copy_(self._choose(logits, len(logits)))

    def _throw(self) -> None:
        if self._any_drawn:
            numbers = torch.tensor([draw.next() for draw in self._draws], dtype=torch.float64)
            self._numbers[: len(numbers)] = numbers.to(self._numbers.device)

    def _choose(self, logits: torch.Tensor, rows: int) -> torch.Tensor:
        likeliest = logits.argmax(-1)
        if not self._any_drawn:
            return likeliest
        warm = logits.float() / self._temperatures[:rows, None]
        cumulative = warm.softmax(-1).cumsum(-1, dtype=torch.float64)
        # The sum may miss 1 by rounding.
        wanted = self._numbers[:rows, None] * cumulative[:, -1:]
        drawn = torch.searchsorted(cumulative, wanted, right=True)[:, 0]
        drawn = drawn.clamp(max=logits.shape[1] - 1)
        return torch.where(self._drawn[:rows], drawn, likeliest)


class RecordedStep(DecodeStep):
    """A step that runs as one CUDA graph per way of choosing."""

    def __init__(
        self,
        llm: Qwen2ForCausalLM,
        cache: KeyValueCache,
        forward: Callable[[Qwen2ForCausalLM, KeyValueCache, torch.Tensor], torch.Tensor],
    ) -> None:
        super().__init__(llm, cache, forward)
        self._graphs: dict[bool, torch.cuda.CUDAGraph] = {}

    def begin(self, draws: Sequence[Draw]) -> None:
        """Record the step before anything is in the cache: trying it out writes into slots."""
        super().begin(draws)
        if self._any_drawn not in self._graphs:
            self._graphs[self._any_drawn] = self._record()
            self.cache.positions.zero_()

    def _record(self) -> torch.cuda.CUDAGraph:
        with torch.cuda.device(self.tokens.device):
            # Libraries set themselves up when first used, which must not be recorded.
            stream: torch.cuda.Stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UPS):
                    super()._run()
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                super()._run()
        return graph

    def _run(self) -> None:
        self._graphs[self._any_drawn].replay()


class StepPool:
    """Makes steps and keeps those that are costly to make."""

    def __init__(self, llm: Qwen2ForCausalLM) -> None:
        self._llm = llm
        self._kept: OrderedDict[tuple[object, ...], DecodeStep] = OrderedDict()

    def take(self, draws: Sequence[Draw], longest: int, decoding: Decoding) -> DecodeStep:
        """Return a step for these rows, with an empty cache of at least `longest` slots.

        It is valid until the next call. A kept step may have more rows than asked for.

        Raises:
            ConfigurationError: The device cannot do what `decoding` says.
        """
        weight = self._llm.lm_head.weight
        on_cuda = weight.device.type == "cuda"
        if decoding is Decoding.AUTO:
            decoding = Decoding.GRAPH if on_cuda else Decoding.EAGER
        if decoding is Decoding.GRAPH and not on_cuda:
            raise ConfigurationError(
                f"decoding 'graph' needs CUDA, the model is on {weight.device}; use 'auto'"
            )
        if decoding is Decoding.EAGER:
            # Room grows while it writes, so a large limit costs nothing.
            step = DecodeStep(self._llm, self._cache(len(draws), 1, fixed=False), decode)
        else:
            step = self._take_kept(len(draws), longest, decoding, on_cuda)
        step.begin(draws)
        return step

    def _take_kept(self, rows: int, longest: int, decoding: Decoding, on_cuda: bool) -> DecodeStep:
        rows = 1 << (rows - 1).bit_length()
        capacity = -(-longest // _FIXED_CAPACITY_STEP) * _FIXED_CAPACITY_STEP
        weight = self._llm.lm_head.weight
        key = (rows, capacity, decoding, weight.data_ptr(), weight.dtype)
        step = self._kept.pop(key, None)
        if step is None:
            while len(self._kept) >= _KEPT_STEPS:
                self._kept.popitem(last=False)
            compiled = decoding is Decoding.COMPILED
            forward = torch.compile(decode, dynamic=False) if compiled else decode
            kind = RecordedStep if on_cuda else DecodeStep
            step = kind(self._llm, self._fixed_cache(rows, capacity), forward)
        self._kept[key] = step
        return step

    def _fixed_cache(self, rows: int, capacity: int) -> KeyValueCache:
        try:
            return self._cache(rows, capacity, fixed=True)
        except torch.OutOfMemoryError:
            # What is kept for later must not stand in the way of what is wanted now.
            self._kept.clear()
            torch.cuda.empty_cache()
            return self._cache(rows, capacity, fixed=True)

    def _cache(self, rows: int, capacity: int, *, fixed: bool) -> KeyValueCache:
        weight = self._llm.lm_head.weight
        attention = self._llm.model.layers[0].self_attn
        return KeyValueCache(
            layers=len(self._llm.model.layers),
            rows=rows,
            heads=attention.k_proj.out_features // attention.head_dim,
            width=attention.head_dim,
            capacity=capacity,
            device=weight.device,
            dtype=weight.dtype,
            fixed=fixed,
        )
