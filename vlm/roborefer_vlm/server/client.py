# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The client: asks a server and gets the same types an engine gives; needs no server packages."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from roborefer_vlm.backends.base import EngineInfo
from roborefer_vlm.exceptions import (
    ConfigurationError,
    DeadlineError,
    EngineError,
    QueryError,
    ReferringError,
    UnavailableError,
)
from roborefer_vlm.server.errors import exception_from_answer
from roborefer_vlm.server.settings import LONGEST_TIME_S, SHORTEST_DEADLINE_S, is_loopback
from roborefer_vlm.server.wire import answer_from_json, info_from_json, query_to_json
from roborefer_vlm.types import Answer, Query

Result = TypeVar("Result")

# How much longer than the server's deadline its word about that deadline may take.
_GRACE_S = 1.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_RETRY_STATUSES = frozenset({429, 503})


class _Refused(Exception):
    """An attempt that may be repeated."""

    def __init__(self, error: ReferringError, retry_after_s: float = 0.0) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after_s = retry_after_s


class Client:
    """Asks one server; may be shared by threads.

    An attempt is repeated when nothing was answered: the connection failed or broke, or the
    server said 429 or 503. A query has no side effects, so asking twice does no harm. Once a
    piece of streamed text was delivered, nothing is repeated.
    """

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        *,
        timeout_s: float = 60.0,
        connect_timeout_s: float = 5.0,
        retries: int = 3,
        seed: int | None = None,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            base_url: Such as "http://127.0.0.1:25547".
            token: Bearer token, for servers that want one.
            timeout_s: For a whole call, repetitions included, when it names no deadline.
            connect_timeout_s: For one connection.
            retries: Most repetitions of one call.
            seed: Of the random part of pauses.

        Raises:
            ConfigurationError: The address is none, or the token or a number cannot be used.
        """
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(
                f"'{base_url}' is no address of a server; write http://127.0.0.1:25547"
            )
        if not 0 < timeout_s <= LONGEST_TIME_S or retries < 0:
            raise ConfigurationError(
                f"timeout_s is {timeout_s} and retries {retries}; above 0 and up to"
                f" {LONGEST_TIME_S:g}, and 0 or more, needed"
            )
        if token is not None and not (token.isascii() and token.isprintable()):
            raise ConfigurationError("the token is to be of printable ASCII characters")
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._retries = retries
        self._random = random.Random(seed)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(
            base_url=base_url.rstrip("/"),
            headers=headers,
            # A proxy of the environment cannot reach this machine's own loopback.
            trust_env=not is_loopback(parts.hostname),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=16),
        )

    def refer(
        self,
        query: Query,
        *,
        deadline_s: float | None = None,
        on_text: Callable[[str], None] | None = None,
        request_id: str | None = None,
    ) -> Answer:
        """Ask, and return the answer.

        Args:
            query: The question.
            deadline_s: For everything, repetitions included; None: `timeout_s`.
            on_text: Called with every piece of reasoning as it is written.
            request_id: Name of this call in the server's log.

        Raises:
            QueryError: The deadline is no time, or the server cannot use the query; the message
                names the field.
            DeadlineError: No answer in time.
            UnavailableError: The server cannot be reached, or has no place left.
            EngineError: The server or its engine failed on this query.
            ConfigurationError: The token or the address is wrong.
        """
        allowed_s = self._timeout_s if deadline_s is None else deadline_s
        if not allowed_s <= LONGEST_TIME_S:
            raise QueryError(f"deadline_s is {allowed_s:g}; up to {LONGEST_TIME_S:g} is possible")
        ends = time.monotonic() + allowed_s
        body = query_to_json(query, deadline_s=None, stream=on_text is not None)
        if request_id is not None:
            body["request_id"] = request_id

        def attempt(left_s: float) -> Answer:
            body["deadline_s"] = left_s
            if on_text is not None:
                return self._stream(body, left_s, on_text)
            return answer_from_json(self._exchange("POST", "/v1/refer", left_s, body))

        return self._repeat(attempt, ends)

    def info(self) -> EngineInfo:
        """Return what engine answers there.

        Raises:
            ReferringError: As for `refer`.
        """
        ends = time.monotonic() + self._timeout_s
        return info_from_json(
            self._repeat(lambda left_s: self._exchange("GET", "/v1/model", left_s), ends)
        )

    def ready(self) -> bool:
        """Tell whether queries are answered now; False too when nobody can be reached."""
        try:
            self._exchange("GET", "/readyz", self._connect_timeout_s)
        except (_Refused, UnavailableError):
            return False
        return True

    def wait_until_ready(self, timeout_s: float = 120.0) -> None:
        """Return when queries are answered.

        Raises:
            UnavailableError: Not within this time; the message says why.
        """
        ends = time.monotonic() + timeout_s
        while True:
            try:
                self._exchange("GET", "/readyz", self._connect_timeout_s)
            except (_Refused, UnavailableError) as refusal:
                error = refusal.error if isinstance(refusal, _Refused) else refusal
                if time.monotonic() + _FIRST_PAUSE_S > ends:
                    raise UnavailableError(f"not ready after {timeout_s:g} s: {error}") from None
                time.sleep(_FIRST_PAUSE_S)
            else:
                return

    def close(self) -> None:
        """Close all connections; calling it twice is allowed."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _repeat(self, attempt: Callable[[float], Result], ends: float) -> Result:
        """Try until it succeeds, may not be repeated, or the time is over."""
        tried = 0
        while True:
            left_s = ends - time.monotonic()
            if left_s < SHORTEST_DEADLINE_S:
                raise DeadlineError(f"no answer in time after {tried} attempts")
            try:
                return attempt(left_s)
            except _Refused as refused:
                tried += 1
                # Exponential, with a random half, so that many clients do not come back at once.
                pause_s = min(_FIRST_PAUSE_S * 2**tried, _LONGEST_PAUSE_S)
                pause_s *= self._random.uniform(0.5, 1.0)
                pause_s = max(pause_s, refused.retry_after_s)
                if tried > self._retries or time.monotonic() + pause_s >= ends:
                    raise refused.error from refused.__cause__
                time.sleep(pause_s)

    def _exchange(
        self, method: str, path: str, left_s: float, body: dict[str, Any] | None = None
    ) -> object:
        """Send one request and return the JSON of its answer."""
        try:
            response = self._http.request(method, path, json=body, timeout=self._timeouts(left_s))
        except httpx.HTTPError as error:
            raise _transport_error(error) from error
        _raise_for_status(response)
        return _json(response)

    def _stream(
        self, body: dict[str, Any], left_s: float, on_text: Callable[[str], None]
    ) -> Answer:
        delivered = False
        ends = time.monotonic() + left_s + _GRACE_S
        try:
            with self._http.stream(
                "POST", "/v1/refer", json=body, timeout=self._timeouts(left_s)
            ) as response:
                if response.status_code != 200:
                    response.read()
                    _raise_for_status(response)
                name = ""
                for line in response.iter_lines():
                    if time.monotonic() > ends:
                        raise DeadlineError("the stream did not end in time")
                    key, _, value = line.partition(": ")
                    if key == "event":
                        name = value
                    elif key == "data":
                        data = _decoded(value)
                        if name == "answer":
                            return answer_from_json(data)
                        if name == "error":
                            raise exception_from_answer(500, data)
                        delivered = True
                        on_text(str(data.get("text", "") if isinstance(data, dict) else ""))
        except httpx.HTTPError as error:
            refused = _transport_error(error)
            if delivered and isinstance(refused, _Refused):
                raise refused.error from error
            raise refused from error
        if delivered:
            raise UnavailableError("the stream broke off before the answer")
        raise _Refused(UnavailableError("the stream broke off before the answer"))

    def _timeouts(self, left_s: float) -> httpx.Timeout:
        return httpx.Timeout(left_s + _GRACE_S, connect=min(self._connect_timeout_s, left_s))


def _raise_for_status(response: httpx.Response) -> None:
    if response.status_code == 200:
        return
    try:
        body = response.json()
    except ValueError:
        body = None
    error = exception_from_answer(response.status_code, body)
    if response.status_code in _RETRY_STATUSES:
        after = response.headers.get("retry-after", "")
        raise _Refused(error, float(after) if after.isdecimal() else 0.0)
    raise error


def _transport_error(error: httpx.HTTPError) -> Exception:
    """Return what a failed transport means; `_Refused` when it may be tried again."""
    words = f"{type(error).__name__}: {error}"
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return _Refused(UnavailableError(f"the server cannot be reached ({words})"))
    if isinstance(error, httpx.TimeoutException):
        return DeadlineError(f"the server did not answer in time ({words})")
    return _Refused(UnavailableError(f"the connection to the server failed ({words})"))


def _json(response: httpx.Response) -> object:
    try:
        return response.json()
    except ValueError as error:
        raise EngineError(f"the server's answer is no JSON: {error}") from error


def _decoded(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise EngineError(f"the server's event is no JSON: {error}") from error
