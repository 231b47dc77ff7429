# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What keeps memory bounded: bytes under way, the body while it arrives, and JSON's own costs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from threading import Lock
from types import TracebackType
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request

from roborefer_vlm.server.errors import ApiError, ErrorCode
from roborefer_vlm.server.settings import ServerSettings

# Values, names and brackets of one JSON document. Each costs up to 100 bytes once it is parsed,
# so that a body of commas would take thirty times its size.
MOST_JSON_MARKS = 200_000
DEEPEST_JSON = 16


class ByteBudget:
    """Counts the memory of all requests under way; safe to use from any thread.

    Nobody waits for memory: a request that finds none is refused at once and may come again, so
    that requests that hold some already cannot wait for each other.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._lock = Lock()

    @property
    def used(self) -> int:
        """Bytes that are reserved now."""
        return self._used

    def change(self, amount: int) -> None:
        """Take, or with a negative amount give back, this many bytes.

        Raises:
            ApiError: BUSY, others use too many; nothing was taken.
        """
        with self._lock:
            if amount > 0 and self._used + amount > self._limit:
                raise ApiError(
                    ErrorCode.BUSY,
                    f"{amount} bytes more are needed, requests under way hold {self._used} of"
                    f" {self._limit}; try again shortly",
                )
            self._used += amount


class Reservation:
    """The share of one request in the budget; given back when its last holder lets go of it."""

    def __init__(self, budget: ByteBudget, most: int) -> None:
        self._budget = budget
        self._most = most
        self._held = 0
        self._holders = 1
        self._lock = Lock()

    def grow(self, amount: int) -> None:
        """Take more memory.

        Raises:
            ApiError: TOO_LARGE, this request would take more than one may; BUSY, all would.
        """
        with self._lock:
            if self._held + amount > self._most:
                raise ApiError(
                    ErrorCode.TOO_LARGE,
                    f"the request would take {self._held + amount} bytes of memory;"
                    f" {self._most} are allowed: send fewer or smaller pictures or masks",
                )
            self._budget.change(amount)
            self._held += amount

    def shrink(self, amount: int) -> None:
        """Give back what is no longer used."""
        with self._lock:
            self._budget.change(-amount)
            self._held -= amount

    def hold(self) -> None:
        """Add a holder, which has to call `release` too."""
        with self._lock:
            self._holders += 1

    def release(self, *_: object) -> None:
        """Let go of it."""
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                self._budget.change(-self._held)
                self._held = 0

    def __enter__(self) -> Reservation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


async def read_body(
    request: Request, settings: ServerSettings, reservation: Reservation
) -> bytearray:
    """Return the body of a request, reserved as it arrives.

    Raises:
        ApiError: TOO_LARGE, UNSUPPORTED_MEDIA_TYPE for a compressed body, REQUEST_TIMEOUT, BUSY,
            or CANCELLED when the client left.
    """
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise ApiError(
            ErrorCode.UNSUPPORTED_MEDIA_TYPE,
            f"the body is encoded as '{encoding[:40]}'; send it without Content-Encoding",
        )
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > settings.max_body_bytes:
        _refuse_body(settings)
    body = bytearray()
    try:
        async with asyncio.timeout(settings.body_timeout_s):
            async for chunk in request.stream():
                if len(body) + len(chunk) > settings.max_body_bytes:
                    _refuse_body(settings)
                reservation.grow(len(chunk))
                body += chunk
    except TimeoutError:
        raise ApiError(
            ErrorCode.REQUEST_TIMEOUT,
            f"after {settings.body_timeout_s:g} s only {len(body)} bytes of the body have come",
        ) from None
    except ClientDisconnect:
        raise ApiError(ErrorCode.CANCELLED, "the client left while it sent the body") from None
    return body


def _refuse_body(settings: ServerSettings) -> NoReturn:
    raise ApiError(ErrorCode.TOO_LARGE, f"the body has more than {settings.max_body_bytes} bytes")


def parse_json(data: bytes | bytearray) -> Any:
    """Parse JSON of strangers: UTF-8, no duplicated names, no NaN, few values, not nested deeply.

    Raises:
        ApiError: MALFORMED, or TOO_LARGE for too many values.
    """
    marks = sum(data.count(mark) for mark in (b",", b"[", b"{"))
    if marks > MOST_JSON_MARKS:
        raise ApiError(
            ErrorCode.TOO_LARGE,
            f"the JSON has {marks} values or more; {MOST_JSON_MARKS} are allowed",
        )
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise ApiError(ErrorCode.MALFORMED, f"the body is no JSON: {_reason(error)}") from None
    _check_depth(value)
    return value


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    return str(error)[:200]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"'{twice[:40]}' is given twice")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _check_depth(value: object) -> None:
    level: Iterable[object] = (value,)
    for _ in range(DEEPEST_JSON + 1):
        inside: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inside.extend(item.values())
            elif isinstance(item, list):
                inside.extend(item)
        if not inside:
            return
        level = inside
    raise _too_deep()


def _too_deep() -> ApiError:
    return ApiError(ErrorCode.MALFORMED, f"the JSON is nested deeper than {DEEPEST_JSON} levels")
