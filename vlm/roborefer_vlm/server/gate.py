# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What every request passes: an id, access checks, errors in one form, one line of log."""

from __future__ import annotations

import json
import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roborefer_vlm.exceptions import ReferringError
from roborefer_vlm.server.errors import ApiError, ErrorCode, api_error
from roborefer_vlm.server.schema import REQUEST_ID
from roborefer_vlm.server.security import check_access
from roborefer_vlm.server.service import Json, Service

log = logging.getLogger(__name__)
access_log = logging.getLogger("roborefer_vlm.server.access")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})


class Gate:
    """ASGI middleware around all routes."""

    def __init__(self, app: ASGIApp, service: Service, paths: frozenset[str]) -> None:
        """Stand before an application.

        Args:
            app: What comes behind.
            service: Settings and metrics.
            paths: Paths that exist; metrics count all others as one.
        """
        self._app = app
        self._service = service
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        headers = Headers(scope=scope)
        state = scope.setdefault("state", {})
        state["request_id"] = _request_id(headers)
        status: int | None = None

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = state["request_id"]
            await send(message)

        try:
            check_access(scope["path"], headers, self._service.settings)
            await self._app(scope, receive, send_named)
        except Exception as error:
            if isinstance(error, ReferringError):
                known = api_error(error)
            else:
                log.exception("request %s: a defect", state["request_id"])
                known = ApiError(
                    ErrorCode.INTERNAL, f"a defect ({type(error).__name__}); see the log"
                )
            state["error"] = known.code
            if status is None:
                body = known.body(state["request_id"])
                response = Json(body, known.status, headers=known.headers)
                await response(scope, receive, send_named)
        finally:
            self._record(scope, headers, status or 499, time.monotonic() - started)

    def _record(self, scope: Scope, headers: Headers, status: int, seconds: float) -> None:
        path, method, state = scope["path"], scope["method"], scope["state"]
        route = path if path in self._paths else "other"
        metrics = self._service.metrics
        metrics.requests.labels(route, method if method in _METHODS else "other", status).inc()
        metrics.request_seconds.labels(route).observe(seconds)
        if code := state.get("error"):
            metrics.failures.labels(code).inc()
        # The query string and all headers but one stay out of it: they may carry secrets.
        line = {
            "request_id": state["request_id"],
            "client": (scope.get("client") or ("",))[0],
            "method": method[:20],
            "path": path[:200],
            "status": status,
            "seconds": round(seconds, 4),
            "body_bytes": headers.get("content-length", "")[:20],
            "error": code,
            "outcome": state.get("outcome"),
        }
        access_log.info("%s", json.dumps({k: v for k, v in line.items() if v not in ("", None)}))


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if re.fullmatch(REQUEST_ID, given) else uuid.uuid4().hex
