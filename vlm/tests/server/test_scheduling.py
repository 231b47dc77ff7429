# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The engine's thread: batches, failures, deadlines, cancellation, loading and stopping."""

from __future__ import annotations

import json
import socket
import threading
import time

import httpx
import numpy as np
import pytest
from roborefer_vlm.exceptions import (
    CancelledError,
    CheckpointError,
    DeadlineError,
    EngineError,
    QueryError,
    UnavailableError,
)
from roborefer_vlm.server.client import Client
from roborefer_vlm.server.errors import ApiError, ErrorCode
from roborefer_vlm.server.metrics import Metrics
from roborefer_vlm.server.run import background_server
from roborefer_vlm.server.scheduler import Scheduler, State
from roborefer_vlm.server.settings import ServerSettings
from roborefer_vlm.testing import FakeEngine, fake_answer
from roborefer_vlm.types import Query, Sampling


def query(number: int, **fields: object) -> Query:
    image = np.zeros((48, 64, 3), np.uint8)
    image[0, 0] = (number % 64, number // 64, 100)
    return Query(image, f"thing {number}", **fields)  # type: ignore[arg-type]


def soon() -> float:
    return time.monotonic() + 20


class Gate:
    """Holds an engine at its next query until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, query: Query, cancelled: threading.Event | None) -> None:
        self.reached.set()
        assert self.opened.wait(20)


@pytest.fixture
def make_scheduler():
    made = []

    def make(engine, **settings):
        factory = engine if callable(engine) else lambda: engine
        scheduler = Scheduler(factory, ServerSettings(**settings), Metrics())
        scheduler.start()
        made.append(scheduler)
        return scheduler

    yield make
    for scheduler in made:
        scheduler.finish_stop()


def wait_for(scheduler: Scheduler, state: State) -> None:
    ends = time.monotonic() + 10
    while scheduler.state is not state:
        assert time.monotonic() < ends, scheduler.state


def test_what_waits_together_is_answered_together_and_in_order(make_scheduler):
    gate = Gate()
    engine = FakeEngine(max_batch=4, on_query=gate)
    scheduler = make_scheduler(engine, batch_wait_s=0)
    wait_for(scheduler, State.READY)
    first = scheduler.submit(query(0), deadline=soon())
    assert gate.reached.wait(10)

    rest = [scheduler.submit(query(number), deadline=soon()) for number in range(1, 7)]
    gate.opened.set()

    for number, ticket in enumerate([first, *rest]):
        assert ticket.result.result(10).points == fake_answer(query(number)).points
    assert engine.batches == [1, 4, 2]


def test_queries_that_do_not_fit_together_go_apart(make_scheduler):
    gate = Gate()
    engine = FakeEngine(on_query=gate)
    scheduler = make_scheduler(engine, batch_wait_s=0)
    wait_for(scheduler, State.READY)
    blocker = scheduler.submit(query(0), deadline=soon())
    assert gate.reached.wait(10)

    kinds = [{}, {"max_new_tokens": 9}, {}, {"sampling": Sampling(3)}, {"max_new_tokens": 9}]
    tickets = [scheduler.submit(query(1, **kind), deadline=soon()) for kind in kinds]
    gate.opened.set()

    for ticket in [blocker, *tickets]:
        ticket.result.result(10)
    assert engine.batches == [1, 2, 2, 1]


def test_a_failing_query_of_a_batch_fails_alone(make_scheduler):
    gate = Gate()

    def work(asked: Query, cancelled: threading.Event | None) -> None:
        gate(asked, cancelled)
        if asked.text == "thing 2":
            raise QueryError("thing 2 is bad")

    scheduler = make_scheduler(FakeEngine(on_query=work), batch_wait_s=0)
    wait_for(scheduler, State.READY)
    tickets = [scheduler.submit(query(number), deadline=soon()) for number in range(4)]
    gate.opened.set()

    with pytest.raises(QueryError, match="thing 2"):
        tickets[2].result.result(10)
    for number in (0, 1, 3):
        assert tickets[number].result.result(10).points == fake_answer(query(number)).points


def test_a_batch_that_crashes_as_a_whole_is_tried_one_by_one(make_scheduler):
    gate = Gate()

    class Crashing(FakeEngine):
        def refer_batch(self, queries):
            raise MemoryError

    scheduler = make_scheduler(Crashing(on_query=gate), batch_wait_s=0)
    wait_for(scheduler, State.READY)
    tickets = [scheduler.submit(query(number), deadline=soon()) for number in range(3)]
    gate.opened.set()

    for number, ticket in enumerate(tickets):
        assert ticket.result.result(10).points == fake_answer(query(number)).points


def test_what_is_cancelled_in_the_queue_never_reaches_the_engine(make_scheduler):
    gate = Gate()
    engine = FakeEngine(max_batch=1, on_query=gate)
    scheduler = make_scheduler(engine)
    wait_for(scheduler, State.READY)
    first = scheduler.submit(query(0), deadline=soon())
    assert gate.reached.wait(10)
    second = scheduler.submit(query(1), deadline=soon())

    scheduler.cancel(second)

    # At once, so that its pictures do not wait for their turn in memory.
    with pytest.raises(CancelledError):
        second.result.result(0)
    gate.opened.set()
    first.result.result(10)
    assert engine.batches == [1]


def test_what_is_overdue_in_the_queue_never_reaches_the_engine(make_scheduler):
    gate = Gate()
    engine = FakeEngine(max_batch=1, on_query=gate)
    scheduler = make_scheduler(engine)
    wait_for(scheduler, State.READY)
    scheduler.submit(query(0), deadline=soon())
    assert gate.reached.wait(10)
    late = scheduler.submit(query(1), deadline=time.monotonic())
    gate.opened.set()

    with pytest.raises(DeadlineError):
        late.result.result(10)
    assert engine.batches == [1]


def test_a_full_queue_refuses_and_says_when_to_come_back(make_scheduler):
    gate = Gate()
    scheduler = make_scheduler(FakeEngine(max_batch=1, on_query=gate), queue_size=1)
    wait_for(scheduler, State.READY)
    scheduler.submit(query(0), deadline=soon())
    assert gate.reached.wait(10)
    scheduler.submit(query(1), deadline=soon())

    with pytest.raises(ApiError) as refused:
        scheduler.submit(query(2), deadline=soon())

    gate.opened.set()
    assert refused.value.status == 429
    assert int(refused.value.headers["Retry-After"]) >= 1


def test_a_stop_finishes_what_waits_and_closes_the_engine(make_scheduler):
    gate = Gate()
    engine = FakeEngine(max_batch=1, on_query=gate)
    scheduler = make_scheduler(engine)
    wait_for(scheduler, State.READY)
    tickets = [scheduler.submit(query(number), deadline=soon()) for number in range(3)]
    assert gate.reached.wait(10)

    scheduler.begin_stop()
    with pytest.raises(ApiError, match="shutting down"):
        scheduler.submit(query(9), deadline=soon())
    gate.opened.set()

    assert scheduler.finish_stop()
    assert all(ticket.result.done() for ticket in tickets)
    assert engine.closed == 1


def test_a_stop_does_not_wait_for_an_engine_that_hangs(make_scheduler):
    gate = Gate()
    scheduler = make_scheduler(FakeEngine(max_batch=1, on_query=gate), drain_s=0.1)
    wait_for(scheduler, State.READY)
    tickets = [scheduler.submit(query(number), deadline=soon()) for number in range(2)]
    assert gate.reached.wait(10)

    assert not scheduler.finish_stop()

    for ticket in tickets:
        with pytest.raises(ApiError) as error:
            ticket.result.result(0)
        assert error.value.code is ErrorCode.STOPPING
        assert ticket.cancelled.is_set()
    gate.opened.set()


# ---- the same over HTTP ------------------------------------------------------------------------


def test_a_loading_engine_is_alive_but_not_ready_until_it_is_there():
    load = threading.Event()

    def make_engine() -> FakeEngine:
        assert load.wait(20)
        return FakeEngine()

    with background_server(make_engine) as url, Client(url, retries=0) as client:
        assert httpx.get(f"{url}/healthz").status_code == 200
        refused = httpx.get(f"{url}/readyz")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")
        assert int(refused.headers["retry-after"]) >= 1
        assert httpx.get(f"{url}/v1/model").status_code == 503
        with pytest.raises(UnavailableError, match="loading"):
            client.refer(query(1))

        load.set()
        client.wait_until_ready(10)

        assert client.refer(query(1)).points == fake_answer(query(1)).points


def test_an_engine_that_cannot_be_made_says_why_and_never_gets_ready():
    def make_engine() -> FakeEngine:
        raise CheckpointError("config.json is missing")

    missing = pytest.raises(UnavailableError, match=r"config\.json is missing")
    with background_server(make_engine) as url, Client(url, retries=0) as client, missing:
        client.wait_until_ready(0.5)


@pytest.mark.parametrize("error", [RuntimeError("CUDA died"), MemoryError(), EngineError("odd")])
def test_a_crash_is_a_typed_500_for_that_query_and_the_next_is_answered(make_server, error):
    def work(asked: Query, cancelled: threading.Event | None) -> None:
        if asked.text == "thing 1":
            raise error

    url = make_server(FakeEngine(on_query=work))
    with Client(url, retries=0) as client:
        with pytest.raises(EngineError):
            client.refer(query(1))

        assert client.refer(query(2)).points == fake_answer(query(2)).points


def test_an_engine_that_hangs_costs_a_deadline_and_readiness_until_it_is_back(make_server):
    gate = Gate()
    url = make_server(FakeEngine(on_query=gate), hang_grace_s=0.05)
    with Client(url, retries=0) as client:
        answered = httpx.post(f"{url}/v1/refer", json=_body(query(1), deadline_s=1.0), timeout=10)
        assert answered.status_code == 504
        assert answered.json()["error"]["code"] == "deadline"
        assert gate.reached.is_set()
        ends = time.monotonic() + 10
        while client.ready():
            assert time.monotonic() < ends
        with pytest.raises(UnavailableError, match="hangs"):
            client.refer(query(2))

        gate.opened.set()
        client.wait_until_ready(10)

        assert client.refer(query(3)).points == fake_answer(query(3)).points


@pytest.mark.parametrize("stream", [False, True], ids=["answer", "stream"])
def test_a_client_that_leaves_cancels_its_query(make_server, stream):
    reached, left = threading.Event(), threading.Event()

    def work(asked: Query, cancelled: threading.Event | None) -> None:
        assert cancelled is not None
        reached.set()
        if cancelled.wait(20):
            left.set()

    host, port = make_server(FakeEngine(max_batch=1, on_query=work))[len("http://") :].split(":")
    body = json.dumps(_body(query(1), stream=stream)).encode()
    head = "POST /v1/refer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert reached.wait(20)
        assert not left.is_set()

    assert left.wait(10)


def test_metrics_count_requests_answers_and_failures(make_server):
    def work(asked: Query, cancelled: threading.Event | None) -> None:
        if asked.text == "thing 1":
            raise RuntimeError

    url = make_server(FakeEngine(on_query=work))
    with Client(url, retries=0) as client:
        client.refer(query(0))
        with pytest.raises(EngineError):
            client.refer(query(1))
        httpx.get(f"{url}/what")

    figures = httpx.get(f"{url}/metrics")

    assert figures.headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in (
        'roborefer_requests_total{method="POST",route="/v1/refer",status="200"} 1.0',
        'roborefer_requests_total{method="POST",route="/v1/refer",status="500"} 1.0',
        'roborefer_requests_total{method="GET",route="other",status="404"} 1.0',
        'roborefer_answers_total{outcome="ok"} 1.0',
        'roborefer_failures_total{code="engine_failed"} 1.0',
        "roborefer_queue_seconds_count 1.0",
        "roborefer_batch_size_count 2.0",
        "roborefer_queue_length 0.0",
        "roborefer_ready 1.0",
    ):
        assert line in figures.text, line


def _body(asked: Query, **fields: object) -> dict[str, object]:
    from roborefer_vlm.server.wire import query_to_json

    return {**query_to_json(asked, deadline_s=None), **fields}
