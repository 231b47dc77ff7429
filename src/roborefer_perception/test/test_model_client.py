# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The client keeps its word, and finds a server again that went away."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from time import monotonic

import pytest
from asking import GOOD, QUESTION, RGB, SIZE, fails, hang, making, serving, wait_for
from roborefer_common.exceptions import ParameterError
from roborefer_perception.core.answers import Outcome
from roborefer_perception.core.breaker import State
from roborefer_perception.core.model_client import ModelClient, ModelSettings
from roborefer_perception.core.questions import Question
from roborefer_perception.exceptions import Reason
from roborefer_perception.testing import (
    FakeReply,
    answer,
    error,
    event,
    stream,
)

# What a loaded machine may take beyond what is proven.
SLACK_S = 0.5

server = pytest.fixture(serving)
make = pytest.fixture(making)


class Cancel:
    """Comes after a while, and knows how long ago it came."""

    def __init__(self, seconds=0.1):
        self._due = monotonic() + seconds

    def __call__(self):
        return monotonic() >= self._due

    def noticed(self):
        # 0.1 s are promised; as much again for a machine that is busy with other things.
        return monotonic() - self._due < 0.1 + 0.1


def test_an_answer_comes_with_its_latency(server, make):
    server.script = lambda request: answer(SIZE, [(3, 4)], latency={"queue_s": 0, "total_s": 1e-4})

    got = make().ask(QUESTION, 5.0)

    assert (got.points[0].u, got.points[0].v) == (3, 4)
    assert got.latency.model_s == pytest.approx(1e-4)
    assert 0 < got.latency.transport_s < got.latency.total_s


def test_a_server_that_overstates_its_time_cannot_make_others_negative(server, make):
    server.script = lambda request: answer(
        SIZE, [(3, 4)], latency={"queue_s": 1e9, "total_s": 1e10}
    )

    got = make().ask(QUESTION, 5.0).latency

    assert got.transport_s == 0
    assert got.queue_s + got.model_s == pytest.approx(got.total_s)


def test_the_token_goes_along_and_the_body_says_what_is_asked(server, make):
    make(token="correct-horse-battery").ask(QUESTION, 5.0)

    request = server.requests[0]
    assert request.headers["authorization"] == "Bearer correct-horse-battery"
    assert (request.path, request.text, request.size) == ("/v1/refer", "the mug", SIZE)
    assert not request.fields["stream"]
    assert 0 < request.fields["deadline_s"] <= 5.0


def test_a_path_in_the_address_is_kept(server, make):
    make(url=server.url + "/robot/").ask(QUESTION, 5.0)

    assert server.requests[0].path == "/robot/v1/refer"


def test_reasoning_is_passed_on_as_it_grows_in_the_thread_that_asked(server, make):
    seen, first = [], threading.Event()

    def pieces(request):
        yield "Look. "
        # Goes on only when the first piece has arrived.
        assert first.wait(10)
        yield "Point."

    def on_text(text):
        seen.append((text, threading.current_thread()))
        first.set()

    server.script = lambda request: stream(pieces(request), GOOD)

    got = make().ask(QUESTION, 10.0, on_text)

    assert got.outcome is Outcome.OK
    assert [text for text, _ in seen] == ["Look. ", "Look. Point."]
    assert {thread for _, thread in seen} == {threading.current_thread()}


def test_a_listener_that_is_slower_than_the_model_does_not_hold_up_the_answer(server, make):
    seen, written = [], threading.Event()

    def pieces():
        yield from ("word " for _ in range(500))
        written.set()

    def on_text(text):
        seen.append(text)
        assert written.wait(10)

    server.script = lambda request: stream(pieces(), GOOD)

    make().ask(QUESTION, 10.0, on_text)

    assert seen[-1] == 500 * "word "
    # The last pieces may still have been on their way when the listener was told of those before.
    assert len(seen) < 250


def test_a_server_that_cannot_stream_is_understood(server, make):
    server.script = lambda request: GOOD

    assert make().ask(QUESTION, 5.0, lambda text: None).outcome is Outcome.OK


def test_the_deadline_ends_a_question_to_a_server_that_hangs(server, make):
    server.script = hang
    client, begin = make(), monotonic()

    failure = fails(client, 0.3)

    assert failure.reason is Reason.MODEL_TIMEOUT
    assert 0.3 <= monotonic() - begin < 0.3 + SLACK_S


def test_the_deadline_ends_an_answer_that_drips(server, make):
    def drip(request):
        while not request.gone.wait(0.02):
            yield b" "

    server.script = lambda request: FakeReply(drip(request))

    assert fails(make(), 0.3).reason is Reason.MODEL_TIMEOUT


def test_the_deadline_holds_over_all_repetitions(server, make):
    server.script = lambda request: error("busy")
    client = make(retries=1000, breaker_failures=1000, longest_pause_s=0.05)
    begin = monotonic()

    failure = fails(client, 0.4)

    # The deadline comes in a pause or in the midst of an attempt.
    assert failure.reason in (Reason.MODEL_UNAVAILABLE, Reason.MODEL_TIMEOUT)
    assert len(server.requests) > 2
    assert monotonic() - begin < 0.4 + SLACK_S


@pytest.mark.parametrize("deadline_s", [0.0, -1.0, float("nan"), float("inf")])
def test_without_time_nothing_is_asked(server, make, deadline_s):
    assert fails(make(), deadline_s).reason is Reason.MODEL_TIMEOUT
    assert not server.requests


@pytest.mark.parametrize("streamed", [False, True])
def test_a_cancel_is_noticed_while_the_answer_is_awaited(server, make, streamed):
    server.script = hang
    client, cancel = make(), Cancel()

    failure = fails(
        client, 20.0, cancelled=cancel, on_text=(lambda text: None) if streamed else None
    )

    assert failure.reason is Reason.CANCELED
    assert cancel.noticed()


def test_a_cancel_is_noticed_while_connecting(make):
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        client, cancel = make(url=url, connect_timeout_s=20.0), Cancel()

        failure = fails(client, 20.0, cancelled=cancel)

        assert cancel.noticed()
    assert failure.reason is Reason.CANCELED


def test_a_cancel_is_noticed_in_the_pause_between_attempts(server, make):
    server.script = lambda request: error("busy", retry_after=10)
    client, cancel = make(), Cancel()

    assert fails(client, 20.0, cancelled=cancel).reason is Reason.CANCELED
    assert cancel.noticed()


def test_a_canceled_question_leaves_its_connection(server, make):
    left = threading.Event()

    def pieces(request):
        try:
            while not request.gone.wait(0.01):
                yield b": waiting\n\n"
        finally:
            left.set()

    events = {"Content-Type": "text/event-stream"}
    server.script = lambda request: FakeReply(pieces(request), headers=events)

    fails(make(), 20.0, cancelled=Cancel(), on_text=lambda text: None)

    assert left.wait(5)


def test_a_broken_connection_is_tried_again(server, make):
    replies = [None, None, GOOD]
    server.script = lambda request: replies.pop(0)

    assert make().ask(QUESTION, 5.0).outcome is Outcome.OK
    assert len(server.requests) == 3


def test_a_stream_that_breaks_off_is_begun_anew(server, make):
    events = {"Content-Type": "text/event-stream"}
    replies = [
        FakeReply([event("text", {"text": "Lo"})], headers=events),
        stream(["Look."], GOOD),
    ]
    server.script = lambda request: replies.pop(0)
    seen = []

    assert make().ask(QUESTION, 5.0, seen.append).outcome is Outcome.OK
    assert seen == ["Lo", "Look."]


def test_retry_after_is_waited_for(server, make):
    replies = [error("queue_full", status=429, retry_after=1), GOOD]
    server.script = lambda request: replies.pop(0)
    begin = monotonic()

    make().ask(QUESTION, 5.0)

    assert monotonic() - begin >= 1.0


def test_a_wait_beyond_the_deadline_is_not_begun(server, make):
    server.script = lambda request: error("not_ready", "loading", retry_after=60)
    begin = monotonic()

    failure = fails(make(), 5.0)

    assert failure.reason is Reason.MODEL_UNAVAILABLE
    assert "loading" in str(failure)
    assert monotonic() - begin < 1.0


def test_a_dead_server_is_soon_left_alone_and_found_again(server, make):
    client = make(retries=0, breaker_failures=3, breaker_pause_s=0.3)
    client.ask(QUESTION, 5.0)
    server.die()

    for _ in range(3):
        assert fails(client).reason is Reason.MODEL_UNAVAILABLE
    begin = monotonic()
    refused = fails(client)

    assert monotonic() - begin < 0.1
    assert refused.reason is Reason.MODEL_UNAVAILABLE
    assert "asked again in 0." in str(refused)
    server.start()
    wait_for(lambda: client.breaker.state is State.HALF_OPEN)
    assert client.ask(QUESTION, 5.0).outcome is Outcome.OK
    assert client.breaker.state is State.CLOSED


def test_a_server_that_dies_while_it_is_asked_may_return_in_time(server, make):
    asked = threading.Event()

    def once(request):
        asked.set()
        request.gone.wait(10)

    server.script = once
    client = make(retries=50, longest_pause_s=0.05, breaker_failures=1000)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(client.ask, QUESTION, 20.0)
        assert asked.wait(10)
        server.die()
        server.script = lambda request: GOOD
        server.start()

        assert future.result(20).outcome is Outcome.OK


def test_silence_opens_the_breaker_and_refusals_do_not(server, make):
    client = make(breaker_failures=2)
    server.script = lambda request: error("invalid_query", status=422)
    for _ in range(3):
        fails(client)
    assert client.breaker.state is State.CLOSED

    server.script = hang
    for _ in range(2):
        assert fails(client, 0.15).reason is Reason.MODEL_TIMEOUT

    assert client.breaker.state is State.OPEN


def test_while_one_attempt_is_made_others_are_refused(server, make):
    asked, go = threading.Event(), threading.Event()
    client = make(retries=0, breaker_failures=1, breaker_pause_s=0.05)
    server.script = lambda request: None
    fails(client)
    wait_for(lambda: client.breaker.state is State.HALF_OPEN)

    def wait(request):
        asked.set()
        go.wait(10)
        return GOOD

    server.script = wait
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(client.ask, QUESTION, 10.0)
        assert asked.wait(10)
        assert fails(client).reason is Reason.MODEL_UNAVAILABLE
        go.set()

        assert future.result(10).outcome is Outcome.OK


def test_a_canceled_attempt_does_not_keep_others_from_asking(server, make):
    client = make(retries=0, breaker_failures=1, breaker_pause_s=0.05)
    server.script = lambda request: None
    fails(client)
    wait_for(lambda: client.breaker.state is State.HALF_OPEN)
    server.script = hang
    assert fails(client, 20.0, cancelled=Cancel()).reason is Reason.CANCELED

    server.script = lambda request: GOOD

    assert client.ask(QUESTION, 5.0).outcome is Outcome.OK


def test_many_threads_may_ask_at_once(server, make):
    client = make()
    server.script = lambda request: answer(SIZE, [(float(request.text), 0)])

    with ThreadPoolExecutor(8) as pool:
        asked = [
            pool.submit(client.ask, Question(RGB, str(number % 32)), 20.0) for number in range(40)
        ]

        assert [one.result().points[0].u for one in asked] == [n % 32 for n in range(40)]


def test_an_error_of_the_callback_is_the_callers(server, make):
    client = make()
    server.script = lambda request: stream(["a"], GOOD)

    with pytest.raises(ZeroDivisionError):
        client.ask(QUESTION, 5.0, lambda text: 1 / 0)

    assert client.ask(QUESTION, 5.0).outcome is Outcome.OK


def test_closing_cancels_what_is_under_way_and_ends_the_thread(server, make):
    asked = threading.Event()

    def wait(request):
        asked.set()
        request.gone.wait(10)

    server.script = wait
    client = make()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(fails, client, 20.0)
        assert asked.wait(10)

        client.close()
        client.close()

        assert future.result(5).reason is Reason.CANCELED
    assert fails(client).reason is Reason.CANCELED
    assert "model" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(
    "url",
    [
        *("", "127.0.0.1:25547", "ftp://host", "http://", "http:///v1", "http://host:99999"),
        *("http://host:x", "http://ho st", "http://u:secret@host", "http://host/?a=1"),
        *("http://host/#a", "http://[::1", "file:///etc/passwd", "http://host\n"),
    ],
)
def test_what_is_no_address_is_refused_at_once(url):
    with pytest.raises(ParameterError) as caught:
        ModelClient(ModelSettings(url))

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("token", ["a\nb", "schlüssel", "\x00"])
def test_a_token_that_cannot_be_sent_is_refused_at_once(token):
    with pytest.raises(ParameterError):
        ModelClient(ModelSettings(token=token))


def test_the_token_is_not_shown_with_the_settings():
    assert "secret-secret" not in repr(ModelSettings(token="secret-secret"))
