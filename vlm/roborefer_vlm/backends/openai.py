# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Any vision model behind an OpenAI-compatible /chat/completions endpoint.

How the model is asked and how it writes points comes from parsing/families.toml.
"""

from __future__ import annotations

import base64
import os
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from roborefer_vlm.backends.answers import answer_from_texts
from roborefer_vlm.backends.background import BackgroundLoop
from roborefer_vlm.backends.base import EngineInfo
from roborefer_vlm.backends.chat import Endpoint, complete
from roborefer_vlm.exceptions import (
    CancelledError,
    ConfigurationError,
    PictureError,
    ReferringError,
    UnavailableError,
)
from roborefer_vlm.model.depth import relative_depth
from roborefer_vlm.parsing.families import Family, family_named, family_of_model
from roborefer_vlm.types import Answer, LatencySplit, Query, UInt8Array

_POLL_S = 0.02
_DEPTH_NOTE = (
    "The second picture shows the depth of the first one: bright is near, dark is far."
    " Coordinates count in the first picture. "
)


@dataclass(frozen=True)
class ChatOptions:
    """How an endpoint is used.

    Attributes:
        depth: "none", or "picture": depth goes along as a second, grey picture.
        longest_side: Larger pictures are shrunk to this many pixels; None sends them as they are.
        encoding: "png" (lossless) or "jpeg" (smaller).
        most_picture_bytes: A picture that is larger when encoded is refused.
        parallel: Requests at the same time, for samples and batches.
        length_field: What the endpoint calls the longest answer; "max_completion_tokens" for
            newer models of OpenAI.
        append_suffix: Whether sentences get the format request of the family.
        leave_out: Fields of the body that the model does not take, such as "temperature" and
            "seed" for some reasoning models.
        extra: More fields for the body of each request.
    """

    depth: Literal["none", "picture"] = "none"
    longest_side: int | None = None
    encoding: Literal["png", "jpeg"] = "png"
    most_picture_bytes: int = 16_000_000
    parallel: int = 4
    length_field: str = "max_tokens"
    append_suffix: bool = True
    leave_out: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.depth not in ("none", "picture"):
            raise ConfigurationError(f"depth is '{self.depth}'; 'none' or 'picture' is right")
        if self.encoding not in ("png", "jpeg"):
            raise ConfigurationError(f"encoding is '{self.encoding}'; 'png' or 'jpeg' is right")
        if self.longest_side is not None and self.longest_side < 28:
            raise ConfigurationError(f"longest_side is {self.longest_side}; at least 28 is needed")
        if not 1 <= self.parallel <= 64:
            raise ConfigurationError(f"parallel is {self.parallel}; 1 to 64 is possible")


def read_key(environment: str = "OPENAI_API_KEY", file: str | Path | None = None) -> str:
    """Return the key for an endpoint, from a file or else the environment; "" without one.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    if file is None:
        return os.environ.get(environment, "").strip()
    try:
        return Path(file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"key file {file} cannot be read: {error}") from error


class OpenAIEngine:
    """Asks a vision model over HTTP; one caller at a time."""

    def __init__(
        self,
        endpoint: Endpoint,
        model: str,
        *,
        family: Family | str | None = None,
        options: ChatOptions | None = None,
    ) -> None:
        """Prepare to ask; nothing is sent yet.

        Args:
            endpoint: Where, with the key.
            model: What the endpoint calls the model.
            family: How it writes points; None looks it up by the model's name.
            options: How pictures and sentences are sent.

        Raises:
            ConfigurationError: The family is not known, or the model has no name.
        """
        if not model:
            raise ConfigurationError("the endpoint needs the name of a model")
        if family is None:
            family = family_of_model(model)
        self._family = family_named(family) if isinstance(family, str) else family
        self._options = options or ChatOptions()
        self._endpoint = endpoint
        self._model = model
        self._loop = BackgroundLoop("openai engine")
        self._client = endpoint.client()
        self._closed = False

    @property
    def info(self) -> EngineInfo:
        """What this engine is."""
        return EngineInfo(
            name="openai",
            model=self._model,
            device="remote",
            uses_depth=self._options.depth == "picture",
            max_batch=self._options.parallel,
        )

    def refer(
        self,
        query: Query,
        *,
        on_text: Callable[[str], None] | None = None,
        cancelled: Event | None = None,
    ) -> Answer:
        """Answer one query; see `Engine.refer`.

        Raises:
            PictureError: The encoded picture is larger than allowed.
            ConfigurationError: The endpoint refuses the key, the address or the model.
            UnavailableError: It cannot be reached or stays busy; DeadlineError: is too slow.
            EngineError: Its reply cannot be read.
            CancelledError: `cancelled` was set.
        """
        if self._closed:
            raise UnavailableError("this engine is closed")
        start = time.perf_counter()
        pictures, sent_size = self._pictures(query)
        prepared = time.perf_counter()
        texts = self._texts(query, pictures, on_text, cancelled)
        answered = time.perf_counter()
        answer = answer_from_texts(
            texts, query, self._family, engine=f"openai:{self._model}", sent_size=sent_size
        )
        end = time.perf_counter()
        # What happens inside the endpoint is not known; all of it is booked as decoding.
        latency = LatencySplit(
            preprocess_s=prepared - start,
            decode_s=answered - prepared,
            postprocess_s=end - answered,
            total_s=end - start,
        )
        return replace(answer, latency=latency)

    def refer_batch(self, queries: Sequence[Query]) -> list[Answer | Exception]:
        """Answer several queries at the same time; see `Engine.refer_batch`."""

        def one(query: Query) -> Answer | Exception:
            try:
                return self.refer(query)
            except ReferringError as error:
                return error

        with ThreadPoolExecutor(self._options.parallel) as pool:
            return list(pool.map(one, queries))

    def close(self) -> None:
        """Let go of the connections; calling it twice is allowed."""
        if self._closed:
            return
        self._closed = True
        self._loop.start(self._client.aclose()).result()
        self._loop.close()

    def _texts(
        self,
        query: Query,
        pictures: Sequence[str],
        on_text: Callable[[str], None] | None,
        cancelled: Event | None,
    ) -> list[str]:
        """Draw all samples, some at a time, and return their texts."""
        count = query.sampling.samples
        pieces: list[list[str]] = [[] for _ in range(count)]
        # Pieces come in the thread of the loop; they are passed on in the thread of the caller.
        news: queue.SimpleQueue[str] = queue.SimpleQueue()
        running: dict[int, Future[None]] = {}
        waiting = list(range(count))
        try:
            while running or waiting:
                while waiting and len(running) < self._options.parallel:
                    sample = waiting.pop(0)
                    receive = _receiver(pieces[sample], news if sample == 0 else None)
                    body = self._body(query, pictures, sample)
                    running[sample] = self._loop.start(
                        complete(self._client, self._endpoint, body, receive)
                    )
                try:
                    piece = news.get(timeout=_POLL_S)
                    if on_text is not None:
                        on_text(piece)
                except queue.Empty:
                    pass
                if cancelled is not None and cancelled.is_set():
                    raise CancelledError("the caller took the query back")
                for sample in [one for one, future in running.items() if future.done()]:
                    running.pop(sample).result()
            while on_text is not None and not news.empty():
                on_text(news.get())
        finally:
            for future in running.values():
                future.cancel()
        return ["".join(some) for some in pieces]

    def _body(self, query: Query, pictures: Sequence[str], sample: int) -> dict[str, Any]:
        text = self._family.ask(query.text) if self._options.append_suffix else query.text
        content: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": picture}} for picture in pictures
        ]
        note = _DEPTH_NOTE if len(pictures) > 1 else ""
        content.append({"type": "text", "text": note + text})
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": content}],
            self._options.length_field: query.max_new_tokens,
            "temperature": query.sampling.temperature if sample else 0.0,
            "seed": query.sampling.seed + sample,
            "stream": True,
            **self._options.extra,
        }
        return {name: body[name] for name in body if name not in self._options.leave_out}

    def _pictures(self, query: Query) -> tuple[list[str], tuple[int, int]]:
        """Return the pictures as data URLs and the (width, height) of the first one."""
        colour = self._resized(query.image)
        # OpenCV encodes blue first.
        pictures = [self._encoded(cv2.cvtColor(colour, cv2.COLOR_RGB2BGR))]
        if self._options.depth == "picture":
            depth = query.relative_depth
            if query.depth_m is not None:
                depth = relative_depth(query.depth_m)
            if depth is not None:
                pictures.append(self._encoded(self._resized(depth)))
        return pictures, (colour.shape[1], colour.shape[0])

    def _resized(self, picture: UInt8Array) -> npt.NDArray[Any]:
        longest = self._options.longest_side
        height, width = picture.shape[:2]
        if longest is None or max(width, height) <= longest:
            return picture
        scale = longest / max(width, height)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)

    def _encoded(self, picture: npt.NDArray[Any]) -> str:
        kind = self._options.encoding
        options = [cv2.IMWRITE_JPEG_QUALITY, 95] if kind == "jpeg" else []
        done, content = cv2.imencode(f".{kind}", np.ascontiguousarray(picture), options)
        if not done:
            raise PictureError(f"a picture of shape {picture.shape} cannot be encoded as {kind}")
        if len(content) > self._options.most_picture_bytes:
            raise PictureError(
                f"the {kind} of the picture has {len(content)} bytes;"
                f" {self._options.most_picture_bytes} are allowed; set longest_side to shrink it"
            )
        return f"data:image/{kind};base64,{base64.b64encode(content.tobytes()).decode('ascii')}"


def _receiver(pieces: list[str], news: queue.SimpleQueue[str] | None) -> Callable[[str], None]:
    """Return what keeps the pieces of one sample and tells them on."""

    def receive(piece: str) -> None:
        pieces.append(piece)
        if news is not None:
            news.put(piece)

    return receive
