# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From an HTTP request to a query: JSON or multipart, read, checked and decoded within limits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.requests import Request

from roborefer_vlm.server.decoding import decode_query
from roborefer_vlm.server.errors import ApiError, ErrorCode
from roborefer_vlm.server.limits import ByteBudget, Reservation, parse_json, read_body
from roborefer_vlm.server.multipart import read_parts
from roborefer_vlm.server.schema import ReferIn
from roborefer_vlm.server.settings import ServerSettings
from roborefer_vlm.types import Query

Result = TypeVar("Result")

# Parts of a multipart request: each thing has exactly one place.
_PARTS = ("image", "text", "depth", "instances", "request")


@dataclass(frozen=True, eq=False)
class Incoming:
    """A request that can go to the engine.

    Attributes:
        query: The question.
        deadline: When the answer is due, on the monotonic clock.
        stream: Whether the reasoning is streamed.
        request_id: As the body has it, or None.
    """

    query: Query
    deadline: float
    stream: bool
    request_id: str | None


class Intake:
    """Reads requests; decoding happens in a few threads of its own, off the event loop."""

    def __init__(self, settings: ServerSettings, budget: ByteBudget) -> None:
        self._settings = settings
        self._budget = budget
        self._workers = ThreadPoolExecutor(settings.decode_workers, "decode")

    def reserve(self) -> Reservation:
        """Return the share of a new request in the memory, still empty."""
        return Reservation(self._budget, self._settings.max_request_bytes)

    async def receive(self, request: Request, memory: Reservation) -> Incoming:
        """Read, check and decode a body of `POST /v1/refer`.

        Raises:
            ApiError: Whatever is wrong with it.
        """
        started = time.monotonic()
        kind = media_type(request)
        if kind not in ("application/json", "multipart/form-data"):
            raise ApiError(
                ErrorCode.UNSUPPORTED_MEDIA_TYPE,
                f"Content-Type is '{kind[:60]}'; application/json or multipart/form-data is"
                " needed",
            )
        body = await read_body(request, self._settings, memory)
        work = partial(self._decode, request.headers["content-type"], body, memory)
        checked, query = await self.decode(work, memory)
        memory.shrink(len(body))
        deadline_s = checked.deadline_s or self._settings.deadline_s
        if deadline_s > self._settings.max_deadline_s:
            raise ApiError(
                ErrorCode.INVALID_QUERY,
                f"deadline_s is {deadline_s:g}; at most {self._settings.max_deadline_s:g} is"
                " allowed",
                field="deadline_s",
            )
        stream = checked.stream or _wants_events(request.headers)
        return Incoming(query, started + deadline_s, stream, checked.request_id)

    async def decode(self, work: Callable[[], Result], memory: Reservation) -> Result:
        """Run work that decodes in one of the threads; it holds the memory while it runs."""
        memory.hold()
        future = self._workers.submit(work)
        future.add_done_callback(memory.release)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """End the threads; what they work on is finished first."""
        self._workers.shutdown(wait=True, cancel_futures=True)

    def _decode(
        self, content_type: str, body: bytearray, memory: Reservation
    ) -> tuple[ReferIn, Query]:
        if content_type.lower().lstrip().startswith("multipart/"):
            document = _assemble(read_parts(content_type, body, _PARTS))
        else:
            document = parse_json(body)
        checked = check_form(document)
        return checked, decode_query(checked, self._settings, memory)


def media_type(request: Request) -> str:
    """Return the type of the body, without parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def check_form(document: object) -> ReferIn:
    """Return the request that a document is.

    Raises:
        ApiError: INVALID_QUERY; names the first field that is wrong, and what it holds.
    """
    try:
        return ReferIn.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
    # Between a field and what lies in it pydantic may name the model; names of fields are lower.
    *path, last = first["loc"] or ("",)
    path = [part for part in path if isinstance(part, int) or part.islower()]
    where = ".".join(map(str, (*path, last)))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] not in ("missing", "extra_forbidden"):
        message += f"; got {_describe(first['input'])}"
    raise ApiError(ErrorCode.INVALID_QUERY, message, field=where[:200] or None)


def _describe(value: object) -> str:
    """Say what a value is, briefly: pictures never reach messages or logs."""
    if isinstance(value, str):
        return repr(value) if len(value) <= 60 else f"a string of {len(value)} characters"
    if isinstance(value, bool | int | float | None):
        return repr(value)[:60]
    if isinstance(value, list | dict | bytes):
        return f"{type(value).__name__} of length {len(value)}"
    return type(value).__name__


def _wants_events(headers: Headers) -> bool:
    accepted = headers.get("accept", "").lower()
    return "text/event-stream" in accepted and "application/json" not in accepted


def _assemble(parts: dict[str, bytes]) -> object:
    """Put the parts of a multipart request where a JSON request has them."""
    document = parse_json(parts.pop("request", b"{}"))
    if not isinstance(document, dict):
        raise ApiError(ErrorCode.INVALID_QUERY, "a JSON object is needed", field="request")
    if twice := sorted({"text", "image"} & document.keys()):
        raise ApiError(
            ErrorCode.INVALID_QUERY, "send it as a part of its own", field=f"request.{twice[0]}"
        )
    if "image" in parts:
        document["image"] = parts["image"]
    if "text" in parts:
        document["text"] = _text(parts["text"])
    for name in ("depth", "instances"):
        inner = document.get(name, {})
        if not isinstance(inner, dict) or "data" in inner:
            raise ApiError(
                ErrorCode.INVALID_QUERY,
                f"an object without 'data' is needed; the data is the part '{name}'",
                field=f"request.{name}",
            )
        if name in parts:
            document[name] = {**inner, "data": parts[name]}
    return document


def _text(part: bytes) -> str:
    try:
        return part.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ApiError(
            ErrorCode.MALFORMED, f"byte {error.start} is not UTF-8", field="text"
        ) from None
