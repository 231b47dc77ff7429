# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The only door of the console: pages and connections for those who have the token.

One port serves `/` (the page), `/link` (the connection of a page) and `/scene/` (the 3D view of
viser, which has no authentication of its own and therefore listens inside only; what a browser
says to it is not passed on).
"""

from __future__ import annotations

import asyncio
import http
import mimetypes
import threading
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import viser
from websockets.asyncio.client import connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from roborefer_operator.core.console.access import Access, Verdict
from roborefer_operator.exceptions import ConsoleError

_PAGES = Path(__file__).parent / "page"
_SCENE_PAGE = Path(viser.__file__).parent / "client" / "build" / "index.html"
_OPEN_S, _CLOSE_S = 5.0, 2.0
_LONGEST_ORDER = 2**17
_STATUS = {
    Verdict.NO_TOKEN: http.HTTPStatus.UNAUTHORIZED,
    Verdict.STRANGE_HOST: http.HTTPStatus.FORBIDDEN,
    Verdict.STRANGE_ORIGIN: http.HTTPStatus.FORBIDDEN,
}
# The page and viser's own, which is one file that unpacks itself, and nothing from elsewhere.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:; frame-ancestors 'self';"
        " base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
}

T = TypeVar("T")


class Host(Protocol):
    """Who talks to a page once it was let in."""

    async def talk(self, connection: ServerConnection) -> None:
        """Serve a connection until it is closed."""


class Gate:
    """Listens in a thread of its own."""

    def __init__(
        self, host: Host, token: str, *, address: str = "127.0.0.1", port: int = 0,
        names: Sequence[str] = (), scene_port: int = 0, most_pages: int = 8,
    ) -> None:  # fmt: skip
        """Begin to listen.

        Args:
            host: Talks to pages.
            token: Without which nobody gets anything.
            address: Where to listen.
            port: Where to listen; 0 is any free one.
            names: Host names besides those of this machine.
            scene_port: Where viser listens on this machine; 0: there is no 3D view.
            most_pages: Pages that may be open at once.

        Raises:
            ConsoleError: The address cannot be listened at.
        """
        self._host, self._scene_port, self._most = host, scene_port, most_pages
        self._open = {"/link": 0, "/scene": 0}
        self._access = Access(token, port, names)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="gate", daemon=True)
        self._thread.start()
        try:
            self._server = self._run(self._listen(address, port))
        except OSError as error:
            self._end_loop()
            raise ConsoleError(
                f"the console cannot listen at {address}:{port}: {error}; choose another port"
            ) from error
        self.port: int = next(iter(self._server.sockets)).getsockname()[1]
        self._access = Access(token, self.port, names)

    def close(self) -> None:
        """Close all connections and stop listening."""
        self._run(self._stop_listening())
        self._end_loop()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def _end_loop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _listen(self, address: str, port: int) -> Server:
        return await serve(
            self._serve, address, port, process_request=self._receive, compression=None,
            open_timeout=_OPEN_S, close_timeout=_CLOSE_S, max_size=_LONGEST_ORDER,
            select_subprotocol=_same_protocol, server_header=None,
        )  # fmt: skip

    async def _stop_listening(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    # --- plain requests -----------------------------------------------------------------------
    async def _receive(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer a plain request, or let a connection in by None."""
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        verdict = self._access.judge(request.path, headers)
        if verdict is not Verdict.WELCOME:
            return _answer(_STATUS[verdict], verdict.value)
        path = request.path.partition("?")[0]
        if headers.get("upgrade", "").lower() == "websocket":
            return self._admit(path.rstrip("/"))
        if path == "/" and self._access.token_in_address(request.path):
            # The token goes out of the address line, the history and the pictures of screens.
            extra = {"Location": "/", "Set-Cookie": self._access.set_cookie()}
            return _answer(http.HTTPStatus.SEE_OTHER, "come in", extra)
        return _page(path)

    def _admit(self, path: str) -> Response | None:
        if path not in self._open or (path == "/scene" and not self._scene_port):
            return _answer(http.HTTPStatus.NOT_FOUND, "there is no such connection")
        if self._open[path] >= self._most:
            why = f"{self._most} pages are open already; close one"
            return _answer(http.HTTPStatus.SERVICE_UNAVAILABLE, why)
        return None

    # --- connections --------------------------------------------------------------------------
    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        path = connection.request.path.partition("?")[0].rstrip("/")
        self._open[path] += 1
        try:
            await (self._host.talk(connection) if path == "/link" else self._show(connection))
        except (ConnectionClosed, OSError):
            # A page that is closed, and a 3D view that went first, end a connection alike.
            pass
        finally:
            self._open[path] -= 1

    async def _show(self, browser: ServerConnection) -> None:
        """Pass on what viser shows."""
        protocols = [Subprotocol(browser.subprotocol)] if browser.subprotocol else None
        async with connect(
            f"ws://127.0.0.1:{self._scene_port}", subprotocols=protocols, max_size=None,
            compression=None, proxy=None,
        ) as scene:  # fmt: skip
            ends = [
                asyncio.create_task(_forward(scene, browser)), asyncio.create_task(_drop(browser))
            ]  # fmt: skip
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for end in ends:
                    end.cancel()
                await asyncio.gather(*ends, return_exceptions=True)


async def _forward(scene: object, browser: ServerConnection) -> None:
    async for message in scene:  # type: ignore[attr-defined]
        await browser.send(message)


async def _drop(browser: ServerConnection) -> None:
    async for _ in browser:
        pass


def _same_protocol(
    connection: ServerConnection, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    return next((name for name in offered if name.startswith("viser-v")), None)


def _page(path: str) -> Response:
    """Serve a file by its very name; nothing of the request becomes a path."""
    files = {f"/{file.name}": file for file in _PAGES.iterdir() if file.is_file()}
    files |= {"/": _PAGES / "index.html", "/scene/": _SCENE_PAGE}
    if path not in files:
        return _answer(http.HTTPStatus.NOT_FOUND, "there is no such page")
    kind = mimetypes.guess_type(files[path].name)[0] or "application/octet-stream"
    return _answer(http.HTTPStatus.OK, files[path].read_bytes(), {"Content-Type": kind})


def _answer(
    status: http.HTTPStatus, body: str | bytes, extra: Mapping[str, str] | None = None
) -> Response:
    data = body if isinstance(body, bytes) else f"{body}\n".encode()
    lines = {"Content-Type": "text/plain; charset=utf-8", **_HEADERS, **(extra or {})}
    if lines["Content-Type"].startswith("text/html"):
        lines["Content-Type"] = "text/html; charset=utf-8"
    headers = Headers({**lines, "Content-Length": str(len(data)), "Connection": "close"})
    return Response(status.value, status.phrase, headers, data)
