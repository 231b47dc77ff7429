# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The client against a server that follows a script: retries, deadlines, and typed errors."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from roborefer_vlm.exceptions import (
    ConfigurationError,
    DeadlineError,
    EngineError,
    PictureError,
    QueryError,
    UnavailableError,
)
from roborefer_vlm.server.client import Client
from roborefer_vlm.server.errors import ERRORS, ErrorCode, exception_from_answer
from roborefer_vlm.server.wire import answer_to_json
from roborefer_vlm.testing import fake_answer

HUGE = {"outcome": "ok", "points": [], "kind": "object", "confidence": 10**400}
Reply = tuple[int, dict[str, str], bytes] | None


class Script:
    """Replies in turn; None breaks the connection. The last one is repeated."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.bodies: list[Any] = []
        self.times: list[float] = []

    def next(self, body: bytes) -> Reply:
        self.times.append(time.monotonic())
        self.bodies.append(json.loads(body or b"null"))
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def url(script: Script) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            reply = script.next(self.rfile.read(int(self.headers["Content-Length"])))
            if reply is None:
                self.close_connection = True
                return
            status, headers, body = reply
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def answered(make_query: Callable[..., Any]) -> Reply:
    query = make_query(5)
    body = answer_to_json(fake_answer(query), request_id="x", width=64, height=48)
    return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()


def refusal(code: ErrorCode, **headers: str) -> Reply:
    body = {"error": {"code": code, "message": f"it is {code}"}, "request_id": "x"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ERRORS[code].status, named, json.dumps(body).encode()


@pytest.mark.parametrize(
    "first",
    [refusal(ErrorCode.QUEUE_FULL), refusal(ErrorCode.NOT_READY), None],
    ids=["429", "503", "broken connection"],
)
def test_what_was_not_answered_is_asked_again(url, script, answered, make_query, first):
    script.replies = [first, first, answered]

    with Client(url) as client:
        assert client.refer(make_query(5)).points == fake_answer(make_query(5)).points

    assert len(script.times) == 3
    left = [body["deadline_s"] for body in script.bodies]
    assert left == sorted(left, reverse=True)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (ErrorCode.INVALID_QUERY, QueryError),
        (ErrorCode.INVALID_PICTURE, PictureError),
        (ErrorCode.TOO_LARGE, QueryError),
        (ErrorCode.ENGINE_FAILED, EngineError),
        (ErrorCode.DEADLINE, DeadlineError),
        (ErrorCode.UNAUTHORIZED, ConfigurationError),
    ],
)
def test_what_would_fail_again_is_asked_once(url, script, make_query, code, error):
    script.replies = [refusal(code)]

    with Client(url) as client, pytest.raises(error, match=f"it is {code}"):
        client.refer(make_query(5))

    assert len(script.times) == 1


def test_retry_after_is_honoured(url, script, answered, make_query):
    script.replies = [refusal(ErrorCode.QUEUE_FULL, Retry_After="1"), answered]

    with Client(url) as client:
        client.refer(make_query(5))

    assert script.times[1] - script.times[0] >= 1.0


def test_retries_end(url, script, make_query):
    script.replies = [refusal(ErrorCode.BUSY)]

    with Client(url, retries=2) as client, pytest.raises(UnavailableError, match="it is busy"):
        client.refer(make_query(5))

    assert len(script.times) == 3


def test_the_deadline_ends_retries_early(url, script, make_query):
    script.replies = [refusal(ErrorCode.BUSY, Retry_After="30")]
    began = time.monotonic()

    with Client(url, retries=9) as client, pytest.raises(UnavailableError):
        client.refer(make_query(5), deadline_s=5)

    assert time.monotonic() - began < 5
    assert len(script.times) == 1


@pytest.mark.parametrize("deadline_s", [float("nan"), float("inf"), 1e300])
def test_a_deadline_that_no_clock_can_count_is_refused(url, script, make_query, deadline_s):
    with Client(url) as client, pytest.raises(QueryError, match="deadline_s is"):
        client.refer(make_query(5), deadline_s=deadline_s)

    assert not script.times


@pytest.mark.parametrize("deadline_s", [0.0, -1.0])
def test_a_deadline_that_is_over_sends_nothing(url, script, make_query, deadline_s):
    with Client(url) as client, pytest.raises(DeadlineError):
        client.refer(make_query(5), deadline_s=deadline_s)

    assert not script.times


@pytest.mark.parametrize(
    "options", [{"token": "two\nlines"}, {"token": "schlüssel"}, {"timeout_s": 1e300}]
)
def test_a_client_that_cannot_work_is_not_made(options):
    with pytest.raises(ConfigurationError):
        Client("http://127.0.0.1:1", **options)


def test_nobody_at_the_address_is_unavailable_and_not_ready(make_query):
    with Client("http://127.0.0.1:9", retries=1) as client:
        assert not client.ready()
        with pytest.raises(UnavailableError, match="connection"):
            client.refer(make_query(5))
        with pytest.raises(UnavailableError, match="not ready after"):
            client.wait_until_ready(0.2)


@pytest.mark.parametrize(
    "body",
    [
        *(b"<html>", b"[]", b"{}", b'{"outcome": "great"}', b'{"outcome": "ok", "points": 5}'),
        json.dumps(HUGE).encode(),
    ],
)
def test_answers_of_another_protocol_are_an_engine_error(url, script, make_query, body):
    script.replies = [(200, {}, body)]

    with Client(url) as client, pytest.raises(EngineError):
        client.refer(make_query(5))


def events(*lines: str) -> Reply:
    return 200, {"Content-Type": "text/event-stream"}, "\n".join(lines).encode()


def test_a_stream_that_broke_before_any_text_is_asked_again(url, script, answered, make_query):
    assert answered is not None
    answer = f"event: answer\ndata: {answered[2].decode()}\n\n"
    script.replies = [
        events(": waiting\n\n"),
        events('event: text\ndata: {"text": "hm"}\n', answer),
    ]
    heard: list[str] = []

    with Client(url) as client:
        client.refer(make_query(5), on_text=heard.append)

    assert heard == ["hm"]


def test_a_stream_that_broke_after_some_text_is_not_asked_again(url, script, make_query):
    script.replies = [events('event: text\ndata: {"text": "hm"}\n\n')]
    heard: list[str] = []

    with Client(url) as client, pytest.raises(UnavailableError, match="broke off"):
        client.refer(make_query(5), on_text=heard.append)

    assert heard == ["hm"]
    assert len(script.times) == 1


def test_errors_in_a_stream_are_typed(url, script, make_query):
    refused = refusal(ErrorCode.INVALID_QUERY)
    assert refused is not None
    script.replies = [events(f"event: error\ndata: {refused[2].decode()}\n\n")]

    with Client(url) as client, pytest.raises(QueryError, match="invalid_query"):
        client.refer(make_query(5), on_text=lambda text: None)


@pytest.mark.parametrize("code", list(ErrorCode))
def test_each_code_has_a_row_and_comes_back_as_its_exception(code):
    answer = {"error": {"code": code, "message": "why", "field": "text"}}

    error = exception_from_answer(ERRORS[code].status, answer)

    assert type(error) is ERRORS[code].raises
    assert str(error) == "text: why"


@pytest.mark.parametrize(
    ("status", "error"),
    [(502, UnavailableError), (504, DeadlineError), (404, ConfigurationError), (500, EngineError)],
)
@pytest.mark.parametrize("answer", [None, "x", {}, {"error": "x"}, {"error": {"code": "new"}}])
def test_answers_of_proxies_are_judged_by_status(status, error, answer):
    assert type(exception_from_answer(status, answer)) is error


@pytest.mark.parametrize("address", ["", "127.0.0.1:80", "ftp://x", "http://"])
def test_addresses_that_are_none_are_refused(address):
    with pytest.raises(ConfigurationError, match="address"):
        Client(address)


def test_the_client_imports_nothing_of_the_server_side():
    program = (
        "import sys, roborefer_vlm.server.client\n"
        "heavy = {'torch', 'transformers', 'fastapi', 'starlette', 'pydantic', 'uvicorn'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.stdout.strip() == "[]", done.stderr
