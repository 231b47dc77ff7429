# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The protocol of the original RoboRefer service, for clients that were written for it.

`POST /query` takes `image_url` and `depth_url` (lists of bare base64), `enable_depth` (1 counts,
and so does true) and `text`; the answer is `{"answer": "...", "result": 1}`. As there, a body of
another type is answered 415, anything else that is wrong with a HTML page and 500, and depth that
is sent while it is not enabled is ignored. Only where the original has no limit at all, ours are
answered by the codes of our own protocol: 401, 403, 408, 413, 429, 503 and 504.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import time
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from threading import Event

from fastapi import APIRouter, Request, Response

from roborefer_vlm.backends.base import Engine, PromptEngine
from roborefer_vlm.exceptions import PictureError, QueryError
from roborefer_vlm.model.pictures import decode_depth, decode_picture
from roborefer_vlm.server.decoding import reserve_pixels
from roborefer_vlm.server.errors import ApiError, ErrorCode
from roborefer_vlm.server.intake import media_type
from roborefer_vlm.server.limits import Reservation, parse_json, read_body
from roborefer_vlm.server.service import service_of
from roborefer_vlm.server.settings import ServerSettings
from roborefer_vlm.types import Answer, Outcome, Query, UInt8Array

router = APIRouter(include_in_schema=False)
PATHS = frozenset({"/", "/query"})
# What its clients append to the sentence to get points; engines behind a Query ask by themselves.
FORMAT_REQUEST = "Your answer should be formatted as a list of tuples"
_OURS = frozenset({401, 403, 408, 413, 429, 499, 503, 504})


@dataclass(frozen=True, eq=False)
class Prompt:
    """A request of the original protocol, decoded.

    Attributes:
        images: RGB pictures.
        depths: One per image; empty: without depth; None: to be estimated.
        text: The sentence with its request for a format.
    """

    images: tuple[UInt8Array, ...]
    depths: tuple[UInt8Array, ...] | None
    text: str


@router.get("/")
async def index() -> Response:
    """Answer as the original does."""
    return Response("Hello, World!", media_type="text/html")


@router.post("/query")
async def query(request: Request) -> Response:
    """Answer a request of the original protocol."""
    service = service_of(request)
    if media_type(request) != "application/json":
        return refusal(415, "The body is not application/json.")
    try:
        service.scheduler.refuse_unless_ready()
        deadline = time.monotonic() + service.settings.deadline_s
        with service.intake.reserve() as memory:
            body = await read_body(request, service.settings, memory)
            work = partial(_decode, body, service.settings, memory)
            prompt = await service.intake.decode(work, memory)
            call = partial(_answer, prompt, service.settings.max_new_tokens)
            ticket = service.scheduler.submit_call(call, deadline=deadline)
            memory.hold()
            ticket.result.add_done_callback(memory.release)
        text = await service.wait(request, ticket)
    except (QueryError, ApiError) as error:
        if isinstance(error, ApiError) and error.status in _OURS:
            raise
        malformed = isinstance(error, ApiError) and error.code is ErrorCode.MALFORMED
        return refusal(400 if malformed else 500, str(error))
    # Sorted names, no blanks, ASCII, a newline: as the original's framework writes JSON.
    reply = json.dumps({"answer": text, "result": 1}, separators=(",", ":")) + "\n"
    return Response(reply, media_type="application/json")


def refusal(status: int, message: str) -> Response:
    """Return a page in HTML, as the original refuses."""
    title = f"{status} {HTTPStatus(status).phrase}"
    page = (
        f"<!doctype html>\n<html lang=en>\n<title>{title}</title>\n"
        f"<h1>{HTTPStatus(status).phrase}</h1>\n<p>{html.escape(message)}</p>\n"
    )
    return Response(page.encode("ascii", "xmlcharrefreplace"), status, media_type="text/html")


def _decode(body: bytearray, settings: ServerSettings, memory: Reservation) -> Prompt:
    document = parse_json(body)
    if not isinstance(document, dict):
        raise QueryError(f"a JSON object is needed, not {type(document).__name__}")
    text = document.get("text", "")
    if not isinstance(text, str):
        raise QueryError(f"text is a {type(text).__name__}; a string is needed")
    images = _encoded(document, "image_url", settings)
    # The original compares with 1, so that true and 1.0 count too, and "1" does not.
    with_depth = document.get("enable_depth", 0) == 1
    depths = _encoded(document, "depth_url", settings) if with_depth else []
    if depths and len(depths) != len(images):
        raise QueryError(f"{len(depths)} depth maps for {len(images)} images; send as many")
    pictures = tuple(_picture(data, settings, memory) for data in images)
    if with_depth and not depths:
        return Prompt(pictures, None if pictures else (), text)
    return Prompt(pictures, tuple(_depth(data, settings, memory) for data in depths), text)


def _encoded(document: dict[str, object], name: str, settings: ServerSettings) -> list[bytes]:
    values = document.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise QueryError(f"{name} has to be a list of base64 strings")
    if len(values) > settings.max_images:
        raise ApiError(
            ErrorCode.TOO_LARGE, f"{name} has {len(values)} entries; at most {settings.max_images}"
        )
    try:
        # Leniently, as the original: clients break lines in it.
        return [base64.b64decode(value) for value in values]
    except (binascii.Error, ValueError) as error:
        raise QueryError(f"{name} is not bare base64: {error}") from None


def _picture(data: bytes, settings: ServerSettings, memory: Reservation) -> UInt8Array:
    reserve_pixels(data, settings, memory)
    return decode_picture(data, settings.max_pixels)


def _depth(data: bytes, settings: ServerSettings, memory: Reservation) -> UInt8Array:
    """Decode a depth picture: 8 bit; coloured ones are taken as they are, like the original."""
    reserve_pixels(data, settings, memory)
    try:
        depth = decode_depth(data, settings.max_pixels)
    except PictureError:
        return decode_picture(data, settings.max_pixels)
    if depth.dtype != "uint8":
        raise PictureError(f"depth is {depth.dtype}; an 8-bit picture is needed, bright is near")
    return depth.astype("uint8", copy=False)


def _answer(prompt: Prompt, max_new_tokens: int, engine: Engine, cancelled: Event) -> str:
    if isinstance(engine, PromptEngine):
        return engine.complete(
            prompt.images,
            prompt.text,
            depths=prompt.depths,
            max_new_tokens=max_new_tokens,
            cancelled=cancelled,
        )
    if len(prompt.images) != 1:
        raise QueryError(f"engine {engine.info.name} takes one image, not {len(prompt.images)}")
    question = Query(
        image=prompt.images[0],
        text=prompt.text.partition(FORMAT_REQUEST)[0].strip(),
        relative_depth=_grey(prompt.depths[0]) if prompt.depths else None,
        max_new_tokens=max_new_tokens,
    )
    return _as_tuples(engine.refer(question, cancelled=cancelled), question)


def _grey(depth: UInt8Array) -> UInt8Array:
    return depth if depth.ndim == 2 else depth[..., 0]


def _as_tuples(answer: Answer, question: Query) -> str:
    """Write points as the network does: `[(0.461, 0.527)]`; words stay words."""
    if answer.outcome is Outcome.TEXT:
        return answer.text
    places = (point.pixel.normalised(question.width, question.height) for point in answer.points)
    return "[" + ", ".join(f"({x:.3f}, {y:.3f})" for x, y in places) + "]"
