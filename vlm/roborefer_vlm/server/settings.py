# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a server may use and how long it waits: one table, checked when it is made."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

from roborefer_vlm.exceptions import ConfigurationError

MEBIBYTE = 1024 * 1024
SHORTEST_TOKEN = 16
# Nobody could keep a shorter one: a request has to be read, decoded and queued first.
SHORTEST_DEADLINE_S = 0.1
# A day. Beyond some years the clocks of threads and sockets overflow.
LONGEST_TIME_S = 86_400.0


@dataclass(frozen=True)
class ServerSettings:
    """Limits and manners of a server.

    Attributes:
        host: Address to bind; anything but a loopback address needs a token.
        port: 0 lets the system choose. The default is the port of the original service.
        token: Bearer token that every request except for health has to carry; None: no token.
        allowed_hosts: Further names that a Host header may carry.
        max_body_bytes: Longest body, as sent.
        max_pixels: Largest image or depth map, checked before it is decoded.
        max_images: Most pictures in one request of the original protocol.
        max_objects: Most given objects.
        max_new_tokens: Longest answer in the original protocol, whose requests cannot name one.
        max_request_bytes: Most memory that the decoded arrays of one request may take.
        max_in_flight_bytes: The same for all requests together, their bodies included.
        max_connections: Most open connections.
        queue_size: Most queries that wait for the engine.
        max_batch: Most queries in one batch; None leaves it to the engine.
        batch_wait_s: How long the first query of a batch waits for others.
        decode_workers: Threads that decode requests.
        head_timeout_s: Longest time for the head of a request to arrive.
        body_timeout_s: Longest time for a body to arrive.
        deadline_s: Time for an answer when the request does not name one.
        max_deadline_s: Longest time that a request may name.
        hang_grace_s: How long an engine may outlast a deadline before it counts as hanging.
        drain_s: How long a shutdown waits for answers under way.
    """

    host: str = "127.0.0.1"
    port: int = 25547
    token: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()
    max_body_bytes: int = 32 * MEBIBYTE
    max_pixels: int = 25_000_000
    max_images: int = 8
    max_objects: int = 256
    max_new_tokens: int = 1024
    max_request_bytes: int = 512 * MEBIBYTE
    max_in_flight_bytes: int = 1024 * MEBIBYTE
    max_connections: int = 1024
    queue_size: int = 256
    max_batch: int | None = None
    batch_wait_s: float = 0.004
    decode_workers: int = 2
    head_timeout_s: float = 10.0
    body_timeout_s: float = 30.0
    deadline_s: float = 60.0
    max_deadline_s: float = 600.0
    hang_grace_s: float = 5.0
    drain_s: float = 20.0

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ConfigurationError(f"port is {self.port}; 0 to 65535 are possible")
        for name in _COUNTS:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigurationError(f"{name} is {value}; at least 1 is needed")
        for name in _TIMES:
            value = getattr(self, name)
            if not (isfinite(value) and value > 0):
                raise ConfigurationError(f"{name} is {value}; a time above 0 s is needed")
            if value > LONGEST_TIME_S:
                raise ConfigurationError(f"{name} is {value:g}; {LONGEST_TIME_S:g} s is the most")
        if not (isfinite(self.batch_wait_s) and 0 <= self.batch_wait_s <= 1):
            raise ConfigurationError(f"batch_wait_s is {self.batch_wait_s}; use 0 to 1 s")
        if not SHORTEST_DEADLINE_S <= self.deadline_s <= self.max_deadline_s:
            raise ConfigurationError(
                f"deadline_s is {self.deadline_s}; {SHORTEST_DEADLINE_S} to max_deadline_s"
                f" {self.max_deadline_s} is possible"
            )
        if self.token is not None:
            _check_token(self.token)
        elif not self.loopback:
            raise ConfigurationError(
                f"host {self.host} can be reached from other machines, which needs a token:"
                " name a file with --token-file or set ROBOREFER_TOKEN, or bind 127.0.0.1"
            )

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)


_COUNTS = (
    *("max_body_bytes", "max_pixels", "max_images", "max_objects", "max_request_bytes"),
    *("max_in_flight_bytes", "max_connections", "queue_size", "max_batch", "decode_workers"),
    "max_new_tokens",
)
_TIMES = (
    *("head_timeout_s", "body_timeout_s", "deadline_s", "max_deadline_s"),
    *("hang_grace_s", "drain_s"),
)


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address can only mean this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def read_token(path: Path) -> str:
    """Return the token that a file holds, without white space around it.

    Raises:
        ConfigurationError: The file cannot be read, or others than its owner may read it.
    """
    try:
        mode = path.stat().st_mode
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"token file {path} cannot be read: {error}") from error
    if mode & 0o077:
        raise ConfigurationError(
            f"token file {path} can be read by others (mode {mode & 0o777:o}); chmod 600 it"
        )
    _check_token(token)
    return token


def _check_token(token: str) -> None:
    if (
        len(token) < SHORTEST_TOKEN
        or not token.isascii()
        or not token.isprintable()
        or " " in token
    ):
        raise ConfigurationError(
            f"the token has {len(token)} characters; at least {SHORTEST_TOKEN} printable ASCII"
            " characters without blanks are needed"
        )
