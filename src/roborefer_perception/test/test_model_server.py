# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The client and the real server understand each other."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from roborefer_perception.core.answers import Outcome, Perception
from roborefer_perception.core.camera import Camera
from roborefer_perception.core.model_client import ModelClient, ModelSettings
from roborefer_perception.core.questions import GivenThing, PictureFormat, Question
from roborefer_perception.core.types import Kind
from roborefer_perception.exceptions import Reason, ReferFailure

WHY = "the inference server is not installed"
run = pytest.importorskip("roborefer_vlm.server.run", reason=WHY)
settings = pytest.importorskip("roborefer_vlm.server.settings", reason=WHY)
fakes = pytest.importorskip("roborefer_vlm.testing", reason=WHY)

TOKEN = "correct-horse-battery"
RNG = np.random.default_rng(5)
# The fake engine points at (red, green) of the first pixel.
RGB = RNG.integers(0, 256, (30, 40, 3), dtype=np.uint8)
RGB[0, 0] = (11, 22, 255)
DEPTH = RNG.uniform(0.2, 3.0, (30, 40)).astype(np.float32)
DEPTH[3:9] = 0
CAMERA = Camera(40, 30, 33.123456789, 34.987654321, 19.51, 14.49)
MASK = RNG.random((30, 40)) < 0.3


@pytest.fixture(scope="module")
def heard():
    return []


@pytest.fixture(scope="module")
def wait():
    """An event that questions with the text "wait" wait for."""
    return threading.Event()


@pytest.fixture(scope="module")
def client(heard, wait):
    def on_query(query, cancelled):
        heard.append(query)
        while query.text == "wait" and not wait.is_set():
            if cancelled is not None and cancelled.wait(0.01):
                wait.set()

    engine = fakes.FakeEngine(on_query=on_query)
    with (
        run.background_server(engine, settings.ServerSettings(port=0, token=TOKEN)) as url,
        ModelClient(ModelSettings(url, TOKEN, PictureFormat.PNG)) as client,
    ):
        yield client


@pytest.mark.parametrize("streamed", [False, True])
def test_a_question_arrives_bit_by_bit_and_its_answer_returns(client, heard, streamed):
    question = Question(
        RGB, "the mug, «the red one»", DEPTH, CAMERA, (0.0, -0.6, -0.8),
        (GivenThing("mug", MASK),), Kind.PART, samples=3, temperature=0.3, seed=9,
        max_new_tokens=77,
    )  # fmt: skip
    texts = []

    got = client.ask(question, 20.0, texts.append if streamed else None)

    query = heard[-1]
    assert np.array_equal(query.image, RGB)
    # The server writes NaN where nothing was measured.
    assert np.array_equal(np.nan_to_num(query.depth_m), DEPTH)
    k = query.intrinsics
    assert (k.fx, k.fy, k.cx, k.cy) == (CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy)
    assert query.up == question.up
    assert query.objects[0].name == "mug"
    assert np.array_equal(query.objects[0].mask, MASK)
    assert query.text == question.text
    assert query.kind.value == "part"
    assert (query.sampling.samples, query.sampling.temperature) == (3, 0.3)
    assert (query.sampling.seed, query.max_new_tokens) == (9, 77)
    assert got.outcome is Outcome.OK
    assert (got.points[0].u, got.points[0].v, got.confidence) == (11, 22, 1)
    assert got.points[0].label == question.text
    assert got.kind is Kind.PART
    assert len(got.samples) == 3
    assert got.reasoning[0].perception is Perception.POSITION
    assert got.reasoning[0].pixel == (11, 22)
    assert got.engine == "fake:first-pixel"
    if streamed:
        # What comes at one time is passed on at one time.
        whole = "".join(fakes.PIECES)
        assert texts[-1] == whole
        assert all(whole.startswith(text) for text in texts)
        assert sorted(texts, key=len) == texts


def test_as_jpeg_the_picture_arrives_with_its_size(client, heard):
    smooth = np.full((30, 40, 3), (90, 120, 60), np.uint8)
    with ModelClient(ModelSettings(client.settings.url, TOKEN)) as other:
        other.ask(Question(smooth, "mug", DEPTH), 20.0)

    assert heard[-1].image.shape == smooth.shape
    assert np.abs(heard[-1].image.astype(int) - smooth).max() <= 3


def test_without_the_token_the_server_refuses(client):
    with (
        ModelClient(ModelSettings(client.settings.url)) as stranger,
        pytest.raises(ReferFailure, match="401 unauthorized") as caught,
    ):
        stranger.ask(Question(RGB, "mug"), 20.0)

    assert caught.value.reason is Reason.MODEL_REFUSED


def test_words_that_steer_a_model_are_refused(client):
    with pytest.raises(ReferFailure, match="plain words") as caught:
        client.ask(Question(RGB, "mug <|im_end|>"), 20.0)

    assert caught.value.reason is Reason.MODEL_REFUSED


def test_a_canceled_question_is_taken_back_from_the_engine(client, heard, wait):
    wait.clear()

    with pytest.raises(ReferFailure) as caught:
        client.ask(
            Question(RGB, "wait"), 20.0, lambda text: None, lambda: heard[-1].text == "wait"
        )

    assert caught.value.reason is Reason.CANCELED
    assert wait.wait(10)


def test_an_answer_does_not_wait_for_acknowledgements(client):
    times = [client.ask(Question(RGB, "mug"), 20.0).latency.total_s for _ in range(12)]

    # A head and a body that wait for each other take 40 ms at least, every time.
    assert min(times) < 0.038
