# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Who may ask: the bearer token, and what keeps pages in a browser from asking for their visitor.

Without a token the server is bound to loopback only. There a web page could still reach it: by a
host name that its owner points to 127.0.0.1 (DNS rebinding), which the Host header betrays, or by
a form that is sent across sites, which the Origin header betrays. No CORS headers are sent.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from roborefer_vlm.server.errors import ApiError, ErrorCode
from roborefer_vlm.server.settings import ServerSettings, is_loopback

# Orchestrators ask these, and they tell nothing about anyone.
OPEN_PATHS = frozenset({"/healthz", "/readyz"})


def check_access(path: str, headers: Headers, settings: ServerSettings) -> None:
    """Return when this request may be answered.

    Raises:
        ApiError: BAD_HOST, FORBIDDEN_ORIGIN or UNAUTHORIZED.
    """
    host = _host(f"//{headers.get('host', '')}")
    if not _allowed(host, settings):
        raise ApiError(
            ErrorCode.BAD_HOST,
            f"Host '{host[:100]}' is not served here; use 127.0.0.1, localhost, or a name of"
            " --allowed-host",
        )
    origin = headers.get("origin")
    if origin is not None and (_host(origin) != host or not host):
        raise ApiError(
            ErrorCode.FORBIDDEN_ORIGIN,
            f"origin '{origin[:100]}' is another site; browsers may ask from this host only",
        )
    if settings.token is not None and path not in OPEN_PATHS:
        _check_token(headers.get("authorization", ""), settings.token)


def _allowed(host: str, settings: ServerSettings) -> bool:
    if host in settings.allowed_hosts:
        return True
    if settings.token is not None and not settings.allowed_hosts:
        # A page cannot know the token, so any name will do.
        return True
    return is_loopback(host)


def _check_token(header: str, token: str) -> None:
    scheme, _, given = header.partition(" ")
    right = hmac.compare_digest(given.strip().encode(), token.encode())
    if scheme.lower() != "bearer" or not right:
        raise ApiError(
            ErrorCode.UNAUTHORIZED,
            "the bearer token is wrong" if header else "a bearer token is needed",
        )


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
