# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The routes of our own protocol: `/v1`, health, readiness and metrics."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from concurrent.futures import Future
from dataclasses import asdict
from importlib import metadata
from threading import Event
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

from roborefer_vlm.backends.base import Engine
from roborefer_vlm.server import metrics, schema
from roborefer_vlm.server.documentation import REFER_BODY, REFER_OK, TEXT_OK, answers, errors
from roborefer_vlm.server.intake import Incoming
from roborefer_vlm.server.limits import Reservation
from roborefer_vlm.server.scheduler import State, Ticket
from roborefer_vlm.server.service import (
    Json,
    Service,
    deadline_error,
    explain,
    request_id,
    service_of,
)
from roborefer_vlm.server.wire import answer_to_json
from roborefer_vlm.types import Answer

router = APIRouter()
EVENTS = "text/event-stream"
# A comment now and then tells proxies, and the server itself, whether the client is still there.
_COMMENT_S = 5.0


@router.post(
    "/v1/refer",
    responses=REFER_OK | errors(400, 401, 403, 408, 413, 415, 422, 429, 500, 503, 504),
    openapi_extra={"requestBody": REFER_BODY},
    response_model=None,
)
async def refer(request: Request) -> Response:
    """Find the place in a picture that a sentence means."""
    service = service_of(request)
    # Before anybody sends megabytes for nothing.
    service.scheduler.refuse_unless_ready()
    with service.intake.reserve() as memory:
        incoming = await service.intake.receive(request, memory)
        if incoming.request_id is not None:
            request.state.request_id = incoming.request_id
        if incoming.stream:
            return _stream(service, request, incoming, memory)
        ticket = service.scheduler.submit(incoming.query, deadline=incoming.deadline)
        _hold_until_done(memory, ticket)
    answer = await service.wait(request, ticket)
    request.state.outcome = answer.outcome.value
    return Json(_body(answer, incoming, request))


@router.get("/v1/model", responses=answers(schema.ModelOut) | errors(400, 401, 403, 503))
async def model(request: Request) -> Response:
    """Say which engine answers, and what may be asked of it."""
    service = service_of(request)
    info = service.scheduler.info
    if info is None:
        service.scheduler.refuse_unless_ready()
    assert info is not None
    limits = ("max_body_bytes", "max_pixels", "max_objects", "max_request_bytes")
    waits = ("queue_size", "deadline_s", "max_deadline_s")
    return Json(
        {
            "engine": asdict(info),
            "version": metadata.version("roborefer-vlm"),
            "limits": {name: getattr(service.settings, name) for name in (*limits, *waits)},
        }
    )


@router.get("/healthz", responses=answers(schema.HealthOut) | errors(400, 403))
async def healthz() -> Response:
    """Say that the process is alive."""
    return Json({"status": "ok"})


@router.get("/readyz", responses=answers(schema.ReadyOut) | errors(400, 403, 503))
async def readyz(request: Request) -> Response:
    """Say whether queries are answered."""
    service_of(request).scheduler.refuse_unless_ready()
    return Json({"state": "ready"})


@router.get(
    "/metrics",
    responses=TEXT_OK | errors(400, 401, 403),
    response_class=Response,
)
async def figures(request: Request) -> Response:
    """Give the server's figures to Prometheus."""
    service = service_of(request)
    service.metrics.in_flight_bytes.set(service.budget.used)
    service.metrics.ready.set(service.scheduler.state is State.READY)
    return Response(service.metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})


def _hold_until_done(memory: Reservation, ticket: Ticket[Any]) -> None:
    # The engine may hold the pictures longer than anybody waits for it.
    memory.hold()
    ticket.result.add_done_callback(memory.release)


def _body(answer: Answer, incoming: Incoming, request: Request) -> dict[str, Any]:
    query = incoming.query
    return answer_to_json(
        answer, request_id=request_id(request), width=query.width, height=query.height
    )


def _stream(
    service: Service, request: Request, incoming: Incoming, memory: Reservation
) -> Response:
    """Queue the query; respond with pieces of text, then the answer or an error."""
    loop = asyncio.get_running_loop()
    # Everything comes through one queue, in order: pieces of text, at last the finished future.
    news: asyncio.Queue[str | Future[Answer]] = asyncio.Queue()

    def tell(item: str | Future[Answer]) -> None:
        loop.call_soon_threadsafe(news.put_nowait, item)

    def call(engine: Engine, cancelled: Event) -> Answer:
        return engine.refer(incoming.query, on_text=tell, cancelled=cancelled)

    ticket = service.scheduler.submit_call(call, deadline=incoming.deadline)
    _hold_until_done(memory, ticket)
    ticket.result.add_done_callback(tell)

    def failed(error: Exception) -> str:
        known = explain(error, request_id(request))
        request.state.error = known.code
        return _event("error", known.body(request_id(request)))

    async def events() -> AsyncIterator[str]:
        try:
            while (left := ticket.deadline - time.monotonic()) > 0:
                try:
                    item = await asyncio.wait_for(news.get(), min(left, _COMMENT_S))
                except TimeoutError:
                    yield ": waiting\n\n"
                    continue
                if isinstance(item, str):
                    yield _event("text", {"text": item})
                    continue
                answer = item.result()
                request.state.outcome = answer.outcome.value
                yield _event("answer", _body(answer, incoming, request))
                return
            yield failed(deadline_error(ticket))
        except Exception as error:
            yield failed(error)
        finally:
            service.scheduler.cancel(ticket)

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Content-Type": EVENTS}
    return StreamingResponse(events(), headers=headers)


def _event(name: str, data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data, allow_nan=False)}\n\n"
