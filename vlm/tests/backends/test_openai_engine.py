# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Asking an endpoint over real HTTP: conventions, retries, limits, cancelling, hostile replies."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import cv2
import numpy as np
import pytest
from fake_chat_server import FakeServer, Reply, error, event, raw, stream, whole
from roborefer_vlm.backends.chat import Endpoint
from roborefer_vlm.backends.openai import ChatOptions, OpenAIEngine, read_key
from roborefer_vlm.exceptions import (
    CancelledError,
    ConfigurationError,
    DeadlineError,
    EngineError,
    PictureError,
    QueryError,
    UnavailableError,
)
from roborefer_vlm.types import Outcome, Pixel, Query, Sampling

KEY = "sk-secret-0123456789"
GOOD = "[(0.5, 0.25)]"
POINT = Pixel(59.5, 19.5)


@contextmanager
def asking(
    *replies: Reply, model: str = "some-model", options: ChatOptions | None = None, **endpoint: Any
) -> Iterator[tuple[OpenAIEngine, FakeServer]]:
    endpoint = {"timeout_s": 10.0, "pause_s": 0.01, **endpoint}
    with FakeServer(*replies).running() as server:
        engine = OpenAIEngine(Endpoint(server.url, **endpoint), model, options=options)
        try:
            yield engine, server
        finally:
            engine.close()


def query(text: str = "the red mug", **more: Any) -> Query:
    image = np.zeros((80, 120, 3), np.uint8)
    image[:, :60] = (255, 0, 0)
    return Query(image, text, **more)


def decoded(part: dict[str, Any]) -> Any:
    kind, _, content = part["image_url"]["url"].partition(";base64,")
    assert kind in ("data:image/png", "data:image/jpeg")
    data = np.frombuffer(base64.b64decode(content, validate=True), np.uint8)
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


# What is sent.


def test_request_holds_the_picture_the_sentence_and_the_limits() -> None:
    with asking(stream(GOOD)) as (engine, server):
        answer = engine.refer(query(max_new_tokens=77))

    (body,) = server.requests
    picture, text = body["messages"][0]["content"]
    assert body["model"] == "some-model"
    assert body["max_tokens"] == 77
    assert body["temperature"] == 0
    assert np.array_equal(decoded(picture), query().image)
    assert text["text"].startswith("the red mug Your answer should be formatted")
    assert answer.outcome is Outcome.OK
    assert answer.points[0].pixel == POINT
    assert answer.engine == "openai:some-model"
    assert answer.latency.total_s >= answer.latency.decode_s > 0


def test_fields_of_the_body_can_be_renamed_added_and_left_out() -> None:
    options = ChatOptions(
        length_field="max_completion_tokens",
        leave_out=("temperature", "seed"),
        extra={"top_p": 0.9},
    )

    with asking(stream(GOOD), options=options) as (engine, server):
        engine.refer(query(max_new_tokens=9))

    (body,) = server.requests
    assert body.keys() == {"model", "messages", "max_completion_tokens", "stream", "top_p"}
    assert body["max_completion_tokens"] == 9


@pytest.mark.parametrize(
    ("model", "reply", "asks_for"),
    [
        ("gemini-2.5-pro", '```json\n[{"point": [250, 500], "label": "mug"}]\n```', "[y, x]"),
        ("Qwen3-VL-8B-Instruct", '[{"point_2d": [500, 250]}]', "point_2d"),
        ("Qwen2.5-VL-7B-Instruct", '[{"point_2d": [56, 21]}]', "JSON"),
        ("Molmo-7B-D", '<point x="50" y="25" alt="mug">mug</point>', "points"),
        ("RoboRefer-8B-SFT", GOOD, "list of tuples"),
    ],
)
def test_model_name_decides_how_it_is_asked_and_read(
    model: str, reply: str, asks_for: str
) -> None:
    with asking(stream(reply), model=model) as (engine, server):
        answer = engine.refer(query())

    assert answer.points[0].pixel == POINT
    assert asks_for in server.requests[0]["messages"][0]["content"][-1]["text"]


def test_depth_goes_along_as_grey_picture_where_wanted() -> None:
    depth = np.linspace(0.5, 2.0, 80 * 120, dtype=np.float32).reshape(80, 120)
    options = ChatOptions(depth="picture")

    with asking(stream(GOOD), options=options) as (engine, server):
        engine.refer(query(depth_m=depth))
        engine.refer(query())

    first, second = (body["messages"][0]["content"] for body in server.requests)
    grey = decoded(first[1])
    assert len(first) == 3
    assert grey[0, 0, 0] > grey[-1, -1, 0]  # Near is bright.
    assert "depth" in first[2]["text"]
    assert len(second) == 2


def test_large_picture_is_shrunk_and_pixels_of_the_answer_scaled_back() -> None:
    big = Query(np.zeros((800, 1200, 3), np.uint8), "the mug")
    options = ChatOptions(longest_side=112)

    # 1200 x 800 is sent as 112 x 75, which the model sees as 112 x 84.
    with asking(stream('[{"point_2d": [56, 42]}]'), model="qwen2.5-vl", options=options) as (
        engine,
        server,
    ):
        answer = engine.refer(big)

    assert decoded(server.requests[0]["messages"][0]["content"][0]).shape == (75, 112, 3)
    assert answer.points[0].pixel == Pixel(599.5, 399.5)


def test_picture_over_the_limit_is_refused_before_sending() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (100, 100, 3), np.uint8)

    with (
        asking(stream(GOOD), options=ChatOptions(most_picture_bytes=1000)) as (engine, server),
        pytest.raises(PictureError, match="longest_side"),
    ):
        engine.refer(Query(noise, "the mug"))

    assert server.requests == []


def test_key_is_sent_and_appears_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    with asking(error(401, f"bad key {KEY}"), key=KEY) as (engine, server):
        with pytest.raises(ConfigurationError, match="refuses the key") as caught:
            engine.refer(query())
        shown = repr(engine._endpoint) + str(caught.value) + caplog.text

    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in shown


def test_key_comes_from_environment_or_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    (tmp_path / "key").write_text("other\n")

    assert read_key("MY_KEY") == KEY
    assert read_key("NO_SUCH_KEY") == ""
    assert read_key("MY_KEY", tmp_path / "key") == "other"
    with pytest.raises(ConfigurationError, match="none"):
        read_key("MY_KEY", tmp_path / "none")


@pytest.mark.parametrize(
    ("url", "key", "match"),
    [
        ("http://example.org/v1", KEY, "unencrypted"),
        ("https://me:pw@example.org/v1", "", "password"),
        ("https://example.org/v1?x=1", "", "must end"),
        ("file:///etc/passwd", "", "no address"),
        ("http://127.0.0.1/v1", "a\r\nX-Evil: 1", "foreign"),
    ],
)
def test_address_that_would_leak_or_fail_is_refused(url: str, key: str, match: str) -> None:
    with pytest.raises(ConfigurationError, match=match):
        Endpoint(url, key)


# Several answers, streaming, cancelling.


def test_samples_are_drawn_apart_and_vote() -> None:
    replies = [whole(GOOD), whole("[(0.1, 0.1)]"), whole(GOOD)]

    with asking(*replies, options=ChatOptions(parallel=1)) as (engine, server):
        answer = engine.refer(query(sampling=Sampling(3, 0.8, seed=7)))

    assert [body["temperature"] for body in server.requests] == [0, 0.8, 0.8]
    assert [body["seed"] for body in server.requests] == [7, 8, 9]
    assert answer.confidence == pytest.approx(2 / 3)
    assert len(answer.samples) == 3


def test_text_is_passed_on_while_it_comes() -> None:
    go_on = Event()
    seen: list[str] = []

    def take(piece: str) -> None:
        seen.append(piece)
        go_on.set()  # Without the first piece the endpoint never sends the second.

    with asking(stream("[(0.5,", " 0.25)]", wait=go_on)) as (engine, _):
        answer = engine.refer(query(), on_text=take)

    assert seen == ["[(0.5,", " 0.25)]"]
    assert answer.text == GOOD


def test_cancelled_query_ends_at_once_and_closes_the_connection() -> None:
    cancelled = Event()
    hanging = Event()

    def hang(handler: Any, _: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        handler.wfile.write(event("[("))
        while not hanging.wait(0.01):
            handler.wfile.write(event(" "))

    with asking(hang) as (engine, server):
        with pytest.raises(CancelledError):
            engine.refer(query(), on_text=lambda _: cancelled.set(), cancelled=cancelled)

        assert server.gate.wait(10)  # Writing failed: the connection is closed.
        hanging.set()


def test_error_in_on_text_reaches_the_caller() -> None:
    def fail(_: str) -> None:
        raise RuntimeError("display is gone")

    with asking(stream(GOOD)) as (engine, _), pytest.raises(RuntimeError, match="display"):
        engine.refer(query(), on_text=fail)


def test_batch_keeps_rows_and_their_errors_apart() -> None:
    def by_text(handler: Any, body: dict[str, Any]) -> None:
        number = int(body["messages"][0]["content"][-1]["text"].split()[1])
        reply = error(400, "no") if number == 2 else whole(f"[(0.{number}, 0.5)]")
        reply(handler, body)

    with asking(by_text) as (engine, _):
        answers = engine.refer_batch([query(f"mug {number} ?") for number in range(1, 7)])

    assert isinstance(answers[1], EngineError)
    found = [answer.text for answer in answers if not isinstance(answer, Exception)]
    assert found == [f"[(0.{number}, 0.5)]" for number in (1, 3, 4, 5, 6)]


# Retries and time limits.


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_endpoint_is_asked_again(status: int) -> None:
    with asking(error(status), error(status, Retry_After="0"), stream(GOOD)) as (engine, server):
        answer = engine.refer(query())

    assert answer.outcome is Outcome.OK
    assert len(server.requests) == 3


def test_endpoint_that_stays_busy_is_unavailable() -> None:
    with (
        asking(error(503, "loading"), retries=1) as (engine, server),
        pytest.raises(UnavailableError, match=r"503.*loading"),
    ):
        engine.refer(query())

    assert len(server.requests) == 2


@pytest.mark.parametrize("when", ["3600", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_wait_beyond_the_deadline_is_not_waited_for(when: str) -> None:
    with (
        asking(error(429, Retry_After=when)) as (engine, server),
        pytest.raises(UnavailableError, match="longer than"),
    ):
        engine.refer(query())

    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 422, 418])
def test_refused_request_is_not_repeated(status: int) -> None:
    with (
        asking(error(status, "no such thing")) as (engine, server),
        pytest.raises(EngineError, match="no such thing"),
    ):
        engine.refer(query())

    assert len(server.requests) == 1


def test_too_large_request_is_the_fault_of_the_query() -> None:
    with asking(error(413)) as (engine, _), pytest.raises(QueryError, match="too large"):
        engine.refer(query())


def test_redirect_is_not_followed() -> None:
    elsewhere = raw(b"", 307, Location="http://127.0.0.1:9/v1")

    with asking(elsewhere) as (engine, server), pytest.raises(ConfigurationError, match="moved"):
        engine.refer(query())

    assert len(server.requests) == 1


@pytest.mark.parametrize("sends_first", [False, True])
def test_endpoint_that_hangs_meets_the_deadline(sends_first: bool) -> None:
    over = Event()

    def hang(handler: Any, body: dict[str, Any]) -> None:
        if sends_first:
            stream("[(", "0.5", wait=over)(handler, body)
        over.wait(20)

    with asking(hang, timeout_s=0.3) as (engine, _):
        with pytest.raises(DeadlineError, match=r"0\.3 s|in time"):
            engine.refer(query())
        over.set()


def test_unreachable_endpoint_is_unavailable() -> None:
    with FakeServer(whole(GOOD)).running() as server:
        url = server.url
    engine = OpenAIEngine(Endpoint(url, retries=1, pause_s=0.01), "m")

    with pytest.raises(UnavailableError, match="connection"):
        engine.refer(query())

    engine.close()


def test_closed_engine_is_unavailable() -> None:
    engine = OpenAIEngine(Endpoint("http://127.0.0.1:9/v1"), "m")

    engine.close()
    engine.close()

    with pytest.raises(UnavailableError, match="closed"):
        engine.refer(query())


# Hostile replies.


def chunk(value: Any) -> Reply:
    return raw(json.dumps(value).encode())


@pytest.mark.parametrize(
    "reply",
    [
        raw(b""),
        raw(b"<html>hello</html>", Content_Type="text/html"),
        raw(b"\xff\xfe\x00"),
        raw(b"[" * 100_000),
        raw(b"1" * 5000),
        chunk(None),
        chunk([]),
        chunk({}),
        chunk({"choices": None}),
        chunk({"choices": {"a": 1}}),
        chunk({"choices": [None]}),
        chunk({"choices": ["text"]}),
        chunk({"choices": [{"message": {"content": 5}}]}),
        chunk({"choices": [{"message": "text"}]}),
        chunk({"error": {"message": "inside"}}),
        chunk({"error": "inside"}),
        raw(b"x" * 200_000),
        raw(b"data: {broken\n\n", Content_Type="text/event-stream"),
        raw(b"data: 5\n\ndata: [DONE]\n\n", Content_Type="text/event-stream"),
        raw(b"data: " + b"x" * 200_000, Content_Type="text/event-stream"),
        raw(event("a") * 5_000 + b"data: [DONE]\n\n", Content_Type="text/event-stream"),
        raw(b"\x1f\x8b" + b"\0" * 50, Content_Encoding="gzip"),
        stream("[(0.5, 0.25)", done=False),
    ],
    ids=lambda _: "",
)
def test_garbage_is_an_engine_error(reply: Reply) -> None:
    with asking(reply, most_bytes=100_000) as (engine, _), pytest.raises(EngineError):
        engine.refer(query())


@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        (None, Outcome.INVALID_ANSWER),
        ("", Outcome.INVALID_ANSWER),
        ("I cannot help with that.", Outcome.TEXT),
        ("[(7, 7)]", Outcome.INVALID_ANSWER),
        ([{"type": "text", "text": GOOD}], Outcome.OK),
        ([{"type": "image"}, 5, {"text": 5}], Outcome.INVALID_ANSWER),
        ("[(__import__('os').system('x'), 0)]", Outcome.INVALID_ANSWER),
    ],
)
def test_what_the_model_says_is_data(content: Any, outcome: Outcome) -> None:
    with asking(whole(content)) as (engine, _):
        assert engine.refer(query()).outcome is outcome


def test_connection_cut_within_the_answer_is_not_an_answer() -> None:
    def cut(handler: Any, _: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Content-Length", "9999")
        handler.end_headers()
        handler.wfile.write(event(GOOD))

    with asking(cut) as (engine, server), pytest.raises(UnavailableError, match="connection"):
        engine.refer(query())

    assert len(server.requests) == 1  # Not repeated: a part has been passed on already.
