# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""One request to an OpenAI-compatible /chat/completions endpoint, streamed and bounded.

Whatever comes back is from outside: sizes are limited while reading, and every reply that is not
as it should be becomes a typed error. The key is sent in a header and appears nowhere else.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from roborefer_vlm.exceptions import (
    ConfigurationError,
    DeadlineError,
    EngineError,
    QueryError,
    UnavailableError,
)

MOST_ERROR_BYTES = 16384
SHOWN = 200
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_MISCONFIGURED = {
    401: "it refuses the key",
    403: "it refuses the key",
    404: "it does not know this address or model",
    405: "it is no chat endpoint",
}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Endpoint:
    """Where to ask, and how patiently.

    Attributes:
        url: Base address, as "http://127.0.0.1:8000/v1".
        key: Bearer token, or "".
        timeout_s: Longest time for one answer, retries included.
        connect_timeout_s: Longest time to get a connection.
        retries: How often to ask again when the endpoint is busy or the connection fails before
            the first text came.
        pause_s: Shortest time before asking again; doubles each time.
        most_bytes: Longest reply.
    """

    url: str
    key: str = field(default="", repr=False)
    timeout_s: float = 120.0
    connect_timeout_s: float = 10.0
    retries: int = 3
    pause_s: float = 0.25
    most_bytes: int = 4_000_000

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(
                f"'{self.url}' is no address; one as http://127.0.0.1:8000/v1 is needed"
            )
        if parts.username is not None or parts.password is not None:
            raise ConfigurationError("the address holds a password; give the key by itself")
        if parts.query or parts.fragment:
            raise ConfigurationError(f"address '{self.url}' must end before '?' and '#'")
        if self.key and parts.scheme == "http" and not self.local:
            raise ConfigurationError(
                f"the key would travel unencrypted to {parts.hostname}; use https"
            )
        if not self.key.isascii() or any(letter.isspace() for letter in self.key):
            raise ConfigurationError("the key holds a blank, a line end or a foreign letter")
        if not (self.timeout_s > 0 and self.connect_timeout_s > 0 and self.retries >= 0):
            raise ConfigurationError("timeouts must be positive, retries 0 or more")

    @property
    def local(self) -> bool:
        """Tell whether the endpoint is on this machine."""
        return urlsplit(self.url).hostname in _LOOPBACK

    def client(self) -> httpx.AsyncClient:
        """Return a client that keeps connections to the endpoint."""
        # Compressed replies could unpack to any size, so none are asked for and none are read.
        headers = {"Accept-Encoding": "identity"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        return httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(self.timeout_s, connect=self.connect_timeout_s),
            # A proxy of the environment does not know this machine's own addresses.
            trust_env=not self.local,
        )


async def complete(
    client: httpx.AsyncClient,
    endpoint: Endpoint,
    body: Mapping[str, Any],
    on_text: Callable[[str], None],
) -> None:
    """Ask once, and pass on the pieces of the answer as they come.

    Args:
        client: From `endpoint.client()`.
        endpoint: Where to ask.
        body: The request; "stream" should be true, but an endpoint that does not stream is fine.
        on_text: Called with every piece.

    Raises:
        ConfigurationError: Key, address or model are refused.
        QueryError: The request is too large for the endpoint.
        DeadlineError: No whole answer came in time.
        UnavailableError: The endpoint cannot be reached or stays busy.
        EngineError: It refuses the request, or its reply cannot be read.
    """
    attempt = _Attempt(client, endpoint, body, on_text)
    try:
        async with asyncio.timeout(endpoint.timeout_s):
            await attempt.until_done()
    except TimeoutError as error:
        raise DeadlineError(
            f"{endpoint.url} gave no whole answer within {endpoint.timeout_s:g} s"
        ) from error


class _Attempt:
    """Asks, and asks again where that may help."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        endpoint: Endpoint,
        body: Mapping[str, Any],
        on_text: Callable[[str], None],
    ) -> None:
        self._client = client
        self._endpoint = endpoint
        self._body = body
        self._on_text = on_text
        self._deadline = time.monotonic() + endpoint.timeout_s
        self._begun = False

    async def until_done(self) -> None:
        for attempt in range(self._endpoint.retries + 1):
            wait_s = await self._once(last=attempt == self._endpoint.retries)
            if wait_s is None:
                return
            wait_s = max(wait_s, self._endpoint.pause_s * 2**attempt * random.uniform(0.5, 1.0))
            if time.monotonic() + wait_s >= self._deadline:
                raise UnavailableError(
                    f"{self._endpoint.url} is busy and asks to wait {wait_s:.1f} s, longer than"
                    " the time allowed"
                )
            await asyncio.sleep(wait_s)

    async def _once(self, *, last: bool) -> float | None:
        """Ask; return None when answered, or how many seconds the endpoint wants to be left."""
        url = self._endpoint.url.rstrip("/") + "/chat/completions"
        try:
            async with self._client.stream("POST", url, json=self._body) as response:
                if response.status_code in _AGAIN and not last:
                    return _retry_after_s(response)
                if response.status_code != 200:
                    raise await self._refusal(response)
                await self._read(response)
                return None
        except httpx.TimeoutException as error:
            raise DeadlineError(f"{self._endpoint.url} does not answer in time") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            if self._begun or last:
                raise UnavailableError(
                    f"connection to {self._endpoint.url} failed: {error or type(error).__name__}"
                ) from error
            return 0.0

    async def _read(self, response: httpx.Response) -> None:
        encoding = response.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise EngineError(f"{self._endpoint.url} sent a compressed reply ({encoding[:20]!r})")
        received = 0
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        pieces = _events(response) if kind == "text/event-stream" else _whole(response)
        async for size, values in pieces:
            received += size
            if received > self._endpoint.most_bytes:
                raise EngineError(
                    f"{self._endpoint.url} sent more than {self._endpoint.most_bytes} bytes"
                )
            for value in values:
                text = _text_of(value)
                if text:
                    self._begun = True
                    self._on_text(text)

    async def _refusal(self, response: httpx.Response) -> Exception:
        """Make an error of a status that is not 200; quotes a little of what was sent."""
        status, where = response.status_code, self._endpoint.url
        content = b""
        async for piece in response.aiter_raw():
            content += piece
            if len(content) > MOST_ERROR_BYTES:
                break
        said = _error_message(content[:MOST_ERROR_BYTES])
        if self._endpoint.key:
            said = said.replace(self._endpoint.key, "…")
        said = f": {said!r}" if said else ""
        if status in _MISCONFIGURED:
            return ConfigurationError(f"{where} answers {status}, {_MISCONFIGURED[status]}{said}")
        if 300 <= status < 400:
            return ConfigurationError(f"{where} answers {status} and has moved; give its address")
        if status == 413:
            return QueryError(f"the picture is too large for {where}{said}; resize it")
        if status in _AGAIN:
            return UnavailableError(f"{where} is not ready: it answers {status}{said}")
        return EngineError(f"{where} refuses the request with {status}{said}")


async def _events(response: httpx.Response) -> AsyncIterator[tuple[int, list[Any]]]:
    """Yield how many bytes came, and the values of the server-sent events that they completed."""
    waiting = b""
    async for piece in response.aiter_raw():
        yield len(piece), []
        *lines, waiting = (waiting + piece).split(b"\n")
        for line in lines:
            name, _, value = line.rstrip(b"\r").partition(b":")
            if name != b"data":
                continue
            if value.strip() == b"[DONE]":
                return
            yield 0, [_load(value)]
    # Without [DONE], an answer that the connection cut short looks like a whole one.
    raise EngineError("the stream broke off before its end")


async def _whole(response: httpx.Response) -> AsyncIterator[tuple[int, list[Any]]]:
    """Yield how many bytes came, and at last the value of the whole reply."""
    content = bytearray()
    async for piece in response.aiter_raw():
        yield len(piece), []
        content += piece
    yield 0, [_load(bytes(content))]


def _load(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise EngineError(f"the reply is no JSON: {content[:SHOWN]!r}") from error


def _text_of(reply: Any) -> str:
    """Return the text of a whole reply or of one event of it."""
    if isinstance(reply, dict) and isinstance(reply.get("error"), (dict, str)):
        raise EngineError(f"the endpoint reports an error: {_message(reply)[:SHOWN]!r}")
    try:
        choices = reply["choices"]
        if choices == []:  # Some endpoints send usage figures as an event of their own.
            return ""
        message = choices[0].get("delta") or choices[0].get("message") or {}
        content = message.get("content")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise EngineError(f"the reply is no chat completion: {str(reply)[:SHOWN]!r}") from error
    if content is None:
        return ""
    if isinstance(content, list):
        content = "".join(
            part["text"]
            for part in content
            if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    if not isinstance(content, str):
        raise EngineError(f"the content of the reply is {str(content)[:SHOWN]!r}, no text")
    return content


def _message(reply: Any) -> str:
    error = reply.get("error") if isinstance(reply, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return message if isinstance(message, str) else ""


def _error_message(content: bytes) -> str:
    try:
        return _message(json.loads(content))[:SHOWN]
    except (ValueError, RecursionError):
        return content[:SHOWN].decode("utf-8", "replace")


def _retry_after_s(response: httpx.Response) -> float:
    """Return the seconds of a Retry-After header, given as a number or a date; 0 without one."""
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit() and len(value) < 7:
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0
