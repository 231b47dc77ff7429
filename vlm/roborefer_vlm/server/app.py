# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The application: an engine behind HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib import metadata
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from roborefer_vlm.backends.base import Engine
from roborefer_vlm.server import original_api, routes_v1
from roborefer_vlm.server.documentation import DESCRIPTION, TITLE, document
from roborefer_vlm.server.errors import ApiError, ErrorCode
from roborefer_vlm.server.gate import Gate
from roborefer_vlm.server.limits import ByteBudget
from roborefer_vlm.server.metrics import Metrics
from roborefer_vlm.server.scheduler import Scheduler
from roborefer_vlm.server.service import Json, Service, request_id
from roborefer_vlm.server.settings import ServerSettings


def create_app(
    engine: Engine | Callable[[], Engine],
    settings: ServerSettings | None = None,
    *,
    on_failed: Callable[[], None] = lambda: None,
) -> FastAPI:
    """Return the application; the engine is made when it starts and closed when it ends.

    Args:
        engine: What answers, or a function that makes it in the background.
        settings: Limits and manners.
        on_failed: Called, in another thread, when the engine cannot be made.
    """
    settings = settings or ServerSettings()
    make_engine = engine if callable(engine) else lambda: engine
    metrics = Metrics()
    scheduler = Scheduler(make_engine, settings, metrics, on_failed=on_failed)
    service = Service(settings, metrics, scheduler, ByteBudget(settings.max_in_flight_bytes))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        scheduler.start()
        yield
        await run_in_threadpool(scheduler.finish_stop)
        service.intake.close()

    version = metadata.version("roborefer-vlm")
    app = FastAPI(
        title=TITLE,
        description=DESCRIPTION,
        version=version,
        lifespan=lifespan,
        redirect_slashes=False,
        # These pages load scripts from another host.
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.include_router(routes_v1.router)
    app.include_router(original_api.router)
    app.add_exception_handler(HTTPException, _http_error)
    paths = {
        str(getattr(route, "path", ""))
        for route in (*routes_v1.router.routes, *original_api.router.routes)
    }
    app.add_middleware(Gate, service=service, paths=frozenset(paths | {"/openapi.json"}))
    app.openapi = partial(_openapi, app, {}, version, settings.token is not None)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI, made: dict[str, Any], version: str, with_token: bool) -> dict[str, Any]:
    if not made:
        made.update(document(app, version=version, with_token=with_token))
    return made


async def _http_error(request: Request, error: Exception) -> Response:
    """Answer what Starlette refuses, an unknown path or method, in the form of all errors."""
    assert isinstance(error, HTTPException)
    path = request.url.path[:100]
    if error.status_code == 404:
        known = ApiError(ErrorCode.NOT_FOUND, f"there is nothing at {path}; see /openapi.json")
    elif error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        known = ApiError(
            ErrorCode.METHOD_NOT_ALLOWED, f"{path} takes {allowed}, not {request.method[:20]}"
        )
    else:
        raise error
    request.state.error = known.code
    if path in original_api.PATHS:
        return original_api.refusal(known.status, known.message)
    return Json(known.body(request_id(request)), known.status, headers=error.headers)
