# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Steps of fixed shape: compiled, recorded as CUDA graphs, and kept for later."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from unittest.mock import MagicMock

import pytest
import torch
from roborefer_vlm.exceptions import ConfigurationError
from roborefer_vlm.model.checkpoint import load_checkpoint
from roborefer_vlm.model.decoding import DecodeStep, Decoding, RecordedStep, StepPool
from roborefer_vlm.types import Sampling


def test_shapes_that_never_change_give_the_same(model, requests, monkeypatch):
    # What CUDA graphs and compilation need, carried out without either.
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    expected = model.generate(requests[:3], max_new_tokens=40)

    first = model.generate(requests[:3], max_new_tokens=40, decoding=Decoding.COMPILED)
    again = model.generate(requests[1:4], max_new_tokens=40, decoding=Decoding.COMPILED)

    assert [one.ids for one in first] == [one.ids for one in expected]
    assert [one.ids for one in again[:2]] == [one.ids for one in expected[1:]]


def test_samples_of_fixed_shapes_are_those_of_growing_ones(model, requests, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    sampling = [Sampling(3, 1.5, seed=4), Sampling(), Sampling(2, 0.5, seed=9)]
    expected = model.generate(requests[:3], max_new_tokens=15, sampling=sampling)

    fixed = model.generate(
        requests[:3], max_new_tokens=15, sampling=sampling, decoding=Decoding.COMPILED
    )

    assert [one.samples for one in fixed] == [one.samples for one in expected]


@pytest.mark.slow
def test_compiled_step_gives_the_same(model, requests):
    expected = model.generate(requests[:2], max_new_tokens=10)

    compiled = model.generate(requests[:2], max_new_tokens=10, decoding=Decoding.COMPILED)

    assert [one.ids for one in compiled] == [one.ids for one in expected]


def test_recorded_decoding_is_refused_without_cuda(model, requests):
    with pytest.raises(ConfigurationError, match="needs CUDA"):
        model.generate(requests[:1], decoding=Decoding.GRAPH)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("decoding", [Decoding.GRAPH, Decoding.COMPILED])
def test_recorded_steps_give_what_eager_ones_give(tiny, requests, decoding):
    model = load_checkpoint(tiny / "checkpoints" / "dyn3x3", device="cuda", dtype=torch.float32)
    batches = [requests[:1], requests, requests[1:4], requests[:1]]
    for batch in batches:
        for sampling in (Sampling(), Sampling(samples=3, temperature=1.5, seed=5)):
            arguments = {"max_new_tokens": 40, "sampling": sampling}
            expected = model.generate(batch, decoding=Decoding.EAGER, **arguments)

            recorded = model.generate(batch, decoding=decoding, **arguments)

            assert [one.samples for one in recorded] == [one.samples for one in expected]


class PlayedGraph:
    """Stands for a CUDA graph: playing it runs the step."""

    def __init__(self):
        self.step, self.plays = None, 0

    def replay(self):
        self.plays += 1
        DecodeStep._run(self.step)


@pytest.fixture
def played_graphs(model, monkeypatch):
    """Let steps be recorded without CUDA, trying them out included."""
    monkeypatch.setattr(model.generator, "_steps", StepPool(model.llm))
    made: list[PlayedGraph] = []

    @contextmanager
    def record(graph):
        made.append(graph)
        yield

    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", PlayedGraph)
    monkeypatch.setattr(torch.cuda, "graph", record)
    monkeypatch.setattr(torch.cuda, "Stream", MagicMock())
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", MagicMock())
    take, original = StepPool._take_kept, RecordedStep._record

    def remember(step):
        graph = original(step)
        graph.step = step
        return graph

    monkeypatch.setattr(RecordedStep, "_record", remember)
    monkeypatch.setattr(StepPool, "_take_kept", lambda self, *a: take(self, *a[:3], True))
    return made


def test_recording_leaves_no_trace_in_answers(model, requests, played_graphs):
    for batch in (requests[:1], requests[:3], requests[1:4], requests[:1]):
        for sampling in (Sampling(), Sampling(samples=2, temperature=1.5, seed=5)):
            arguments = {"max_new_tokens": 20, "sampling": sampling}
            expected = model.generate(batch, decoding=Decoding.EAGER, **arguments)

            recorded = model.generate(batch, decoding=Decoding.COMPILED, **arguments)

            assert [one.samples for one in recorded] == [one.samples for one in expected]
    assert sum(graph.plays for graph in played_graphs) > 100


def test_recorded_steps_are_kept_for_batches_of_like_size(model, requests, played_graphs):
    for batch in (requests[:1], requests[:3], requests, requests[1:2], requests[:4]):
        model.generate(batch, max_new_tokens=5, decoding=Decoding.COMPILED)

    # One row, and four rows; three rows take the step of four.
    assert len(played_graphs) == 2


def test_kept_steps_make_room_when_memory_runs_out(model, requests, played_graphs, monkeypatch):
    model.generate(requests[:1], max_new_tokens=2, decoding=Decoding.COMPILED)
    pool, original = model.generator._steps, StepPool._cache

    def full(self, *arguments, **keywords):
        if self._kept:
            raise torch.OutOfMemoryError
        return original(self, *arguments, **keywords)

    monkeypatch.setattr(StepPool, "_cache", full)

    written = model.generate(requests[:3], max_new_tokens=2, decoding=Decoding.COMPILED)

    assert len(written) == 3
    assert len(pool._kept) == 1
