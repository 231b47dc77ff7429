# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A chat endpoint on 127.0.0.1 that answers, fails or misbehaves as a test says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any

Reply = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]


class FakeServer:
    """Takes requests one after the other; `replies` says what each gets, the last one repeats.

    Attributes:
        url: Base address.
        requests: Bodies of all requests so far.
        headers: Their headers.
        gate: What a waiting reply waits for.
    """

    def __init__(self, *replies: Reply) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.gate = Event()
        self._replies = list(replies)
        self._lock = Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer._lock:
                    outer.requests.append(body)
                    outer.headers.append(dict(self.headers))
                    more = len(outer._replies) > 1
                    reply = outer._replies.pop(0) if more else outer._replies[0]
                try:
                    reply(self, body)
                except (BrokenPipeError, ConnectionResetError):
                    outer.gate.set()

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @contextmanager
    def running(self) -> Iterator[FakeServer]:
        thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self.gate.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def raw(content: bytes, status: int = 200, **headers: str) -> Reply:
    """Send these bytes."""

    def reply(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return reply


def whole(text: Any) -> Reply:
    """Answer at once, without streaming."""
    message = {"role": "assistant", "content": text}
    return raw(json.dumps({"choices": [{"index": 0, "message": message}]}).encode())


def error(status: int, message: str = "", **headers: str) -> Reply:
    """Refuse, as OpenAI words it."""
    return raw(json.dumps({"error": {"message": message}}).encode(), status, **headers)


def event(text: str | None) -> bytes:
    """Return one event of a stream."""
    delta = {"choices": [{"index": 0, "delta": {"content": text}}]}
    return b"data: " + json.dumps(delta).encode() + b"\r\n\r\n"


def stream(*pieces: str, done: bool = True, wait: Event | None = None) -> Reply:
    """Answer in pieces; with `wait`, the rest after the first piece comes when it is set."""

    def reply(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream; charset=utf-8")
        handler.end_headers()
        handler.wfile.write(b": comment\n\n" + event(None))
        for index, piece in enumerate(pieces):
            if index == 1 and wait is not None:
                wait.wait(20)
            handler.wfile.write(event(piece))
            handler.wfile.flush()
        if done:
            handler.wfile.write(b'data: {"choices": [], "usage": {}}\n\ndata: [DONE]\n\n')

    return reply
