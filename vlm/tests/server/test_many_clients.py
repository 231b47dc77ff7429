# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Many clients at once, a server that is killed under them, and one that is asked to stop."""

from __future__ import annotations

import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from roborefer_vlm.exceptions import UnavailableError
from roborefer_vlm.server.client import Client
from roborefer_vlm.testing import FakeEngine, fake_answer

CLIENTS = 64


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_64_clients_at_once_each_get_the_answer_of_their_own_picture(make_server, make_query):
    engine = FakeEngine(max_batch=8)
    url = make_server(engine)
    together = threading.Barrier(CLIENTS)

    def ask(number: int) -> list[bool]:
        with Client(url) as client:
            together.wait(20)
            queries = [make_query(number), make_query(1000 + number)]
            return [client.refer(q).points == fake_answer(q).points for q in queries]

    with ThreadPoolExecutor(CLIENTS) as threads:
        right = list(threads.map(ask, range(CLIENTS)))

    assert right == [[True, True]] * CLIENTS
    assert sum(engine.batches) == 2 * CLIENTS
    assert max(engine.batches) > 1


def test_a_queue_that_is_full_loses_nobody_who_comes_again(make_server, make_query):
    """Back-pressure: 16 clients, room for two in the queue."""
    url = make_server(FakeEngine(max_batch=1), queue_size=2)

    def ask(number: int) -> bool:
        query = make_query(number)
        with Client(url, retries=50, seed=number) as client:
            return client.refer(query).points == fake_answer(query).points

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(ask, range(16)))


def test_clients_survive_a_server_that_is_killed_and_started_again(start_process, make_query):
    port = free_port()
    server = start_process(str(port), "0.02")
    halfway = threading.Semaphore(0)

    def ask(number: int) -> list[bool]:
        right = []
        with Client(f"http://127.0.0.1:{port}", retries=30, seed=number) as client:
            for turn in range(6):
                query = make_query(100 * number + turn)
                right.append(client.refer(query).points == fake_answer(query).points)
                halfway.release()
        return right

    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(ask, number) for number in range(8)]
        for _ in range(12):
            assert halfway.acquire(timeout=20)
        server.process.kill()
        server.process.wait(10)
        start_process(str(port), "0.02")

        assert [future.result(40) for future in asked] == [[True] * 6] * 8


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_everyone_finish_and_ends_with_0(start_process, make_query, number):
    server = start_process("0", "0.2")

    def ask(index: int) -> bool:
        query = make_query(index)
        with Client(server.url, retries=20) as client:
            return client.refer(query).points == fake_answer(query).points

    with Client(server.url) as client:
        client.wait_until_ready(20)
        # All three have been taken when the engine begins with the last but one.
        with ThreadPoolExecutor(3) as threads:
            asked = [threads.submit(ask, index) for index in range(3)]
            assert server.line() == "query"
            while "roborefer_queue_length 2.0" not in client._http.get("/metrics").text:
                pass
            server.process.send_signal(number)

            assert [future.result(20) for future in asked] == [True] * 3
    assert server.process.wait(20) == 0
    with pytest.raises(UnavailableError), Client(server.url, retries=0) as late:
        late.refer(make_query(9))
