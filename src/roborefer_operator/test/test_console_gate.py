# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The door of the console: who gets pages and connections over the network of this machine."""

import http.client
import threading

import pytest
from roborefer_operator.core.console.gate import Gate
from roborefer_operator.exceptions import ConsoleError
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

TOKEN = "a-token-of-some-length"


class Echo:
    """Answers whatever a page sends."""

    def __init__(self):
        self.gone = threading.Event()

    async def talk(self, connection):
        try:
            async for message in connection:
                await connection.send(message)
        finally:
            self.gone.set()


@pytest.fixture
def gate():
    gate = Gate(Echo(), TOKEN, most_pages=2)
    yield gate
    gate.close()


def get(gate, path, host=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=10)
    connection.putrequest("GET", path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{gate.port}")
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def cookie_of(gate):
    answer, _ = get(gate, f"/?token={TOKEN}")
    return answer.getheader("Set-Cookie").partition(";")[0]


def link(gate, path="/link", token=TOKEN, **options):
    return connect(f"ws://127.0.0.1:{gate.port}{path}?token={token}", **options)


def test_the_token_leaves_the_address_and_becomes_a_cookie(gate):
    answer, _ = get(gate, f"/?token={TOKEN}")
    page, body = get(gate, "/", Cookie=cookie_of(gate))

    assert (answer.status, answer.getheader("Location")) == (303, "/")
    assert {"HttpOnly", "SameSite=Strict"} <= set(answer.getheader("Set-Cookie").split("; "))
    assert page.status == 200
    assert b'id="stop"' in body


@pytest.mark.parametrize("path", ["/", "/?token=wrong", "/page.js", "/scene/", "/link"])
def test_without_the_token_nothing_is_served(gate, path):
    answer, body = get(gate, path)

    assert answer.status == 401
    assert b"stop" not in body
    assert TOKEN.encode() not in body


def test_a_name_or_page_from_elsewhere_is_refused(gate):
    rebound, _ = get(gate, f"/?token={TOKEN}", host=f"evil.example:{gate.port}")
    foreign, _ = get(gate, "/", Cookie=cookie_of(gate), Origin="http://evil.example")

    assert (rebound.status, foreign.status) == (403, 403)


@pytest.mark.parametrize(
    "path", ["/../setup.py", "/%2e%2e/gate.py", "/page/index.html", "//etc/passwd", "/nothing"]
)
def test_only_the_pages_of_the_console_are_served(gate, path):
    answer, _ = get(gate, path, Cookie=cookie_of(gate))

    assert answer.status == 404


def test_every_answer_forbids_content_from_elsewhere(gate):
    for path in ("/", "/page.js", "/recorder.js", "/nothing"):
        answer, body = get(gate, path, Cookie=cookie_of(gate))
        assert "default-src 'self'" in answer.getheader("Content-Security-Policy")
        assert answer.getheader("X-Content-Type-Options") == "nosniff"
        assert answer.getheader("Cache-Control") == "no-store"
        assert b"https://" not in body


def test_a_connection_needs_token_and_origin(gate):
    with pytest.raises(InvalidStatus) as stranger:
        link(gate, token="wrong")
    with pytest.raises(InvalidStatus) as foreign:
        link(gate, origin="http://evil.example")
    with link(gate, origin=f"http://127.0.0.1:{gate.port}") as own:
        own.send("hello")
        answer = own.recv(timeout=10)

    assert stranger.value.response.status_code == 401
    assert foreign.value.response.status_code == 403
    assert answer == "hello"


def test_too_many_pages_are_refused_until_one_is_closed(gate):
    with link(gate) as first, link(gate) as second:
        for page in (first, second):
            page.send("hello")
            page.recv(timeout=10)
        with pytest.raises(InvalidStatus) as third:
            link(gate)
    assert gate._host.gone.wait(10.0)
    gate._host.gone.clear()
    with link(gate) as later:
        later.send("hello")
        assert later.recv(timeout=10) == "hello"

    assert third.value.response.status_code == 503


def test_an_order_that_is_too_long_ends_only_that_connection(gate):
    with link(gate) as page:
        page.send("x" * 200_000)
        with pytest.raises(Exception, match="1009"):
            page.recv(timeout=10)
    with link(gate) as other:
        other.send("hello")
        assert other.recv(timeout=10) == "hello"


def test_a_port_that_is_taken_is_named(gate):
    with pytest.raises(ConsoleError, match=f"{gate.port}.*another port"):
        Gate(Echo(), TOKEN, port=gate.port)


def test_without_a_3d_view_there_is_no_connection_to_it(gate):
    with pytest.raises(InvalidStatus) as refused:
        link(gate, "/scene")

    assert refused.value.response.status_code == 404
