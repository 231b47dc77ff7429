# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The network behind the engine contract: recorded answers, batches, samples, depth, streaming."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch", reason="the network needs torch")

from PIL import Image  # noqa: E402
from roborefer_vlm.backends.base import PromptEngine  # noqa: E402
from roborefer_vlm.backends.roborefer import Options, RoboReferEngine  # noqa: E402
from roborefer_vlm.exceptions import (  # noqa: E402
    CancelledError,
    QueryError,
    UnavailableError,
)
from roborefer_vlm.model.depth import relative_depth, render_inverse_depth  # noqa: E402
from roborefer_vlm.model.generation import Generation, Timing  # noqa: E402
from roborefer_vlm.model.inputs import ModelInput  # noqa: E402
from roborefer_vlm.model.processor import Processor  # noqa: E402
from roborefer_vlm.types import Outcome, Pixel, Query, Sampling, UInt8Array  # noqa: E402

GOLDEN = Path(__file__).parents[1] / "golden" / "roborefer_tiny"
CHECKPOINTS = ("dyn3x3", "s2", "s2mid", "resize", "shared")


def picture(name: str) -> UInt8Array:
    with Image.open(GOLDEN / "images" / name) as image:
        return np.array(image.convert("RGB"))


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def engine() -> Iterator[RoboReferEngine]:
    engine = RoboReferEngine.from_checkpoint(
        GOLDEN / "checkpoints" / "dyn3x3", dtype=torch.float32
    )
    yield engine
    engine.close()


def query(
    name: str = "small", *, depth: bool = True, text: str = "Point to the mug.", **more: Any
) -> Query:
    relative = picture(f"{name}_depth.png")[:, :, 0].copy() if depth else None
    more.setdefault("max_new_tokens", 12)
    return Query(picture(f"{name}.png"), text, relative_depth=relative, **more)


# Recorded answers.


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_bare_prompts_get_the_recorded_answers(checkpoint: str) -> None:
    expected = json.loads((GOLDEN / "expected" / checkpoint / "inference.json").read_text())
    engine = RoboReferEngine.from_checkpoint(
        GOLDEN / "checkpoints" / checkpoint, dtype=torch.float32
    )
    assert isinstance(engine, PromptEngine)

    answers = {
        case["id"]: engine.complete(
            [picture(name) for name in case["images"]],
            case["text"],
            depths=[picture(name) for name in case["depths"]],
            max_new_tokens=20,
        )
        for case in expected["cases"]
    }

    assert answers == {case["id"]: case["answer"] for case in expected["cases"]}


def test_original_service_gets_the_recorded_answers(engine: RoboReferEngine) -> None:
    recorded = json.loads((GOLDEN / "api" / "api.json").read_text())
    asked = 0

    for entry in recorded["responses"]:
        request = entry["request"]
        # Estimated depth is another test's; what fails before it reaches the engine as well.
        if entry["status"] != 200 or isinstance(request, str) or entry["name"] == "auto_depth":
            continue
        names = request.get("depth_url", []) if request.get("enable_depth") == 1 else []
        answer = engine.complete(
            [picture(name) for name in request.get("image_url", [])],
            request["text"],
            depths=[picture(name) for name in names],
            max_new_tokens=recorded["max_new_tokens"],
        )
        asked += 1
        assert answer == entry["json"]["answer"], entry["name"]

    assert asked >= 7


def test_number_of_depths_must_fit(engine: RoboReferEngine) -> None:
    images = [picture("table.png"), picture("small.png")]

    with pytest.raises(QueryError, match="1 depth pictures for 2 images"):
        engine.complete(images, "x", depths=[picture("table_depth.png")])


# Batches and samples.


def test_row_of_a_mixed_batch_is_what_it_is_alone(engine: RoboReferEngine) -> None:
    queries = [
        query(),
        query("table", depth=False, text="Where is the plate?", max_new_tokens=5),
        query("tall", text="free space", sampling=Sampling(3, 1.0, seed=5)),
    ]

    together = engine.refer_batch(queries)
    alone = [engine.refer(one) for one in queries]

    for one, other in zip(together, alone, strict=True):
        assert not isinstance(one, Exception)
        assert (one.outcome, one.text, one.points, one.samples, one.reasoning) == (
            other.outcome, other.text, other.points, other.samples, other.reasoning
        )  # fmt: skip
        assert one.latency.new_tokens == other.latency.new_tokens


def test_larger_batches_are_cut(engine: RoboReferEngine) -> None:
    model = engine._network()
    small = RoboReferEngine(model, engine._processor, name="small", options=Options(max_batch=2))

    answers = small.refer_batch([query(max_new_tokens=n) for n in (1, 2, 3, 4, 5)])

    assert [answer.latency.new_tokens for answer in answers] == [1, 2, 3, 4, 5]


def test_same_seed_draws_the_same_samples_and_the_first_is_greedy(engine: RoboReferEngine) -> None:
    sampling = Sampling(samples=4, temperature=1.5, seed=3)
    seen: list[list[str]] = []

    greedy = engine.refer(query())
    for _ in range(2):
        texts: list[str] = []
        answer = engine.refer(query(sampling=sampling), on_text=texts.append)
        assert len(answer.samples) == 4
        seen.append(texts)

    assert seen[0] == seen[1]
    assert "".join(seen[0]) == greedy.text


# Streaming, cancelling, timing.


def test_streamed_pieces_are_the_answer(engine: RoboReferEngine) -> None:
    pieces: list[str] = []

    answer = engine.refer(query("table", max_new_tokens=40), on_text=pieces.append)

    assert "".join(pieces) == answer.text
    assert len(pieces) > 5


def test_cancelled_query_stops_within_a_token(engine: RoboReferEngine) -> None:
    cancelled = Event()
    pieces: list[str] = []

    def stop(piece: str) -> None:
        pieces.append(piece)
        cancelled.set()

    with pytest.raises(CancelledError):
        engine.refer(query(max_new_tokens=200), on_text=stop, cancelled=cancelled)

    assert len(pieces) == 1


def test_latency_split_adds_up(engine: RoboReferEngine) -> None:
    latency = engine.refer(query()).latency
    parts = (
        latency.preprocess_s, latency.encode_s, latency.prefill_s, latency.decode_s,
        latency.postprocess_s,
    )  # fmt: skip

    assert min(parts) > 0
    assert sum(parts) <= latency.total_s
    # What lies between the stages is bookkeeping.
    assert latency.total_s - sum(parts) < 0.2 * latency.total_s + 0.01
    assert latency.new_tokens == 12


# Depth.


def test_metric_depth_reaches_the_network_as_relative_depth(engine: RoboReferEngine) -> None:
    image = picture("table.png")
    height, width = image.shape[:2]
    metric = np.linspace(0.5, 4.0, height * width, dtype=np.float32).reshape(height, width)
    metric[:20] = np.nan

    by_metres = engine.refer(Query(image, "the mug", depth_m=metric, max_new_tokens=12))
    by_picture = engine.refer(
        Query(image, "the mug", relative_depth=relative_depth(metric), max_new_tokens=12)
    )
    without = engine.refer(Query(image, "the mug", max_new_tokens=12))

    assert by_metres.text == by_picture.text
    assert by_metres.text != without.text


class FormulaEstimator:
    """Inverse depth by the formula of the recorded answers, which had no depth network."""

    name = "formula"

    def inverse_depth(self, image: UInt8Array) -> npt.NDArray[np.float32]:
        rows, columns = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
        blue = image[:, :, 2].astype(np.float32)
        depth = 3 + 2 * rows / image.shape[0] + 0.7 * np.sin(columns / 17) + blue / 255
        return depth.astype(np.float32)


def test_missing_depth_is_estimated_as_the_original_service_does(engine: RoboReferEngine) -> None:
    recorded = json.loads((GOLDEN / "api" / "api.json").read_text())
    (entry,) = [one for one in recorded["responses"] if one["name"] == "auto_depth"]
    (name,) = entry["request"]["image_url"]
    estimating = RoboReferEngine(
        engine._network(), engine._processor, name="e", depth_estimator=FormulaEstimator()
    )

    answer = estimating.complete(
        [picture(name)], entry["request"]["text"], depths=None, max_new_tokens=20
    )

    assert answer == entry["json"]["answer"]


def test_query_without_depth_uses_the_estimator(engine: RoboReferEngine) -> None:
    one = query(depth=False)
    estimating = RoboReferEngine(
        engine._network(), engine._processor, name="e", depth_estimator=FormulaEstimator()
    )
    depth = render_inverse_depth(FormulaEstimator().inverse_depth(one.image))

    estimated = estimating.refer(one)

    assert estimated.text == engine.refer(replace(one, relative_depth=depth)).text
    assert estimated.text != engine.refer(one).text


def test_estimating_without_estimator_is_refused(engine: RoboReferEngine) -> None:
    with pytest.raises(QueryError, match="no depth estimator"):
        engine.complete([picture("small.png")], "x", depths=None)


# What the engine makes of answers; the tiny network writes no sense, so a scripted one does.


class ScriptedModel:
    """Writes given texts with the tokenizer of a checkpoint."""

    device = torch.device("cpu")

    def __init__(self, processor: Processor, texts: Sequence[str]) -> None:
        self.prompts: list[ModelInput] = []
        self._answers = [tuple(processor.tokenizer.encode_text(text)) for text in texts]

    def generate(
        self,
        inputs: Sequence[ModelInput],
        *,
        on_token: Callable[[int, int], None] | None = None,
        **_: Any,
    ) -> list[Generation]:
        self.prompts += inputs
        for token in self._answers[0] if on_token else ():
            on_token(0, token)
        answers = tuple(self._answers)
        return [Generation(answers[0], True, answers, 9, Timing(0.1, 0.2, 0.3)) for _ in inputs]


def scripted(engine: RoboReferEngine, *texts: str, **options: Any) -> RoboReferEngine:
    model: Any = ScriptedModel(engine._processor, texts)
    return RoboReferEngine(model, engine._processor, name="scripted", options=Options(**options))


def test_prompt_that_is_too_long_fails_alone(engine: RoboReferEngine) -> None:
    class Narrow(ScriptedModel):
        def generate(self, inputs: Sequence[ModelInput], **more: Any) -> list[Generation]:
            if any(len(one.input_ids) > 200 for one in inputs):
                raise QueryError("the prompt is too long")
            return super().generate(inputs, **more)

    model: Any = Narrow(engine._processor, ["yes"])
    narrow = RoboReferEngine(model, engine._processor, name="narrow")
    few = query(text="Is it? yes or no")

    first, failed, last = narrow.refer_batch([few, query(text="mug " * 500), few])

    assert isinstance(failed, QueryError)
    assert [getattr(one, "text", None) for one in (first, last)] == ["yes", "yes"]


def test_points_and_steps_of_the_text_become_the_answer(engine: RoboReferEngine) -> None:
    text = "Step1: [Position] [mug] Point (0.250, 0.500). [(0.510, 0.255)]"
    one = query()

    answer = scripted(engine, text).refer(one)

    assert answer.outcome is Outcome.OK
    assert answer.points[0].pixel == Pixel.from_normalised(0.51, 0.255, one.width, one.height)
    assert answer.reasoning[0].target == "mug"
    assert answer.engine == "roborefer:scripted"
    assert answer.text == text
    assert (answer.latency.encode_s, answer.latency.prefill_s, answer.latency.decode_s) == (
        0.1, 0.2, 0.3
    )  # fmt: skip


def test_samples_vote_and_can_disagree(engine: RoboReferEngine) -> None:
    here, there = "[(0.5, 0.5)]", "[(0.1, 0.1)]"

    assert scripted(engine, here, here, there).refer(query()).confidence == pytest.approx(2 / 3)
    split = scripted(engine, here, there, there, here)
    assert split.refer(query()).outcome is Outcome.AMBIGUOUS


@pytest.mark.parametrize(
    ("text", "outcome"),
    [("yes", Outcome.TEXT), ("[(0.5, 0.5", Outcome.INVALID_ANSWER), ("[]", Outcome.NOTHING_FOUND)],
)
def test_answers_without_points_keep_their_text(
    engine: RoboReferEngine, text: str, outcome: Outcome
) -> None:
    answer = scripted(engine, text).refer(query())

    assert (answer.outcome, answer.text, answer.points) == (outcome, text, ())


@pytest.mark.parametrize(
    ("text", "append_suffix", "expected"),
    [
        ("Point to the mug.", True, True),
        ("Point to the mug.", False, False),
        ("Is the mug red? Answer yes or no", True, False),
    ],
)
def test_format_request_is_appended_once_where_wanted(
    engine: RoboReferEngine, text: str, append_suffix: bool, expected: bool
) -> None:
    asking = scripted(engine, "yes", append_suffix=append_suffix)
    model: Any = asking._network()

    asking.refer(query(text=text))

    prompt = engine._processor.decode(model.prompts[0].input_ids)
    assert prompt.count("formatted as a list of tuples") == int(expected)
    assert text in prompt


def test_warming_up_stops_at_the_first_token(engine: RoboReferEngine) -> None:
    tokens: list[int] = []

    class Counting(ScriptedModel):
        def generate(
            self,
            inputs: Sequence[ModelInput],
            *,
            on_token: Callable[[int, int], None] | None = None,
            cancelled: Event | None = None,
            **more: Any,
        ) -> list[Generation]:
            assert on_token is not None
            assert cancelled is not None
            for token in self._answers[0]:
                if cancelled.is_set():
                    raise CancelledError("enough")
                tokens.append(token)
                on_token(0, token)
            return super().generate(inputs)

    model: Any = Counting(engine._processor, ["some longer answer"])
    warming = RoboReferEngine(model, engine._processor, name="warming")

    warming.warm_up()

    assert len(tokens) == 1


def test_closed_engine_is_unavailable(engine: RoboReferEngine) -> None:
    closed = scripted(engine, "yes")

    closed.close()
    closed.close()

    with pytest.raises(UnavailableError, match="closed"):
        closed.refer(query())


def test_info_names_the_checkpoint_and_its_depth(engine: RoboReferEngine) -> None:
    info = engine.info

    assert (info.name, info.model, info.device) == ("roborefer", "dyn3x3", "cpu")
    assert info.uses_depth
    assert not info.needs_depth
    assert info.max_batch > 1
