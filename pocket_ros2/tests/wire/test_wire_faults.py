# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time

import pytest
import zenoh
from pocket_ros2.wire import Qos

MEGABYTE = bytes(1_000_000)


def router_command(port):
    return [sys.executable, "-m", "pocket_ros2.wire.router", f"--listen=tcp/127.0.0.1:{port}"]


@pytest.fixture
def own_port(monkeypatch):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("ZENOH_CONFIG_OVERRIDE", f'connect/endpoints=["tcp/localhost:{port}"]')
    return port


@pytest.fixture
def start_router():
    routers = []

    def start(port, *options):
        router = subprocess.Popen(
            [*router_command(port), *options], stdout=subprocess.PIPE, text=True
        )
        routers.append(router)
        assert router.stdout.readline() == f"listening on tcp/127.0.0.1:{port}\n"
        return router

    yield start
    for router in routers:
        router.kill()
        router.wait()
        router.stdout.close()


def test_a_call_ends_soon_when_its_server_is_killed(start_peer, session, types, inbox, wait_graph):
    peer, replies = start_peer("server"), inbox()
    client = session.client(session.declare_node("/", "n"), "/reverse", types.trigger, Qos())
    wait_graph(session.graph, client.ready)
    client.call(b"never", 1, replies)
    client.call(b"ab", 2, replies)
    assert replies.wait()[0].to_bytes() == b"ba"

    peer.kill()

    assert replies.wait(2, timeout=5)[1] is None
    wait_graph(session.graph, lambda: not client.ready(), timeout=5)


def test_a_stalled_subscription_does_not_block_publisher_or_close(
    start_peer, open_session, types, wait_graph
):
    peer, session = start_peer("sink"), open_session()
    publisher = session.publisher(session.declare_node("/", "n"), "/sink", types.text, Qos())
    wait_graph(session.graph, publisher.matched_count)
    peer.send_signal(signal.SIGSTOP)

    slowest = 0.0
    for _ in range(40):
        start = time.monotonic()
        publisher.put(MEGABYTE, 1)
        slowest = max(slowest, time.monotonic() - start)
    start = time.monotonic()
    session.close()

    assert slowest < 1
    assert time.monotonic() - start < 4


def test_sessions_meet_again_through_a_restarted_router(
    own_port, start_router, open_session, start_peer, types, inbox, wait_graph
):
    router = start_router(own_port)
    here, got = open_session(), inbox()
    publisher = here.publisher(here.declare_node("/", "here"), "/t", types.text, Qos())
    router.kill()
    router.wait()

    start_router(own_port)
    late = open_session()
    late.subscriber(late.declare_node("/", "late"), "/t", types.text, Qos(), got)

    wait_graph(here.graph, publisher.matched_count)
    wait_graph(late.graph, lambda: ("here", "/", "/") in late.graph.nodes())
    publisher.put(b"x", 1)
    got.wait()


def test_the_first_session_starts_the_router(own_port, open_session):
    session = open_session()

    (router,) = session.zenoh.info.routers_zid()
    assert router
    with socket.create_connection(("127.0.0.1", own_port), timeout=5):
        pass
    taken = subprocess.run(router_command(own_port), capture_output=True, text=True, timeout=20)
    assert taken.returncode != 0
    assert f"cannot listen on tcp/127.0.0.1:{own_port}" in taken.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_router_ends_cleanly_on_a_signal(own_port, start_router, number):
    router = start_router(own_port)

    router.send_signal(number)

    assert router.wait(10) == 0


def test_router_ends_by_itself_only_when_nobody_is_connected(own_port, start_router, open_session):
    router = start_router(own_port, "--idle-exit=0.3")
    session = open_session()
    with pytest.raises(subprocess.TimeoutExpired):
        router.wait(1)

    session.close()

    assert router.wait(10) == 0


def test_without_a_router_elsewhere_a_session_opens_and_says_so(
    monkeypatch, own_port, open_session, caplog
):
    endpoint = f"tcp/127.0.0.2:{own_port}"
    monkeypatch.setenv("ZENOH_CONFIG_OVERRIDE", f'connect/endpoints=["{endpoint}"]')

    open_session()

    assert endpoint in caplog.text
    assert "rmw_zenohd" in caplog.text


def test_a_router_in_the_way_of_rmw_zenoh_is_simply_used(own_port, open_session):
    config = zenoh.Config.from_json5(
        f'{{mode: "router", listen: {{endpoints: ["tcp/127.0.0.1:{own_port}"]}}}}'
    )
    with zenoh.open(config) as router:
        session = open_session()

        assert [str(zid) for zid in session.zenoh.info.routers_zid()] == [str(router.zid())]
        session.close()


@pytest.mark.parametrize(
    ("how", "code"),
    [("return", 0), ("sys_exit", 3), ("exception", 1), ("sigterm", -signal.SIGTERM)],
)
def test_a_process_with_everything_open_exits_with_its_code(start_peer, how, code):
    peer = start_peer(how, ready=False)

    assert peer.wait(20) == code
