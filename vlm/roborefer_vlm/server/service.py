# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the routes share, and how they wait for the engine."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse

from roborefer_vlm.exceptions import DeadlineError, ReferringError
from roborefer_vlm.server.errors import ApiError, ErrorCode, api_error
from roborefer_vlm.server.intake import Intake
from roborefer_vlm.server.limits import ByteBudget
from roborefer_vlm.server.metrics import Metrics
from roborefer_vlm.server.scheduler import Scheduler, Ticket
from roborefer_vlm.server.settings import ServerSettings

log = logging.getLogger(__name__)
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Service:
    """One server's parts; found at `request.app.state.service`."""

    settings: ServerSettings
    metrics: Metrics
    scheduler: Scheduler
    budget: ByteBudget
    intake: Intake = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "intake", Intake(self.settings, self.budget))

    async def wait(self, request: Request, ticket: Ticket[Result]) -> Result:
        """Return the engine's result; whoever stops waiting takes the work back.

        Raises:
            ApiError: DEADLINE, CANCELLED when the client left, or what the engine's error means.
        """
        result = asyncio.wrap_future(ticket.result)
        gone = asyncio.create_task(_disconnected(request))
        try:
            timeout = max(0.0, ticket.deadline - time.monotonic())
            both: set[asyncio.Future[Any]] = {result, gone}
            await asyncio.wait(both, timeout=timeout, return_when="FIRST_COMPLETED")
            if result.done():
                return result.result()
            if gone.done():
                raise ApiError(ErrorCode.CANCELLED, "the client left before the answer")
            raise deadline_error(ticket)
        except Exception as error:
            raise explain(error, request_id(request)) from error
        finally:
            gone.cancel()
            # Nobody reads the result any more; without this asyncio would complain about that.
            result.add_done_callback(lambda done: done.cancelled() or done.exception())
            self.scheduler.cancel(ticket)


class Json(JSONResponse):
    """JSON in ASCII, so that no text of an engine or a client can break its encoding."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def service_of(request: Request) -> Service:
    """Return the parts of the server that got this request."""
    service: Service = request.app.state.service
    return service


def request_id(request: Request) -> str:
    """Return the id that answer, header and log carry."""
    return str(request.state.request_id)


def deadline_error(ticket: Ticket[Any]) -> ApiError:
    """Return what the server says when a ticket's time is over."""
    waited = time.monotonic() - ticket.arrived
    return api_error(
        DeadlineError(f"no answer within the deadline; waited {waited:.1f} s for the engine")
    )


def explain(error: Exception, request: str) -> ApiError:
    """Return what the server says about an error; logs those that nobody foresaw."""
    if not isinstance(error, ReferringError):
        log.error("request %s: the engine failed", request, exc_info=error)
    return api_error(error)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
