# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from threading import Event

import pytest
import torch
from roborefer_vlm.exceptions import CancelledError, QueryError
from roborefer_vlm.model.cache import KeyValueCache
from roborefer_vlm.model.checkpoint import load_checkpoint, random_model
from roborefer_vlm.model.configuration import RoboReferConfig
from roborefer_vlm.model.decoder_step import decode
from roborefer_vlm.model.decoding import Decoding, Draw, StepPool
from roborefer_vlm.model.reading import group_by_length, read_prompts
from roborefer_vlm.types import Sampling


def reference_greedy(model, request, steps: int) -> list[int]:
    """Write by reading everything again for every token."""
    embedded = model.embed([request]).embeddings
    ids: list[int] = []
    with torch.no_grad():
        while len(ids) < steps:
            hidden = model.llm(inputs_embeds=embedded).logits[0, -1]
            token = int(hidden.argmax())
            if token in model.vocabulary.stop:
                break
            ids.append(token)
            new = model.llm.model.embed_tokens(torch.tensor([[token]]))
            embedded = torch.cat([embedded, new], dim=1)
    return ids


def test_cached_writing_is_what_reading_it_all_again_gives(model, requests):
    for request in requests:
        written = model.generate([request], max_new_tokens=12)[0]

        assert list(written.ids) == reference_greedy(model, request, 12)


def test_row_of_a_mixed_batch_is_what_it_is_alone(model, requests):
    batch = [*requests, requests[2], requests[0]]
    limits = [30, 3, 12, 300, 1, 7]

    together = model.generate(batch, max_new_tokens=limits)

    for request, limit, row in zip(batch, limits, together, strict=True):
        alone = model.generate([request], max_new_tokens=limit)[0]
        assert (row.ids, row.stopped) == (alone.ids, alone.stopped)
        assert len(row.ids) <= limit


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_token_alone_is_what_it_is_in_its_text(tiny, requests, dtype):
    model = load_checkpoint(tiny / "checkpoints" / "s2", dtype=dtype)
    whole = requests[0].input_ids
    words = model.llm.model.embed_tokens
    with torch.no_grad():
        expected = model.llm(inputs_embeds=words(whole)[None]).logits[0, -1]
        cache = StepPool(model.llm).take([Draw()], 1, Decoding.EAGER).cache
        read_prompts(model.llm, [words(whole[:-1])], [0], cache)
        cache.reserve(len(whole))

        alone = decode(model.llm, cache, whole[-1:])[0]

    # bfloat16 has 8 bits, and the logits go up to about 10.
    limit = 1e-4 if dtype is torch.float32 else 0.15
    torch.testing.assert_close(alone, expected, atol=limit, rtol=0)


def test_prompt_is_read_once_for_all_its_samples(model, requests):
    shapes = []
    hook = model.llm.model.layers[0].mlp.register_forward_pre_hook(
        lambda _, states: shapes.append(states[0].shape[:-1])
    )
    model.generate(requests[2:3], max_new_tokens=2, sampling=Sampling(samples=5))
    hook.remove()

    (length,) = model.embed(requests[2:3]).lengths
    assert shapes == [(1, length), (5,)]


def test_first_sample_is_greedy_and_seeds_decide_the_others(model, requests):
    def draw(seed, batch):
        sampling = Sampling(samples=4, temperature=1.5, seed=seed)
        return model.generate(batch, max_new_tokens=10, sampling=sampling)

    greedy = model.generate(requests[1:2], max_new_tokens=10)[0]
    once, again, other = (
        draw(1, requests[1:2])[0],
        draw(1, requests[1:2])[0],
        draw(2, requests[1:2])[0],
    )
    batched = draw(1, requests)[1]

    assert once.samples[0] == once.ids == greedy.ids
    assert once.samples == again.samples == batched.samples
    assert once.samples != other.samples
    assert len(set(once.samples)) == 4


def test_low_temperature_draws_the_likeliest(model, requests):
    drawn = model.generate(
        requests[1:2], max_new_tokens=10, sampling=Sampling(samples=3, temperature=1e-4)
    )[0]

    assert set(drawn.samples) == {drawn.ids}


def test_draws_follow_the_softmax(model):
    logits = torch.tensor([[0.0, 1.0, 2.0, -30.0]])
    step = StepPool(model.llm).take([Draw(2.0, seed=3)], 1, Decoding.EAGER)
    counts = torch.zeros(4)
    for _ in range(4000):
        step.choose(logits)
        counts[step.tokens[0]] += 1

    # Four standard deviations of a share of one half in 4000 draws are 0.032.
    torch.testing.assert_close(counts / 4000, (logits[0] / 2).softmax(0), atol=0.032, rtol=0)


def test_every_token_of_the_greedy_answer_is_told_at_once(model, requests):
    told: list[tuple[int, int]] = []

    written = model.generate(
        requests,
        max_new_tokens=9,
        sampling=Sampling(samples=2),
        on_token=lambda row, token: told.append((row, token)),
    )

    for row, one in enumerate(written):
        assert tuple(token for index, token in told if index == row) == one.ids
    assert [row for row, _ in told[:4]] == [0, 1, 2, 3]


def test_answer_ends_before_a_stop_token(model, requests):
    plain = model.generate(requests[1:2], max_new_tokens=10)[0]
    stop = plain.ids[4]

    stopped = model.generate(requests[1:2], max_new_tokens=10, stop_ids=[stop])[0]

    assert stopped.ids == plain.ids[: plain.ids.index(stop)]
    assert stopped.stopped
    assert not plain.stopped


def test_writing_stops_between_tokens_when_taken_back(model, requests):
    cancelled = Event()
    told: list[int] = []

    def on_token(_row, token):
        told.append(token)
        if len(told) == 3:
            cancelled.set()

    with pytest.raises(CancelledError):
        model.generate(requests[1:2], max_new_tokens=50, on_token=on_token, cancelled=cancelled)

    assert len(told) == 3


def test_request_taken_back_before_the_start_costs_nothing(model, requests, monkeypatch):
    cancelled = Event()
    cancelled.set()
    monkeypatch.setattr(model, "embed_rows", lambda *_: pytest.fail("pictures were encoded"))

    with pytest.raises(CancelledError):
        model.generate(requests, cancelled=cancelled)


def test_answer_is_limited_by_the_length_the_model_allows(tiny, requests):
    model = load_checkpoint(tiny / "checkpoints" / "dyn3x3")
    (length,) = model.embed(requests[:1]).lengths
    model.vocabulary = replace(model.vocabulary, longest=length + 5, stop=())

    assert len(model.generate(requests[:1], max_new_tokens=50)[0].ids) == 5
    model.vocabulary = replace(model.vocabulary, longest=length)
    with pytest.raises(QueryError, match=f"allows {length}"):
        model.generate(requests[:1], max_new_tokens=50)


@pytest.mark.parametrize(
    "arguments",
    [{"max_new_tokens": 0}, {"max_new_tokens": [1, 2]}, {"sampling": [Sampling(), Sampling()]}],
)
def test_arguments_that_do_not_fit_are_refused(model, requests, arguments):
    with pytest.raises(QueryError):
        model.generate(requests[:1], **arguments)


def test_no_prompts_give_no_answers(model):
    assert model.generate([]) == []


def test_time_is_split_into_stages(model, requests):
    timing = model.generate(requests[2:3], max_new_tokens=3)[0].timing

    assert min(timing.encode_s, timing.prefill_s, timing.decode_s) > 0


@pytest.mark.parametrize("lengths", [[5], [5, 5, 5], [3000, 40, 41, 2900, 9000, 20_000, 43]])
def test_prompts_read_together_are_of_like_length(lengths):
    groups = group_by_length(lengths)

    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        padded = len(group) * max(lengths[index] for index in group)
        assert padded <= 8192 or len(group) == 1
        assert sum(lengths[index] for index in group) >= 0.75 * padded


def test_cache_grows_without_losing_what_it_holds():
    cache = KeyValueCache(
        layers=1,
        rows=2,
        heads=1,
        width=1,
        capacity=1,
        device=torch.device("cpu"),
        dtype=torch.float32,
    )
    for step in range(600):
        cache.reserve(step + 1)
        new = torch.tensor([step, -step], dtype=torch.float32).view(2, 1, 1)
        keys, values = cache.append(new, 2 * new, 0)
        cache.positions += 1

    assert keys[:, 0, :, 0].tolist() == [
        [float(s) for s in range(600)],
        [-float(s) for s in range(600)],
    ]
    assert torch.equal(values, 2 * keys)


def test_generation_config_of_the_language_model_is_never_read(checkpoint, requests):
    path = checkpoint()
    expected = load_checkpoint(path).generate(requests[1:2], max_new_tokens=10)[0].ids
    (path / "llm" / "generation_config.json").write_text("not even JSON")

    assert load_checkpoint(path).generate(requests[1:2], max_new_tokens=10)[0].ids == expected


def test_random_network_is_the_same_for_a_seed(tiny, model, requests):
    config = RoboReferConfig.from_directory(tiny / "checkpoints" / "dyn3x3")

    one, same, other = (random_model(config, model.vocabulary, seed=seed) for seed in (1, 1, 2))

    with torch.no_grad():
        assert torch.equal(one(requests[:1]), same(requests[:1]))
        assert not torch.equal(one(requests[:1]), other(requests[:1]))
        assert one(requests[2:3]).isfinite().all()
