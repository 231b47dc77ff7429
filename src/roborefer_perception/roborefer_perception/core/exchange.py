# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""One attempt at `POST /v1/refer`: the request goes out, the bytes of an answer come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from time import monotonic

import httpx

from roborefer_perception.core.answers import LONGEST_LABEL, LONGEST_TEXT, clean, parse_json
from roborefer_perception.core.events import EventReader
from roborefer_perception.core.questions import Parts
from roborefer_perception.exceptions import Reason, ReferFailure

# Longest answer, streamed reasoning included. An honest one has some kilobytes.
MOST_BYTES = 4 * 1024 * 1024
# Longest pause that a server may ask for.
_LONGEST_WAIT_S = 3600.0
_EVENTS = "text/event-stream"
# The server's codes for errors that come in a stream, where there is no status, and the status
# that they have elsewhere (docs/vlm_server.md).
_STATUS = {
    **{"invalid_query": 422, "invalid_picture": 422, "too_large": 413},
    **{"queue_full": 429, "not_ready": 503, "stopping": 503, "busy": 503, "deadline": 504},
}
# Nobody has looked at the question yet, and a moment later somebody may.
_BUSY = (429, 502, 503)
_LATE = (408, 504)


class Trouble(Exception):
    """An attempt without an answer.

    Attributes:
        failure: What the caller is told.
        again: Whether the same question may succeed a moment later.
        silent: Whether nobody answered at all, or only to say that there is nobody.
        after_s: The server wants no attempt earlier than this.
    """

    def __init__(
        self, failure: ReferFailure, again: bool, silent: bool, after_s: float = 0.0
    ) -> None:
        super().__init__(str(failure))
        self.failure, self.again, self.silent, self.after_s = failure, again, silent, after_s


async def exchange(
    http: httpx.AsyncClient, parts: Parts, due: float, on_text: Callable[[str], None] | None
) -> bytes:
    """Ask once.

    Args:
        http: Knows address and token.
        parts: The question.
        due: When the answer has to be there, by time.monotonic.
        on_text: Called with all of the reasoning so far; None: the answer comes in one piece.

    Returns:
        JSON of an answer, unchecked.

    Raises:
        Trouble: There is none.
    """
    try:
        async with asyncio.timeout(due - monotonic()):
            return await _exchange(http, parts, due, on_text)
    except TimeoutError:
        failure = ReferFailure(
            Reason.MODEL_TIMEOUT,
            f"{http.base_url} did not answer within the deadline; allow more time, or look at"
            " the server",
        )
        raise Trouble(failure, again=False, silent=True) from None
    except httpx.HTTPError as error:
        words = clean(f"{type(error).__name__}: {error}", LONGEST_LABEL)
        failure = ReferFailure(
            Reason.MODEL_UNAVAILABLE,
            f"{http.base_url} cannot be reached ({words}); start the referring server there, or"
            " correct the address",
        )
        raise Trouble(failure, again=True, silent=True) from None
    except ReferFailure as failure:
        raise Trouble(failure, again=False, silent=False) from None


async def _exchange(
    http: httpx.AsyncClient, parts: Parts, due: float, on_text: Callable[[str], None] | None
) -> bytes:
    kind, body = parts.body(due - monotonic(), on_text is not None)
    headers = {"Content-Type": kind, "Accept": "application/json"}
    if on_text is not None:
        headers["Accept"] += f", {_EVENTS}"
    async with http.stream("POST", "v1/refer", content=body, headers=headers) as response:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise _invalid("is compressed, which nobody asked for")
        streamed = response.headers.get("content-type", "").startswith(_EVENTS)
        if response.status_code == 200 and streamed:
            return await _read_events(response, on_text or (lambda text: None))
        data = b"".join([piece async for piece in _pieces(response)])
    if response.status_code == 200:
        return data
    raise _error(response.status_code, data, _wait_s(response))


async def _read_events(response: httpx.Response, on_text: Callable[[str], None]) -> bytes:
    reader = EventReader()
    text = ""
    async for piece in _pieces(response):
        for event in reader.feed(piece):
            if event.name == "answer":
                return event.data
            if event.name == "error":
                raise _error(_STATUS.get(_details(event.data)[0], 500), event.data)
            room = LONGEST_TEXT - len(text)
            if event.name == "text" and room and (words := _text(event.data)):
                text += clean(words, room)
                on_text(text)
    raise httpx.RemoteProtocolError("the stream ended before the answer")


async def _pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    """Give the bytes as they come, as long as they are not too many."""
    count = 0
    async for piece in response.aiter_raw():
        count += len(piece)
        if count > MOST_BYTES:
            raise _invalid(f"has more than {MOST_BYTES} bytes")
        yield piece


def _text(data: bytes) -> str:
    body = parse_json(data)
    piece = body.get("text") if isinstance(body, dict) else None
    if not isinstance(piece, str):
        raise _invalid("holds a piece of text that is none")
    return piece


def _error(status: int, data: bytes, after_s: float = 0.0) -> Trouble:
    """Return what an answer with a status other than 200 means."""
    code, message = _details(data)
    said = " ".join(filter(None, ("the referring server said", str(status), code, message)))
    if status in _LATE:
        return Trouble(ReferFailure(Reason.MODEL_TIMEOUT, said), again=False, silent=False)
    if status in _BUSY or status >= 500:
        failure = ReferFailure(Reason.MODEL_UNAVAILABLE, said)
        return Trouble(failure, status in _BUSY, silent=True, after_s=after_s)
    return Trouble(ReferFailure(Reason.MODEL_REFUSED, said), again=False, silent=False)


def _details(data: bytes) -> tuple[str, str]:
    """Return code and message of an error, empty where it is not of the protocol."""
    try:
        body = parse_json(data)
    except ReferFailure:
        return "", ""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return "", ""
    code, message, field = (error.get(name) for name in ("code", "message", "field"))
    words = message if isinstance(message, str) else ""
    if isinstance(field, str) and field:
        words = f"{field}: {words}"
    return clean(code if isinstance(code, str) else "", 40), clean(words, 2 * LONGEST_LABEL)


def _wait_s(response: httpx.Response) -> float:
    """Return the seconds of Retry-After; dates are not used by this protocol and count as 0."""
    after = response.headers.get("retry-after", "")
    return min(float(after), _LONGEST_WAIT_S) if after.isdecimal() and len(after) < 10 else 0.0


def _invalid(what: str) -> ReferFailure:
    return ReferFailure(
        Reason.ANSWER_INVALID, f"the referring server's answer {what}; check the server"
    )
