# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishers, subscribers, clients and services on one zenoh session."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import zenoh
import zenoh.ext

from pocket_ros2.wire import attachment
from pocket_ros2.wire.attachment import AttachmentError
from pocket_ros2.wire.names import Endpoint, NodeInfo, TypeSupport, data_key, endpoint_token
from pocket_ros2.wire.qos import (
    KEEP_ALL,
    RELIABLE,
    TRANSIENT_LOCAL,
    Qos,
    incompatible_policies,
)

if TYPE_CHECKING:
    from pocket_ros2.wire.session import Session

_log = logging.getLogger("pocket_ros2.wire")
_HEARTBEAT_S = 0.5
_NO_TIMEOUT_S = 365 * 86_400

OnIncompatible = Callable[[str, Endpoint], None]


class Sample(NamedTuple):
    """A message as it arrived; `payload.to_bytes()` copies its CDR bytes."""

    payload: zenoh.ZBytes
    sequence: int
    source_ns: int
    received_ns: int
    gid: bytes


def _direct(function: Callable[[Any], None], drop: Callable[[], None] | None = None) -> Any:
    """Call `function` in zenoh's own thread: a thread of Python's would keep the process alive."""
    return zenoh.handlers.Callback(function, drop, indirect=False)


def _attachment_of(carrier: zenoh.Sample | zenoh.Query) -> attachment.Attachment:
    data = carrier.attachment
    return attachment.decode(None if data is None else data.to_bytes())


class _WireEndpoint:
    """The part all four kinds share: key, token, matching with the other side."""

    kind = ""
    peer_kind = ""

    def __init__(
        self,
        session: Session,
        node: NodeInfo,
        name: str,
        type_support: TypeSupport,
        qos: Qos,
        on_incompatible: OnIncompatible | None = None,
        on_data: Callable[[Any], None] | None = None,
    ) -> None:
        self._session = session
        self._on_data: Any = on_data
        self._qos = qos
        self._name = name
        self._type_name, self._type_hash = type_support.ros_name, type_support.rihs
        self._key = data_key(session.domain_id, name, type_support)
        self._token_key = endpoint_token(
            session.domain_id, node, session.next_id(), self.kind, name, type_support, qos
        )
        self.gid = attachment.gid_of(self._token_key)
        self._on_incompatible = on_incompatible
        self._refused: set[bytes] = set()
        self._lock = threading.RLock()
        self._sending = threading.RLock()  # Reentrant: a signal handler may close what it stops.
        self._warned = False
        self._closed = False
        self._declared: list[Any] = []
        self._unwatch = session.graph.on_endpoint(name, self._meet)
        try:
            for endpoint in session.graph.endpoints(topic=name):
                self._meet(endpoint)
            self._declare(session.zenoh)
            self._declared.append(session.zenoh.liveliness().declare_token(self._token_key))
        except BaseException:
            self.close()
            raise
        session.entities.add(self)
        session.graph.add(self._token_key)

    def _declare(self, session: zenoh.Session) -> None:
        raise NotImplementedError

    def _matches(self, remote: Endpoint) -> bool:
        return (remote.kind, remote.type_name, remote.type_hash) == (
            self.peer_kind,
            self._type_name,
            self._type_hash,
        )

    def _incompatible_policies(self, remote: Endpoint) -> list[str]:
        """Return what keeps this endpoint from communicating with `remote`."""
        if self.kind not in ("MP", "MS") or not self._session.enforces_qos:
            return []
        sides = (self._qos, remote.qos) if self.kind == "MP" else (remote.qos, self._qos)
        return incompatible_policies(*sides)

    def _meet(self, remote: Endpoint) -> None:
        if not self._matches(remote):
            return
        policies = self._incompatible_policies(remote)
        with self._lock:
            if not policies or remote.gid in self._refused:
                return
            self._refused.add(remote.gid)
        if self._on_incompatible is not None:
            self._on_incompatible(policies[-1], remote)

    def matched_count(self) -> int:
        """Return how many compatible endpoints are on the other side."""
        return sum(
            self._matches(remote) and not self._incompatible_policies(remote)
            for remote in self._session.graph.endpoints(self.peer_kind, self._name)
        )

    def _warn_once(self, problem: object) -> None:
        if not self._warned:
            self._warned = True
            _log.warning("dropping data received on '%s': %s", self._name, problem)

    def close(self) -> None:
        """Leave the graph, then stop; further calls do nothing."""
        with self._sending:
            if self._closed:
                return
            self._closed = True
        self._session.entities.discard(self)
        self._unwatch()
        self._session.graph.remove(self._token_key)
        for declared in reversed(self._declared):
            declared.undeclare()


class WirePublisher(_WireEndpoint):
    """Sends messages to the subscriptions of a topic."""

    kind, peer_kind = "MP", "MS"

    def _declare(self, session: zenoh.Session) -> None:
        reliable = self._qos.reliability == RELIABLE
        options: dict[str, Any] = {
            "congestion_control": zenoh.CongestionControl.BLOCK
            if reliable and self._qos.history == KEEP_ALL
            else zenoh.CongestionControl.DROP,
            "reliability": zenoh.Reliability.RELIABLE
            if reliable
            else zenoh.Reliability.BEST_EFFORT,
        }
        self._sequence = 0
        self._publisher: zenoh.Publisher | zenoh.ext.AdvancedPublisher
        if self._qos.durability == TRANSIENT_LOCAL:
            self._publisher = zenoh.ext.declare_advanced_publisher(
                session,
                self._key,
                cache=zenoh.ext.CacheConfig(self._qos.effective_depth),
                publisher_detection=True,
                sample_miss_detection=zenoh.ext.MissDetectionConfig(
                    heartbeat=None, sporadic_heartbeat=_HEARTBEAT_S
                )
                if reliable
                else None,
                **options,
            )
        else:
            self._publisher = session.declare_publisher(self._key, **options)
        self._declared.append(self._publisher)

    def put(self, payload: bytes | bytearray, source_ns: int) -> None:
        """Send serialized CDR bytes with the time of sending."""
        with self._sending:
            if self._closed:
                raise RuntimeError(f"the publisher on '{self._name}' is closed")
            self._sequence += 1
            self._publisher.put(
                payload, attachment=attachment.encode(self._sequence, source_ns, self.gid)
            )


class WireSubscriber(_WireEndpoint):
    """Hands the samples of compatible publishers to `on_data`, in a thread of zenoh."""

    kind, peer_kind = "MS", "MP"

    def _declare(self, session: zenoh.Session) -> None:
        handler = _direct(self._receive)
        if self._qos.durability == TRANSIENT_LOCAL:
            subscriber: Any = zenoh.ext.declare_advanced_subscriber(
                session,
                self._key,
                handler,
                history=zenoh.ext.HistoryConfig(
                    detect_late_publishers=True, max_samples=self._qos.effective_depth
                ),
                recovery=zenoh.ext.RecoveryConfig(periodic_queries=None, heartbeat=True)
                if self._qos.reliability == RELIABLE
                else None,
            )
        else:
            subscriber = session.declare_subscriber(self._key, handler)
        self._declared.append(subscriber)

    def _receive(self, sample: zenoh.Sample) -> None:
        received_ns = time.time_ns()
        if self._closed or sample.kind != zenoh.SampleKind.PUT:
            return
        try:
            sequence, source_ns, gid = _attachment_of(sample)
        except AttachmentError as error:
            self._warn_once(error)
            return
        if gid not in self._refused:
            self._on_data(Sample(sample.payload, sequence, source_ns, received_ns, gid))


class WireClient(_WireEndpoint):
    """Sends requests to the servers of a service."""

    kind, peer_kind = "SC", "SS"

    def _declare(self, session: zenoh.Session) -> None:
        """Nothing: a client only queries."""

    def ready(self) -> bool:
        """Return whether a server with the same service type is known."""
        return self.matched_count() > 0

    def call(
        self,
        payload: bytes | bytearray,
        sequence: int,
        on_reply: Callable[[zenoh.ZBytes | None], None],
    ) -> None:
        """Send a request; `on_reply` gets the first reply, or None when none will ever come.

        It is called once, from a thread of zenoh, unless this client is closed before.
        """
        waiting = [on_reply]

        def finish(reply: zenoh.ZBytes | None) -> None:
            try:
                callback = waiting.pop()
            except IndexError:
                return
            if not self._closed:
                callback(reply)

        def receive(reply: zenoh.Reply) -> None:
            sample = reply.ok
            if sample is None:
                return
            try:
                _attachment_of(sample)
            except AttachmentError as error:
                self._warn_once(error)
                return
            finish(sample.payload)

        self._session.zenoh.get(
            self._key,
            _direct(receive, lambda: finish(None)),
            target=zenoh.QueryTarget.ALL_COMPLETE,
            consolidation=zenoh.ConsolidationMode.NONE,
            timeout=_NO_TIMEOUT_S,
            payload=payload,
            attachment=attachment.encode(sequence, time.time_ns(), self.gid),
        )


class Request:
    """A request that waits for its reply; it can be answered at any time, from any thread."""

    def __init__(self, query: zenoh.Query, key: str) -> None:
        self.sequence, self.source_ns, self.gid = _attachment_of(query)
        if query.payload is None:
            raise AttachmentError("no payload: the sender is not a ROS client")
        self.payload: zenoh.ZBytes = query.payload
        self._query = query
        self._key = key

    def reply(self, payload: bytes | bytearray) -> None:
        """Answer; does nothing when the client or this session is gone."""
        try:
            self._query.reply(
                self._key,
                payload,
                attachment=attachment.encode(self.sequence, time.time_ns(), self.gid),
            )
        except zenoh.ZError as error:
            _log.debug("no way to answer on '%s': %s", self._key, error)
        self.drop()

    def drop(self) -> None:
        """Let the client know that no answer will come."""
        self._query.drop()


class WireService(_WireEndpoint):
    """Hands requests to `on_data`, in a thread of zenoh."""

    kind, peer_kind = "SS", "SC"

    def _declare(self, session: zenoh.Session) -> None:
        handler = _direct(self._receive)
        self._declared.append(session.declare_queryable(self._key, handler, complete=True))

    def _receive(self, query: zenoh.Query) -> None:
        try:
            request = Request(query, self._key)
        except AttachmentError as error:
            self._warn_once(error)
            query.drop()
            return
        if self._closed:
            request.drop()
        else:
            self._on_data(request)
