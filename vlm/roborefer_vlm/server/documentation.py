# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document: what FastAPI cannot see because bodies are read by hand."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from roborefer_vlm.server.errors import ERRORS
from roborefer_vlm.server.schema import ErrorOut, ReferOut, request_schemas

TITLE = "RoboRefer"
DESCRIPTION = """\
From a picture and a sentence to points with reasons.

Errors have one form, `ErrorOut`; their codes are:

| code | status | meaning |
|---|---|---|
""" + "\n".join(f"| `{code}` | {kind.status} | {kind.meaning} |" for code, kind in ERRORS.items())

_EXAMPLE = {
    "text": "the red mug left of the keyboard",
    # A white picture of 8 x 8 pixels.
    "image": "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFUlEQVR4nGP8//8/AzbAhFV0"
    "0EoAAFbUAw037MyjAAAAAElFTkSuQmCC",
}
_FILE = {"type": "string", "contentMediaType": "application/octet-stream"}
REFER_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"$ref": "#/components/schemas/ReferIn"},
            "example": _EXAMPLE,
        },
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["image", "text"],
                "additionalProperties": False,
                "properties": {
                    "image": {**_FILE, "description": "PNG, JPEG or WebP."},
                    "text": {"type": "string", "minLength": 1},
                    "depth": {**_FILE, "description": "See DepthIn.data."},
                    "instances": {**_FILE, "description": "See InstancesIn.data."},
                    "request": {
                        "type": "string",
                        "contentMediaType": "application/json",
                        "minLength": 2,
                        "description": "All other fields of ReferIn; depth and instances as"
                        " there, without data.",
                    },
                },
            },
        },
    },
}
# One event of the stream; tools read the schema as that of each event.
_EVENT = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"enum": ["text", "answer", "error"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
REFER_OK: dict[int | str, dict[str, Any]] = {
    200: {
        "model": ReferOut,
        "description": "The answer. As events (when `stream` is true or text/event-stream is"
        " accepted): `text` with pieces of reasoning, then `answer` with a ReferOut or"
        " `error` with an ErrorOut.",
        "content": {"text/event-stream": {"schema": _EVENT}},
    }
}


TEXT_OK: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
}


def answers(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of an answer of this form."""
    return {200: {"model": model}}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of error answers with these statuses."""
    return {status: _error(status) for status in statuses}


def _error(status: int) -> dict[str, Any]:
    kinds = {code: kind for code, kind in ERRORS.items() if kind.status == status}
    codes = "; ".join(f"`{code}`: {kind.meaning}" for code, kind in kinds.items())
    documented: dict[str, Any] = {
        "model": ErrorOut,
        "description": codes or HTTPStatus(status).phrase,
    }
    if kinds and all(kind.retry for kind in kinds.values()):
        documented["headers"] = {
            "Retry-After": {"required": True, "schema": {"type": "string", "pattern": "^[0-9]+$"}}
        }
    return documented


def document(app: FastAPI, *, version: str, with_token: bool) -> dict[str, Any]:
    """Return the OpenAPI document of the application.

    The original protocol is left out: its answers to wrong requests are those of another server.
    """
    openapi = get_openapi(title=TITLE, version=version, description=DESCRIPTION, routes=app.routes)
    components = openapi.setdefault("components", {})
    components.setdefault("schemas", {}).update(request_schemas())
    if with_token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for operations in openapi["paths"].values():
            for operation in operations.values():
                if 401 in map(int, operation["responses"]):
                    operation["security"] = [{"token": []}]
    return openapi
