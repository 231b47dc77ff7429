# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The 33 bytes that travel beside every payload, and the identity of an endpoint."""

from __future__ import annotations

import struct
from typing import NamedTuple

import xxhash

_LAYOUT = struct.Struct("<qqB16s")
_GID_SIZE = 16


class AttachmentError(ValueError):
    """Bytes beside a payload are missing or corrupted."""


class Attachment(NamedTuple):
    """Sequence number (from 1), time of sending and identity of the sender."""

    sequence: int
    source_ns: int
    gid: bytes


def gid_of(token: str) -> bytes:
    """Return the 16-byte identity of the endpoint that a liveliness token announces."""
    return xxhash.xxh3_128_intdigest(token.encode()).to_bytes(_GID_SIZE, "little")


def encode(sequence: int, source_ns: int, gid: bytes) -> bytes:
    """Return the bytes of an attachment."""
    return _LAYOUT.pack(sequence, source_ns, _GID_SIZE, gid)


def decode(data: bytes | None) -> Attachment:
    """Return the content of an attachment.

    Raises:
        AttachmentError: there is none, or it is not laid out as rmw_zenoh does since 0.2.4.
    """
    if data is None:
        raise AttachmentError("no attachment: the sender is not a ROS node")
    if len(data) != _LAYOUT.size:
        raise AttachmentError(f"attachment of {len(data)} bytes instead of {_LAYOUT.size}")
    sequence, source_ns, size, gid = _LAYOUT.unpack(data)
    if size != _GID_SIZE:
        raise AttachmentError(f"attachment announces an identity of {size} bytes instead of 16")
    return Attachment(sequence, source_ns, gid)
