# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Running the application: sockets, slow clients, signals, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from roborefer_vlm.backends.base import Engine
from roborefer_vlm.exceptions import (
    ConfigurationError,
    EngineError,
    ReferringError,
    UnavailableError,
)
from roborefer_vlm.server.app import create_app
from roborefer_vlm.server.service import Service
from roborefer_vlm.server.settings import ServerSettings

log = logging.getLogger(__name__)
# Between the last answer and the end of the process: to write it out, and to close the engine.
_LAST_WORDS_S = 2.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(
    engine: Engine | Callable[[], Engine],
    settings: ServerSettings,
    *,
    on_listening: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way.

    Args:
        engine: What answers, or a function that makes it in the background.
        settings: Where and how.
        on_listening: Called with the URL once connections are taken.

    Raises:
        ConfigurationError: The address cannot be bound.
        ReferringError: The engine cannot be made, as the function that makes it says.
        EngineError: It cannot be made for a reason that nobody foresaw; the log has it.
    """

    def give_up() -> None:
        server.should_exit = True

    app = create_app(engine, settings, on_failed=give_up)
    server = _Server(app, settings)
    listener = _bind(settings)
    # uvicorn repeats a signal once it is done; an orderly end needs no second death.
    before = {number: signal.signal(number, _ignore) for number in _SIGNALS}
    try:
        with listener:
            log.info("listening on %s", _url(listener))
            on_listening(_url(listener))
            server.run(sockets=[listener])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    service: Service = app.state.service
    error = service.scheduler.load_error
    if isinstance(error, ReferringError):
        raise error
    if error is not None:
        raise EngineError(f"the engine cannot be made: {type(error).__name__}: {error}") from error


@contextmanager
def background_server(
    engine: Engine | Callable[[], Engine], settings: ServerSettings | None = None
) -> Iterator[str]:
    """Serve in a thread of this process while the context lasts; gives the URL.

    Args:
        engine: What answers; it is closed at the end.
        settings: As for `serve`; without them, 127.0.0.1 and a free port.

    Raises:
        UnavailableError: The server did not start.
    """
    settings = settings or ServerSettings(port=0)
    server = _Server(create_app(engine, settings), settings)
    with _bind(settings) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            if not server.listening.wait(10.0):
                raise UnavailableError("the server did not start within 10 s")
            yield _url(listener)
        finally:
            server.should_exit = True
            thread.join(settings.drain_s + 2 * _LAST_WORDS_S)


class _Server(uvicorn.Server):
    """Tells the scheduler at once when the end begins, and others when it listens."""

    def __init__(self, app: FastAPI, settings: ServerSettings) -> None:
        self.listening = threading.Event()
        self._service: Service = app.state.service
        super().__init__(
            uvicorn.Config(
                app,
                http=_patient(settings.head_timeout_s),
                ws="none",
                lifespan="on",
                # Records go where the program's logging sends them; access is logged by the gate.
                log_config=None,
                access_log=False,
                server_header=False,
                # Whoever needs a proxy's word for addresses can have it in the proxy's log.
                proxy_headers=False,
                limit_concurrency=settings.max_connections,
                timeout_graceful_shutdown=int(settings.drain_s + _LAST_WORDS_S),
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Connections stay until their answers are there, so the scheduler has to end first.
        stop = threading.Thread(target=self._service.scheduler.finish_stop, daemon=True)
        stop.start()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        log.info("%s: finishing what is under way", signal.Signals(sig).name)
        super().handle_exit(sig, frame)


def _patient(head_timeout_s: float) -> type[asyncio.Protocol]:
    """Return a protocol that waits this long, and not longer, for the head of a request.

    uvicorn itself limits only the pause between two requests: a client that sends a head byte by
    byte, or a body without end after it was refused, would keep its connection forever.
    """

    class PatientProtocol(H11Protocol):
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_watch()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def _in_request(self) -> bool:
            # Types do not tell that there is no cycle before the first request.
            cycle: Any = self.cycle
            return cycle is not None and not cycle.response_complete

        def _watch(self) -> None:
            if self._in_request():
                self._stop_watch()
            elif self._timer is None:
                self._timer = self.loop.call_later(head_timeout_s, self._give_up)

        def _stop_watch(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _give_up(self) -> None:
            self._timer = None
            if not self._in_request():
                self.transport.close()

    return PatientProtocol


def _bind(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server(
            (settings.host.strip("[]"), settings.port), family=family, backlog=512
        )
        # Connections inherit it. asyncio does this only for sockets that name their protocol, and
        # without it the body of an answer waits 40 ms for the head to be acknowledged.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        raise ConfigurationError(
            f"cannot bind {settings.host} port {settings.port}: {error.strerror}; choose another"
            " with --host and --port"
        ) from error


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _ignore(number: int, frame: FrameType | None) -> None:
    """Keep a signal from ending the process."""
