# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the client makes of refusals, and of servers that lie."""

from __future__ import annotations

import pytest
from asking import GOOD, QUESTION, SIZE, fails, making, serving
from roborefer_perception.core.answers import LONGEST_TEXT, Outcome
from roborefer_perception.core.breaker import State
from roborefer_perception.exceptions import Reason
from roborefer_perception.testing import (
    FakeReferringServer,
    FakeReply,
    answer,
    error,
    event,
    stream,
)

STATUSES = [
    (400, "malformed", Reason.MODEL_REFUSED, 1),
    (401, "unauthorized", Reason.MODEL_REFUSED, 1),
    (404, "not_found", Reason.MODEL_REFUSED, 1),
    (408, "request_timeout", Reason.MODEL_TIMEOUT, 1),
    (413, "too_large", Reason.MODEL_REFUSED, 1),
    (422, "invalid_query", Reason.MODEL_REFUSED, 1),
    (429, "queue_full", Reason.MODEL_UNAVAILABLE, 2),
    (500, "engine_failed", Reason.MODEL_UNAVAILABLE, 1),
    (502, "", Reason.MODEL_UNAVAILABLE, 2),
    (503, "not_ready", Reason.MODEL_UNAVAILABLE, 2),
    (504, "deadline", Reason.MODEL_TIMEOUT, 1),
]

server = pytest.fixture(serving)
make = pytest.fixture(making)


@pytest.mark.parametrize(("status", "code", "reason", "attempts"), STATUSES, ids=str)
def test_errors_become_reasons(server, make, status, code, reason, attempts):
    server.script = lambda request: error(code, "because of this", status)

    failure = fails(make(retries=1))

    assert failure.reason is reason
    assert str(status) in str(failure)
    assert not code or "because of this" in str(failure)
    assert len(server.requests) == attempts


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("deadline", Reason.MODEL_TIMEOUT),
        ("engine_failed", Reason.MODEL_UNAVAILABLE),
        ("invalid_query", Reason.MODEL_REFUSED),
        ("queue_full", Reason.MODEL_UNAVAILABLE),
        ([], Reason.MODEL_UNAVAILABLE),
    ],
    ids=str,
)
def test_errors_in_a_stream_become_reasons(server, make, code, reason):
    body = {"error": {"code": code, "message": "because of this"}, "request_id": "1"}
    events = {"Content-Type": "text/event-stream"}
    server.script = lambda request: FakeReply(event("error", body), headers=events)

    failure = fails(make(retries=0), on_text=lambda text: None)

    assert failure.reason is reason
    assert "because of this" in str(failure)


def test_messages_of_a_server_are_cut_and_cleaned(server, make):
    server.script = lambda request: error("malformed", "\x1b[31m" + "x" * 100_000, 400)

    message = str(fails(make()))

    assert message.isprintable()
    assert len(message) < 1000


def test_redirects_are_not_followed(server, make):
    with FakeReferringServer() as other:
        server.script = lambda request: FakeReply(
            status=307, headers={"Location": other.url + "/v1/refer"}
        )

        assert fails(make(token="secret-secret-secret")).reason is Reason.MODEL_REFUSED
        assert not other.requests


def test_a_proxy_of_the_environment_is_not_asked_for_the_own_machine(server, make, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)

    assert make().ask(QUESTION, 5.0).outcome is Outcome.OK


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"outcome": "ok"}',
        b'{"points": NaN}',
        b"\x00" * 1000,
        answer((640, 480), [(3, 4)]),
        answer(SIZE, [(32, 4)]),
        answer(SIZE, [(3, 4)] * 10_000),
        answer(SIZE, [(3, 4)], samples=[[], []]),
    ],
    ids=lambda body: str(body)[:30],
)
def test_lies_are_refused_and_the_next_question_works(server, make, body, streamed):
    if streamed and isinstance(body, bytes):
        reply = FakeReply(b"event: answer\ndata: " + body + b"\n\n")
    else:
        reply = FakeReply(body) if isinstance(body, bytes) else body
    if streamed:
        reply = FakeReply(
            reply.body if isinstance(reply, FakeReply) else event("answer", reply),
            headers={"Content-Type": "text/event-stream"},
        )
    client = make()
    server.script = lambda request: reply

    failure = fails(client, on_text=(lambda text: None) if streamed else None)
    server.script = lambda request: GOOD

    assert failure.reason is Reason.ANSWER_INVALID
    assert client.ask(QUESTION, 5.0).outcome is Outcome.OK
    assert client.breaker.state is State.CLOSED


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
def test_an_endless_answer_is_cut_off(server, make, kind):
    def endless(request):
        while not request.gone.is_set():
            yield b"x" * 100_000

    server.script = lambda request: FakeReply(endless(request), headers={"Content-Type": kind})

    assert fails(make(), 20.0, on_text=lambda text: None).reason is Reason.ANSWER_INVALID


def test_a_compressed_answer_is_refused_unopened(server, make):
    server.script = lambda request: FakeReply(b"\x1f\x8b", headers={"Content-Encoding": "gzip"})

    failure = fails(make())

    assert failure.reason is Reason.ANSWER_INVALID
    assert "compressed" in str(failure)


def test_reasoning_without_end_is_passed_on_in_part(server, make):
    server.script = lambda request: stream(["x" * 1000] * 50, GOOD)
    seen = []

    make().ask(QUESTION, 10.0, seen.append)

    assert len(seen[-1]) <= LONGEST_TEXT
