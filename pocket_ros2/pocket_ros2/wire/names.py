# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Names on the wire: data keys, and the liveliness tokens that announce nodes and endpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pocket_ros2.wire import qos as qos_codec
from pocket_ros2.wire.attachment import gid_of
from pocket_ros2.wire.qos import Qos, QosError

TOKEN_SPACE = "@ros2_lv"
KINDS = ("MP", "MS", "SS", "SC")


class TypeSupport(Protocol):
    """What the wire has to know of a message or service type."""

    @property
    def ros_name(self) -> str: ...  # noqa: D102
    @property
    def dds_name(self) -> str: ...  # noqa: D102
    @property
    def rihs(self) -> str: ...  # noqa: D102


class TokenError(ValueError):
    """A key is not a token that a ROS node could have declared."""


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """A node as its token announces it."""

    zid: str
    node_id: int
    enclave: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A publisher (MP), subscription (MS), service server (SS) or client (SC) of some node."""

    kind: str
    zid: str
    node_id: int
    entity_id: int
    enclave: str
    namespace: str
    node: str
    topic: str
    type_name: str
    type_hash: str
    qos: Qos
    gid: bytes


def data_key(domain_id: int, name: str, type_support: TypeSupport) -> str:
    """Return the key under which a topic's samples or a service's requests travel."""
    return f"{domain_id}/{name.strip('/')}/{type_support.dds_name}/{type_support.rihs}"


def mangle(name: str) -> str:
    """Return a name that fits into one chunk of a key."""
    return name.replace("/", "%") or "%"


def demangle(chunk: str) -> str:
    """Return the name that a chunk stands for."""
    return chunk.replace("%", "/")


def node_token(domain_id: int, node: NodeInfo) -> str:
    """Return the token that announces a node."""
    return _token(domain_id, node, node.node_id, "NN")


def endpoint_token(
    domain_id: int,
    node: NodeInfo,
    entity_id: int,
    kind: str,
    name: str,
    type_support: TypeSupport,
    qos: Qos,
) -> str:
    """Return the token that announces an endpoint of `node`; its absolute name is `name`."""
    head = _token(domain_id, node, entity_id, kind)
    tail = f"{type_support.dds_name}/{type_support.rihs}/{qos_codec.encode(qos)}"
    return f"{head}/{mangle(name)}/{tail}"


def _token(domain_id: int, node: NodeInfo, entity_id: int, kind: str) -> str:
    identity = f"{TOKEN_SPACE}/{domain_id}/{node.zid}/{node.node_id}/{entity_id}/{kind}"
    return f"{identity}/{mangle(node.enclave)}/{mangle(node.namespace)}/{node.name}"


def parse_token(token: str) -> NodeInfo | Endpoint:
    """Return what a token announces.

    Endpoints of buffer-aware nodes carry a 14th chunk, which is accepted and not interpreted.

    Raises:
        TokenError: a chunk is missing, empty or malformed.
    """
    chunks = token.split("/")
    if not all(chunks):
        raise TokenError("empty chunk")
    kind = chunks[5] if len(chunks) > 5 else ""
    sizes = (9,) if kind == "NN" else (13, 14) if kind in KINDS else ()
    if chunks[0] != TOKEN_SPACE or len(chunks) not in sizes:
        raise TokenError(f"{len(chunks)} chunks of kind {kind!r}")
    zid, node_id, entity_id = chunks[2], _id(chunks[3]), _id(chunks[4])
    enclave, namespace = demangle(chunks[6]), demangle(chunks[7])
    if kind == "NN":
        return NodeInfo(zid, node_id, enclave, namespace, chunks[8])
    name, dds_name, type_hash = chunks[9:12]
    try:
        qos = qos_codec.decode(chunks[12])
    except QosError as error:
        raise TokenError(str(error)) from error
    return Endpoint(
        kind=kind,
        zid=zid,
        node_id=node_id,
        entity_id=entity_id,
        enclave=enclave,
        namespace=namespace,
        node=chunks[8],
        topic=demangle(name),
        type_name=dds_name.replace("::dds_::", "/").replace("::", "/").removesuffix("_"),
        type_hash=type_hash,
        qos=qos,
        gid=gid_of(token),
    )


def _id(chunk: str) -> int:
    if not (chunk.isascii() and chunk.isdigit()):
        raise TokenError(f"{chunk!r} is not the number of a node or endpoint")
    return int(chunk)
