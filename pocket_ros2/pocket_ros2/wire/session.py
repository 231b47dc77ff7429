# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A ROS context on the network: one zenoh session, its graph and what is declared on it."""

from __future__ import annotations

import _thread
import atexit
import contextlib
import itertools
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import zenoh

from pocket_ros2.wire.config import (
    connect_endpoints,
    router_check_attempts,
    session_config,
)
from pocket_ros2.wire.endpoints import (
    OnIncompatible,
    Request,
    Sample,
    WireClient,
    WirePublisher,
    WireService,
    WireSubscriber,
)
from pocket_ros2.wire.graph import Graph
from pocket_ros2.wire.names import TOKEN_SPACE, NodeInfo, TypeSupport, node_token
from pocket_ros2.wire.qos import Qos

_log = logging.getLogger("pocket_ros2.wire")
_CHECK_PERIOD_S = 1.0
_GRAPH_TIMEOUT_S = 2.0
_QUIET_S = 0.02
_CLOSE_TIMEOUT_S = 2.0
_ROUTER_IDLE_EXIT_S = 30
_TCP = re.compile(r"tcp/(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:]+)):(?P<port>\d+)")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

_open_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


@atexit.register
def _close_open_sessions() -> None:
    for session in list(_open_sessions):
        session.close()


class NodeToken:
    """A node's presence in the graph, and its identity for the endpoints it owns."""

    def __init__(self, session: Session, namespace: str, name: str) -> None:
        self._session = session
        self.info = NodeInfo(session.zid, session.next_id(), session.enclave, namespace, name)
        self._key = node_token(session.domain_id, self.info)
        self._token: zenoh.LivelinessToken | None = session.zenoh.liveliness().declare_token(
            self._key
        )
        session.entities.add(self)
        session.graph.add(self._key)

    def close(self) -> None:
        """Leave the graph; further calls do nothing."""
        token, self._token = self._token, None
        if token is not None:
            self._session.entities.discard(self)
            self._session.graph.remove(self._key)
            token.undeclare()


class Session:
    """One participant of a ROS domain."""

    def __init__(self, session: zenoh.Session, domain_id: int, enclave: str) -> None:
        self.zenoh = session
        self.zid = str(session.zid())
        self.domain_id = domain_id
        self.enclave = enclave
        self.enforces_qos = os.environ.get("POCKET_ROS2_QOS_MATCHING", "1") != "0"
        self.graph = Graph()
        self.entities: set[Any] = set()
        self._ids = itertools.count()
        tokens = f"{TOKEN_SPACE}/{domain_id}/**"
        self._watcher = session.liveliness().declare_subscriber(
            tokens, zenoh.handlers.Callback(self._on_token, indirect=False), history=True
        )
        for reply in session.liveliness().get(tokens, timeout=_GRAPH_TIMEOUT_S):
            if reply.ok is not None:
                self.graph.add(str(reply.ok.key_expr))
        self._settle()
        _open_sessions.add(self)

    def _settle(self) -> None:
        """Wait until tokens stop coming in: a link is up a moment before all is known over it."""
        changed = threading.Event()
        forget = self.graph.on_change(changed.set)
        deadline = time.monotonic() + _GRAPH_TIMEOUT_S
        while changed.wait(_QUIET_S) and time.monotonic() < deadline:
            changed.clear()
        forget()

    @classmethod
    def open(cls, domain_id: int, enclave: str = "/") -> Session:
        """Join a domain, starting a router on this machine if none answers there."""
        config = session_config()
        attempts = router_check_attempts()
        endpoints = connect_endpoints(config)
        if attempts >= 0:
            _ensure_router(endpoints)
        session = zenoh.open(config)
        if attempts >= 0 and endpoints:
            _wait_for_router(session, endpoints, attempts)
        return cls(session, domain_id, enclave)

    def next_id(self) -> int:
        """Return a number that no node or endpoint of this session has yet."""
        return next(self._ids)

    def _on_token(self, sample: zenoh.Sample) -> None:
        put = sample.kind == zenoh.SampleKind.PUT
        (self.graph.add if put else self.graph.remove)(str(sample.key_expr))

    def declare_node(self, namespace: str, name: str) -> NodeToken:
        """Announce a node."""
        return NodeToken(self, namespace, name)

    def publisher(
        self,
        node: NodeToken,
        topic: str,
        type_support: TypeSupport,
        qos: Qos,
        on_incompatible: OnIncompatible | None = None,
    ) -> WirePublisher:
        """Declare a publisher; `on_incompatible` gets a policy and the subscription it refuses."""
        return WirePublisher(self, node.info, topic, type_support, qos, on_incompatible)

    def subscriber(
        self,
        node: NodeToken,
        topic: str,
        type_support: TypeSupport,
        qos: Qos,
        on_sample: Callable[[Sample], None],
        on_incompatible: OnIncompatible | None = None,
    ) -> WireSubscriber:
        """Declare a subscription; `on_sample` runs in a thread of zenoh and must only enqueue."""
        return WireSubscriber(
            self, node.info, topic, type_support, qos, on_incompatible, on_sample
        )

    def client(
        self, node: NodeToken, service: str, type_support: TypeSupport, qos: Qos
    ) -> WireClient:
        """Declare a client of a service."""
        return WireClient(self, node.info, service, type_support, qos)

    def service(
        self,
        node: NodeToken,
        service: str,
        type_support: TypeSupport,
        qos: Qos,
        on_request: Callable[[Request], None],
    ) -> WireService:
        """Declare a server; `on_request` runs in a thread of zenoh and must only enqueue."""
        return WireService(self, node.info, service, type_support, qos, on_data=on_request)

    def close(self) -> None:
        """Undeclare everything and leave the domain, in two seconds at the most.

        No callback runs afterwards. A peer that is stalled while data is on its way to it delays
        zenoh until its lease ends; this goes on in the background, or is cut off by process exit.
        """
        _open_sessions.discard(self)
        # Subscribers first: zenoh undeclares a latched publisher with the interpreter's lock held
        # and tells local subscribers of the topic, whose callbacks may be waiting for that lock.
        for entity in sorted(
            self.entities, key=lambda entity: not isinstance(entity, WireSubscriber)
        ):
            entity.close()
        if not self.zenoh.is_closed():
            self._watcher.undeclare()
            left = threading.Lock()
            left.acquire()
            try:
                # Not a Thread: that waits for its start, where a second Ctrl-C would strike.
                _thread.start_new_thread(self._close_zenoh, (left,))
                left.acquire(timeout=_CLOSE_TIMEOUT_S)
            except RuntimeError:  # Python 3.12.0 and 3.12.1 start no thread during exit.
                self._close_zenoh(left)

    def _close_zenoh(self, left: threading.Lock) -> None:
        with contextlib.suppress(zenoh.ZError):
            self.zenoh.close()
        left.release()


def _address(endpoint: str) -> tuple[str, int] | None:
    match = _TCP.match(endpoint)
    return (match["v6"] or match["host"], int(match["port"])) if match else None


def _answers(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=_CHECK_PERIOD_S).close()
    except OSError:
        return False
    return True


def _ensure_router(endpoints: list[str]) -> None:
    """Start a router at the first loopback endpoint, unless an endpoint answers already."""
    addresses = [_address(endpoint) for endpoint in endpoints]
    local = [address for address in addresses if address and address[0] in _LOOPBACK]
    if not local or any(address is None or _answers(address) for address in addresses):
        return
    command = [sys.executable, "-m", "pocket_ros2.wire.router"]
    options = [
        f"--listen=tcp/127.0.0.1:{local[0][1]}",
        f"--idle-exit={_ROUTER_IDLE_EXIT_S}",
    ]
    router = subprocess.Popen(
        command + options,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert router.stdout is not None
    router.stdout.readline()
    router.stdout.close()
    router.returncode = 0  # It outlives this process: nobody here waits for it.


def _wait_for_router(session: zenoh.Session, endpoints: list[str], attempts: int) -> None:
    """Wait `attempts` seconds (0: forever) until connected; otherwise say what is missing."""
    deadline = time.monotonic() + attempts * _CHECK_PERIOD_S if attempts else float("inf")
    while time.monotonic() < deadline:
        if session.info.routers_zid() or session.info.peers_zid():
            return
        time.sleep(0.002)
    _log.warning(
        "no Zenoh router answers at %s; nodes will not meet until one runs there "
        "(`python -m pocket_ros2.wire.router` or `ros2 run rmw_zenoh_cpp rmw_zenohd`)",
        ", ".join(endpoints),
    )
