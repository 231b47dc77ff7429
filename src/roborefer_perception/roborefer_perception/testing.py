# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A referring server without a model, for tests and dry runs; needs the standard library only.

    python3 -m roborefer_perception.testing --at 320 240

answers every question with that pixel, without --at with the middle of the picture, and says in
every answer that it is a fake.
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]

ENGINE = "fake:no-model"
NOTE = "This is a fake server without a model; the point is not an answer to the words."
DEFAULT_PORT = 25547


@dataclass(frozen=True)
class FakeRequest:
    """A question as it arrived.

    Attributes:
        path: Of the URL.
        headers: Names in lower case.
        parts: Of the form, by name: image, text, depth, request.
        gone: Set when the server ends; who delays an answer waits on it.
    """

    path: str
    headers: Mapping[str, str]
    parts: Mapping[str, bytes]
    gone: threading.Event

    @property
    def text(self) -> str:
        """The sentence."""
        return self.parts["text"].decode()

    @property
    def fields(self) -> Json:
        """The fields of the question that are no files."""
        fields: Json = json.loads(self.parts.get("request", b"{}"))
        return fields

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        return picture_size(self.parts["image"])


@dataclass(frozen=True)
class FakeReply:
    """Any reply of HTTP, for servers that do not behave.

    Attributes:
        body: Bytes, or pieces of them that are sent one by one as they are made.
        status: Of HTTP.
        headers: Beside Content-Length, which is sent for bytes only.
    """

    body: bytes | Iterable[bytes] = b""
    status: int = 200
    headers: Mapping[str, str] | None = None


# What a script makes of a question: a body for an answer, or any reply; None hangs up.
Script = Callable[[FakeRequest], Json | FakeReply | None]


def point(u: float, v: float, size: tuple[int, int], confidence: float = 1.0) -> Json:
    """Return a point of the protocol, in a picture of this width and height."""
    return {
        **{"u": u, "v": v, "x": (u + 0.5) / size[0], "y": (v + 0.5) / size[1]},
        **{"confidence": confidence, "label": "", "reason": ""},
    }


def answer(
    size: tuple[int, int], pixels: Sequence[tuple[float, float]], **changed: object
) -> Json:
    """Return an answer of the protocol.

    Args:
        size: Width and height of the picture.
        pixels: u and v of the points; none: nothing was found.
        changed: Fields that are to be different.
    """
    points = [point(u, v, size) for u, v in pixels]
    latency = dict.fromkeys(
        ("queue_s", "preprocess_s", "encode_s", "prefill_s", "decode_s", "postprocess_s"), 0.0
    )
    return {
        "request_id": "fake",
        "outcome": "ok" if points else "nothing_found",
        "kind": "object",
        "confidence": 1.0 if points else 0.0,
        "points": points,
        "candidates": [],
        "samples": [points],
        "reasoning": [],
        "text": NOTE,
        "engine": ENGINE,
        "image": {"width": size[0], "height": size[1]},
        "latency": {**latency, "total_s": 0.0, "new_tokens": 0},
        **changed,
    }


def error(code: str, message: str = "", status: int = 503, retry_after: int = 0) -> FakeReply:
    """Return a refusal of the protocol."""
    body = {"error": {"code": code, "message": message}, "request_id": "fake"}
    headers = {"Retry-After": str(retry_after)} if retry_after else {}
    return FakeReply(json.dumps(body).encode(), status, headers)


def stream(pieces: Iterable[str], last: Json) -> FakeReply:
    """Return a reply that streams pieces of reasoning, made as they are sent, then an answer."""

    def events() -> Iterator[bytes]:
        for piece in pieces:
            yield event("text", {"text": piece})
        yield event("answer", last)

    return FakeReply(events(), headers={"Content-Type": "text/event-stream"})


def event(name: str, data: object) -> bytes:
    """Return one server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def point_at(u: float | None = None, v: float | None = None) -> Script:
    """Return a script that always points at this pixel, or at the middle of the picture."""

    def script(request: FakeRequest) -> Json | FakeReply:
        width, height = request.size
        at = ((width - 1) / 2 if u is None else u, (height - 1) / 2 if v is None else v)
        fields = request.fields
        samples = [[point(*at, request.size)]] * fields.get("samples", 1)
        wanted = fields.get("kind", "unknown")
        kind = "object" if wanted == "unknown" else wanted
        last = answer(request.size, [at], samples=samples, kind=kind)
        return stream([NOTE], last) if fields.get("stream") else last

    return script


class FakeReferringServer:
    """Serves on 127.0.0.1 while a context lasts.

    Attributes:
        script: What answers; may be exchanged at any time.
        requests: All questions so far.
        url: Where it is.
    """

    def __init__(self, script: Script | None = None, port: int = 0) -> None:
        """Prepare; a port of 0 takes a free one when it starts, and keeps it."""
        self.script: Script = script or point_at()
        self.requests: list[FakeRequest] = []
        self._port = port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it is, or was before it died."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Take connections, on the port that it had before if it had one."""
        self._server = _Server(("127.0.0.1", self._port), self)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), name="fake server", daemon=True
        )
        self._thread.start()

    def die(self) -> None:
        """End at once; connections are cut. It may start again."""
        if self._server is None or self._thread is None:
            return
        self._server.gone.set()
        self._server.shutdown()
        self._thread.join()
        self._server.cut()
        self._server.server_close()
        self._server = None

    def __enter__(self) -> FakeReferringServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.die()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], owner: FakeReferringServer) -> None:
        self.owner, self.gone = owner, threading.Event()
        self._open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay quiet: clients of a fake server leave in every way."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are two pieces, and the second must not wait for the first's acknowledgement.
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        state = {"/healthz": {"status": "ok"}, "/readyz": {"state": "ready"}}.get(self.path)
        known = FakeReply(json.dumps(state).encode()) if state else error("not_found", status=404)
        self._send(known)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        if self.server.gone.is_set():
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        parts = _parts(headers.get("content-type", ""), body)
        request = FakeRequest(self.path, headers, parts, self.server.gone)
        self.server.owner.requests.append(request)
        made = self.server.owner.script(request)
        if isinstance(made, FakeReply):
            self._send(made)
        elif made is None:
            self.close_connection = True
        else:
            self._send(FakeReply(json.dumps(made).encode()))

    def _send(self, reply: FakeReply) -> None:
        self.send_response(reply.status)
        headers = {"Content-Type": "application/json", **(reply.headers or {})}
        if isinstance(reply.body, bytes):
            headers["Content-Length"] = str(len(reply.body))
        else:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        for piece in [reply.body] if isinstance(reply.body, bytes) else reply.body:
            self.wfile.write(piece)
            self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


def picture_size(data: bytes) -> tuple[int, int]:
    """Return width and height of a PNG or JPEG picture.

    Raises:
        ValueError: It is neither.
    """
    if data.startswith(b"\x89PNG") and len(data) >= 24:
        width, height = struct.unpack_from(">II", data, 16)
        return width, height
    at = 2
    while data.startswith(b"\xff\xd8") and at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        # The frame header has the size; 0xC4, 0xC8 and 0xCC are other things.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 + length
    raise ValueError(f"the {len(data)} bytes are no PNG or JPEG picture")


def _parts(kind: str, body: bytes) -> dict[str, bytes]:
    """Return the parts of a form by name; this reads what well-behaved clients send."""
    _, found, boundary = kind.partition("boundary=")
    parts: dict[str, bytes] = {}
    for part in body.split(b"--" + boundary.strip('"').encode()) if found else []:
        head, _, data = part.partition(b"\r\n\r\n")
        _, named, name = head.partition(b'name="')
        if named:
            parts[name.partition(b'"')[0].decode()] = data.removesuffix(b"\r\n")
    return parts


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        description="A fake referring server: it has no model and always points at one pixel."
    )
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port on 127.0.0.1")
    parser.add_argument(
        "--at", type=float, nargs=2, metavar=("U", "V"), default=(None, None),
        help="the pixel; default: the middle of the picture",
    )  # fmt: skip
    given = parser.parse_args(arguments)
    with FakeReferringServer(point_at(*given.at), given.port) as server:
        print(f"FAKE referring server without a model on {server.url}; end it with Ctrl-C")
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
