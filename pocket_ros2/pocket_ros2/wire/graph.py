# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The ROS graph: which nodes and endpoints are alive, learned from liveliness tokens."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from pocket_ros2.wire.names import Endpoint, NodeInfo, TokenError, parse_token

_log = logging.getLogger("pocket_ros2.wire")


class Graph:
    """Nodes and endpoints of one domain, those of the own session included."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._entities: dict[str, NodeInfo | Endpoint] = {}
        self._topics: dict[str, dict[str, Endpoint]] = {}
        self._on_change: list[Callable[[], None]] = []
        self._on_endpoint: dict[str, list[Callable[[Endpoint], None]]] = {}
        self._malformed: set[str] = set()
        self._hash_warned: set[tuple[str, str]] = set()

    def nodes(self) -> list[tuple[str, str, str]]:
        """Return name, namespace and enclave of every node; equal names appear repeatedly."""
        with self._lock:
            return [
                (entity.name, entity.namespace, entity.enclave)
                for entity in self._entities.values()
                if isinstance(entity, NodeInfo)
            ]

    def endpoints(
        self,
        kind: str | None = None,
        topic: str | None = None,
        node: tuple[str, str] | None = None,
    ) -> list[Endpoint]:
        """Return the endpoints of one kind, with one absolute name, of one (namespace, name)."""
        with self._lock:
            tables = (
                list(self._topics.values()) if topic is None else [self._topics.get(topic, {})]
            )
            return [
                endpoint
                for table in tables
                for endpoint in table.values()
                if (kind is None or endpoint.kind == kind)
                and (node is None or (endpoint.namespace, endpoint.node) == node)
            ]

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back, from any thread, after every change; the result ends that."""
        with self._lock:
            self._on_change.append(callback)
        return lambda: self._forget(self._on_change, callback)

    def on_endpoint(self, topic: str, callback: Callable[[Endpoint], None]) -> Callable[[], None]:
        """Call back, from any thread, with every endpoint that appears on a topic or service."""
        with self._lock:
            watchers = self._on_endpoint.setdefault(topic, [])
            watchers.append(callback)
        return lambda: self._forget(watchers, callback)

    def _forget(self, callbacks: list[Callable[..., None]], callback: Callable[..., None]) -> None:
        with self._lock:
            if callback in callbacks:
                callbacks.remove(callback)

    def add(self, token: str) -> None:
        """Take in a token; a known one changes nothing, a corrupted one is logged and ignored."""
        try:
            entity = parse_token(token)
        except TokenError as error:
            with self._lock:
                known = token in self._malformed
                self._malformed.add(token)
            if not known:
                _log.warning("ignoring the malformed liveliness token %r: %s", token, error)
            return
        with self._lock:
            if token in self._entities:
                return
            self._entities[token] = entity
            watchers: list[Callable[[Endpoint], None]] = []
            if isinstance(entity, Endpoint):
                self._topics.setdefault(entity.topic, {})[token] = entity
                watchers = list(self._on_endpoint.get(entity.topic, ()))
            changed = list(self._on_change)
        if isinstance(entity, Endpoint):
            self._warn_of_other_hash(entity)
            for watcher in watchers:
                watcher(entity)
        for callback in changed:
            callback()

    def remove(self, token: str) -> None:
        """Forget a token; an unknown one changes nothing."""
        with self._lock:
            self._malformed.discard(token)
            entity = self._entities.pop(token, None)
            if entity is None:
                return
            if isinstance(entity, Endpoint):
                table = self._topics[entity.topic]
                del table[token]
                if not table:
                    del self._topics[entity.topic]
            changed = list(self._on_change)
        for callback in changed:
            callback()

    def _warn_of_other_hash(self, new: Endpoint) -> None:
        for old in self.endpoints(topic=new.topic):
            if old.type_name == new.type_name and old.type_hash != new.type_hash:
                with self._lock:
                    if (new.topic, new.type_name) in self._hash_warned:
                        return
                    self._hash_warned.add((new.topic, new.type_name))
                _log.warning(
                    "type hash differs on '%s': %s of node '%s' is %s, of node '%s' it is %s; "
                    "they will never communicate until both use the same definition",
                    new.topic,
                    new.type_name,
                    new.node,
                    new.type_hash,
                    old.node,
                    old.type_hash,
                )
                return
