# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The codes of the server's errors: one table for the server, its documentation and its client.

Every error is answered as `{"error": {"code", "message", "field"?}, "request_id"}`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from roborefer_vlm.exceptions import (
    CancelledError,
    ConfigurationError,
    DeadlineError,
    EngineError,
    PictureError,
    QueryError,
    ReferringError,
    UnavailableError,
)


class ErrorCode(StrEnum):
    """What went wrong, for programs; `ERRORS` says more about each."""

    MALFORMED = "malformed"
    BAD_HOST = "bad_host"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN_ORIGIN = "forbidden_origin"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    TOO_LARGE = "too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    INVALID_QUERY = "invalid_query"
    INVALID_PICTURE = "invalid_picture"
    QUEUE_FULL = "queue_full"
    CANCELLED = "cancelled"
    ENGINE_FAILED = "engine_failed"
    INTERNAL = "internal"
    NOT_READY = "not_ready"
    STOPPING = "stopping"
    BUSY = "busy"
    DEADLINE = "deadline"


@dataclass(frozen=True)
class ErrorKind:
    """One row of the table.

    Attributes:
        status: HTTP status.
        meaning: One sentence for people.
        raises: What the client raises for it.
        retry: Whether the same request may succeed a moment later.
    """

    status: int
    meaning: str
    raises: type[ReferringError]
    retry: bool = False


ERRORS: dict[ErrorCode, ErrorKind] = {
    ErrorCode.MALFORMED: ErrorKind(400, "The body is not what its type says.", QueryError),
    ErrorCode.BAD_HOST: ErrorKind(
        400, "The Host header names no host that this server answers for.", ConfigurationError
    ),
    ErrorCode.UNAUTHORIZED: ErrorKind(
        401, "The bearer token is missing or wrong.", ConfigurationError
    ),
    ErrorCode.FORBIDDEN_ORIGIN: ErrorKind(
        403, "A page of another site sent this from a browser.", ConfigurationError
    ),
    ErrorCode.NOT_FOUND: ErrorKind(404, "There is nothing at this path.", ConfigurationError),
    ErrorCode.METHOD_NOT_ALLOWED: ErrorKind(
        405, "This path takes other methods.", ConfigurationError
    ),
    ErrorCode.REQUEST_TIMEOUT: ErrorKind(
        408, "The body did not arrive in time.", DeadlineError, retry=True
    ),
    ErrorCode.TOO_LARGE: ErrorKind(
        413, "The body, a picture or their number is over a limit.", QueryError
    ),
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: ErrorKind(
        415, "The body has a type or encoding that is not taken.", QueryError
    ),
    ErrorCode.INVALID_QUERY: ErrorKind(422, "A field cannot be used.", QueryError),
    ErrorCode.INVALID_PICTURE: ErrorKind(
        422, "A picture, mask or depth map cannot be used.", PictureError
    ),
    ErrorCode.QUEUE_FULL: ErrorKind(
        429, "Too many queries wait already.", UnavailableError, retry=True
    ),
    ErrorCode.CANCELLED: ErrorKind(499, "The client went away.", CancelledError),
    ErrorCode.ENGINE_FAILED: ErrorKind(
        500, "The engine failed on this query; the log has the details.", EngineError
    ),
    ErrorCode.INTERNAL: ErrorKind(
        500, "The server has a defect; its log has the details.", EngineError
    ),
    ErrorCode.NOT_READY: ErrorKind(
        503, "The engine is loading, out of reach, or hangs.", UnavailableError, retry=True
    ),
    ErrorCode.STOPPING: ErrorKind(
        503, "The server is shutting down.", UnavailableError, retry=True
    ),
    ErrorCode.BUSY: ErrorKind(
        503, "Requests under way take all the memory they may.", UnavailableError, retry=True
    ),
    ErrorCode.DEADLINE: ErrorKind(504, "No answer within the deadline.", DeadlineError),
}


class ApiError(ReferringError):
    """An error with all that its answer over HTTP says.

    Attributes:
        code: Row of the table.
        message: What is wrong and what would be right.
        field: Dotted path of the field that is to blame, or None.
        retry_after_s: When to come back, whole seconds, or None.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        field: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.retry_after_s = retry_after_s

    @property
    def status(self) -> int:
        """HTTP status of the answer."""
        return ERRORS[self.code].status

    def body(self, request_id: str) -> dict[str, Any]:
        """Return the JSON of the answer."""
        error = {"code": self.code.value, "message": self.message}
        if self.field is not None:
            error["field"] = self.field
        return {"error": error, "request_id": request_id}

    @property
    def headers(self) -> dict[str, str]:
        """Headers that this error adds to the answer."""
        headers = {}
        if self.code is ErrorCode.UNAUTHORIZED:
            headers["WWW-Authenticate"] = 'Bearer realm="roborefer"'
        if ERRORS[self.code].retry:
            headers["Retry-After"] = str(self.retry_after_s or 1)
        return headers


def api_error(error: Exception) -> ApiError:
    """Return what the server answers when this error ends a query."""
    match error:
        case ApiError():
            return error
        case PictureError():
            return ApiError(ErrorCode.INVALID_PICTURE, str(error))
        case QueryError():
            return ApiError(ErrorCode.INVALID_QUERY, str(error))
        case DeadlineError():
            return ApiError(ErrorCode.DEADLINE, str(error))
        case UnavailableError():
            return ApiError(ErrorCode.NOT_READY, str(error))
        case CancelledError():
            return ApiError(ErrorCode.CANCELLED, str(error) or "the query was taken back")
        case ReferringError():
            return ApiError(ErrorCode.ENGINE_FAILED, f"the engine failed: {error}")
    # The text of an unexpected error may hold anything, so it goes to the log only.
    return ApiError(
        ErrorCode.ENGINE_FAILED, f"the engine failed with {type(error).__name__}; see the log"
    )


@contextmanager
def blame(field: str) -> Iterator[None]:
    """Name this field in errors about the query that are raised inside."""
    try:
        yield
    except ApiError as error:
        error.field = error.field or field
        raise
    except QueryError as error:
        named = api_error(error)
        named.field = field
        raise named from error


def exception_from_answer(status: int, answer: object) -> ReferringError:
    """Return what a client raises for an answer that is no success.

    Args:
        status: HTTP status.
        answer: Decoded JSON of the body, or None when it is no JSON.
    """
    details = answer.get("error") if isinstance(answer, dict) else None
    details = details if isinstance(details, dict) else {}
    message = str(details.get("message") or f"the server answered with status {status}")
    if field := details.get("field"):
        message = f"{field}: {message}"
    try:
        return ERRORS[ErrorCode(str(details.get("code")))].raises(message)
    except ValueError:
        # A proxy, or a server younger than this client: decide by the status.
        if status in (408, 504):
            return DeadlineError(message)
        if status in (429, 502, 503):
            return UnavailableError(message)
        if status in (400, 413, 415, 422):
            return QueryError(message)
        return EngineError(message) if status >= 500 else ConfigurationError(message)
