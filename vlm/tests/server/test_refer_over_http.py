# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""`POST /v1/refer`: what arrives at the engine, and what comes back."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from io import BytesIO
from threading import Event
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from roborefer_vlm.server.client import Client
from roborefer_vlm.server.run import background_server
from roborefer_vlm.testing import PIECES, FakeEngine, fake_answer
from roborefer_vlm.types import GivenObject, Intrinsics, Query, Sampling, TargetKind


def picture(number: int) -> np.ndarray:
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[0, 0] = (number, 20, 200)
    pixels[10:20, 10:30] = 90
    return pixels


def encode(pixels: np.ndarray, form: str = "PNG", **options: Any) -> bytes:
    stored = BytesIO()
    Image.fromarray(pixels).save(stored, form, **options)
    return stored.getvalue()


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def events(text: str) -> list[tuple[str, Any]]:
    found = []
    for block in text.strip().split("\n\n"):
        lines = [line for line in block.splitlines() if not line.startswith(":")]
        if lines:
            fields = dict(line.split(": ", 1) for line in lines)
            found.append((fields["event"], json.loads(fields["data"])))
    return found


class Recorder(FakeEngine):
    def __init__(self) -> None:
        super().__init__(on_query=self._note)
        self.seen: list[Query] = []

    def _note(self, query: Query, cancelled: Event | None) -> None:
        self.seen.append(query)


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[str, Recorder]]:
    engine = Recorder()
    with background_server(engine) as url, Client(url) as client:
        client.wait_until_ready(10)
        yield url, engine


@pytest.fixture
def url(shared) -> str:
    return shared[0]


@pytest.fixture
def recorder(shared) -> Recorder:
    shared[1].seen.clear()
    return shared[1]


def test_a_query_with_everything_arrives_without_loss(url, recorder):
    depth = np.linspace(0.2, 3, 48 * 64, dtype=np.float32).reshape(48, 64)
    depth[0, :5] = np.nan
    masks = np.zeros((2, 48, 64), bool)
    masks[0, 10:20, 10:30] = True
    masks[1, 15:40, 20:50] = True
    sent = Query(
        picture(7),
        "Tasse links von dem Täßchen ☕",
        depth_m=depth,
        intrinsics=Intrinsics(64, 48, 50.5, 51.5, 31.5, 23.5),
        up=(0.0, -0.6, -0.8),
        objects=(
            GivenObject("soup can", masks[0], ("red", "lying")),
            GivenObject("mug", masks[1]),
        ),
        kind=TargetKind.FREE_SPACE,
        sampling=Sampling(3, 0.5, 11),
        max_new_tokens=77,
    )

    with Client(url) as client:
        answer = client.refer(sent)

    (got,) = recorder.seen
    assert np.array_equal(got.image, sent.image)
    assert got.depth_m is not None
    assert np.array_equal(got.depth_m, depth, equal_nan=True)
    assert [o.name for o in got.objects] == ["soup can", "mug"]
    assert got.objects[0].attributes == ("red", "lying")
    assert np.array_equal([o.mask for o in got.objects], masks)
    for name in ("text", "intrinsics", "up", "kind", "sampling", "max_new_tokens"):
        assert getattr(got, name) == getattr(sent, name), name
    expected = fake_answer(sent)
    for name in ("outcome", "points", "kind", "confidence", "reasoning", "samples", "engine"):
        assert getattr(answer, name) == getattr(expected, name), name
    assert 0 <= answer.latency.queue_s <= answer.latency.total_s


def test_relative_depth_arrives_without_loss(url, recorder):
    relative = np.arange(30 * 20, dtype=np.uint8).reshape(30, 20)

    with Client(url) as client:
        client.refer(Query(picture(1), "a", relative_depth=relative))

    assert np.array_equal(recorder.seen[0].relative_depth, relative)


@pytest.mark.parametrize(
    ("form", "scale", "expected"),
    [("png", 0.001, 1.5), ("png", 0.0002, 0.3), ("tiff", 0.001, 1.5)],
)
def test_metric_depth_comes_in_metres_from_each_format(url, recorder, form, scale, expected):
    if form == "png":
        data = encode(np.full((48, 64), 1500, np.uint16))
    else:
        data = encode(np.full((48, 64), 1.5, np.float32), "TIFF")
    body = {
        "image": base64_of(encode(picture(1))),
        "text": "a",
        "depth": {"data": base64_of(data), "scale_m": scale},
    }

    assert httpx.post(f"{url}/v1/refer", json=body).status_code == 200

    assert np.allclose(recorder.seen[0].depth_m, expected)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_each_picture_format_is_decoded(url, recorder, form):
    grey = np.full((48, 64, 3), 120, np.uint8)

    body = {"image": base64_of(encode(grey, form)), "text": "a"}
    assert httpx.post(f"{url}/v1/refer", json=body).status_code == 200

    assert np.abs(recorder.seen[0].image.astype(int) - 120).max() <= 1


def test_boxes_run_lengths_and_instances_become_masks(url, recorder):
    labels = np.zeros((48, 64), np.uint8)
    labels[0:2, 0:3], labels[5:9, 5:9] = 1, 2
    # Column by column: 48 outside, the first 3 of column 1 inside, the rest outside.
    rle = {"counts": [48, 3, 48 * 63 - 3]}
    body = {
        "image": base64_of(encode(picture(1))),
        "text": "a",
        "objects": [
            {"name": "box", "box": [10, 20, 12, 21]},
            {"name": "runs", "rle": rle, "attributes": ["red"]},
        ],
        "instances": {"data": base64_of(encode(labels)), "names": ["one", "two"]},
    }

    assert httpx.post(f"{url}/v1/refer", json=body).status_code == 200

    box, runs, one, two = (given.mask for given in recorder.seen[0].objects)
    assert box.sum() == 6
    assert box[20:22, 10:13].all()
    assert runs.sum() == 3
    assert runs[0:3, 1].all()
    assert np.array_equal(one, labels == 1)
    assert np.array_equal(two, labels == 2)


def test_multipart_says_the_same_as_json(url, recorder):
    depth = encode(np.full((48, 64), 2000, np.uint16))
    described = {"depth": {"scale_m": 0.0005}, "samples": 2, "kind": "object", "request_id": "m-1"}

    answered = httpx.post(
        f"{url}/v1/refer",
        data={"text": "the müg", "request": json.dumps(described)},
        files={"image": ("a.png", encode(picture(9))), "depth": ("d.png", depth)},
    )

    assert answered.status_code == 200
    assert answered.json()["request_id"] == answered.headers["x-request-id"] == "m-1"
    got = recorder.seen[0]
    assert (got.text, got.sampling.samples, got.kind) == ("the müg", 2, TargetKind.OBJECT)
    assert np.array_equal(got.image, picture(9))
    assert np.allclose(got.depth_m, 1.0)


def test_points_come_in_pixels_and_as_shares_of_the_picture(url):
    body = {"image": base64_of(encode(picture(31))), "text": "a"}

    point = httpx.post(f"{url}/v1/refer", json=body).json()["points"][0]

    assert (point["u"], point["v"]) == (31, 20)
    assert (point["x"], point["y"]) == (31.5 / 64, 20.5 / 48)


def test_a_stream_gives_pieces_in_order_then_the_answer(url):
    body = {"image": base64_of(encode(picture(5))), "text": "a", "stream": True}

    answered = httpx.post(f"{url}/v1/refer", json=body)

    assert answered.headers["content-type"].startswith("text/event-stream")
    found = events(answered.text)
    assert [name for name, _ in found] == ["text"] * len(PIECES) + ["answer"]
    assert tuple(data["text"] for name, data in found[:-1]) == PIECES
    assert found[-1][1]["points"][0]["u"] == 5


def test_accepting_events_alone_asks_for_a_stream(url):
    body = {"image": base64_of(encode(picture(5))), "text": "a"}

    answered = httpx.post(f"{url}/v1/refer", json=body, headers={"Accept": "text/event-stream"})

    assert events(answered.text)[-1][0] == "answer"


def test_text_comes_while_the_engine_still_writes(make_server):
    """The first piece is here before the engine is allowed to end."""
    go_on = Event()

    class Slow(FakeEngine):
        def refer(self, query, *, on_text=None, cancelled=None):
            on_text("first")
            assert go_on.wait(10)
            return super().refer(query, on_text=on_text, cancelled=cancelled)

    heard = []

    def listen(piece: str) -> None:
        heard.append(piece)
        go_on.set()

    with Client(make_server(Slow())) as client:
        client.refer(Query(picture(1), "a"), on_text=listen)

    assert tuple(heard) == ("first", *PIECES)


def test_an_error_in_a_stream_is_a_typed_event(make_server):
    def fail(query, cancelled):
        raise RuntimeError("secret words")

    url = make_server(FakeEngine(on_query=fail))
    body = {"image": base64_of(encode(picture(5))), "text": "a", "stream": True}

    answered = httpx.post(f"{url}/v1/refer", json=body)

    ((name, data),) = events(answered.text)
    assert name == "error"
    assert data["error"]["code"] == "engine_failed"
    assert "secret" not in answered.text
    assert data["request_id"] == answered.headers["x-request-id"]


def test_request_ids_of_the_header_come_back_and_strange_ones_do_not(url):
    good = httpx.get(f"{url}/healthz", headers={"X-Request-Id": "abc-1.2_3"})
    strange = httpx.get(f"{url}/healthz", headers={"X-Request-Id": 'a"b{c}' * 30})

    assert good.headers["x-request-id"] == "abc-1.2_3"
    assert len(strange.headers["x-request-id"]) == 32


def test_model_and_health_say_what_answers(url):
    with Client(url) as client:
        assert client.info().name == "fake"
        assert client.info().model == "first-pixel"
        assert client.ready()
    assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}
    assert httpx.get(f"{url}/v1/model").json()["limits"]["max_pixels"] == 25_000_000
