# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Asks a referring server over HTTP: within a deadline, again where that helps, and cancelable.

One thread runs an event loop; every question is a task there, so that whatever it is doing,
connecting included, can be ended at once. The caller waits in its own thread, and its callbacks
are called there.
"""

from __future__ import annotations

import asyncio
import queue
import random
import ssl
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import isfinite
from time import monotonic
from typing import Any

import httpx
from roborefer_common.exceptions import ParameterError

from roborefer_perception.core.address import check_address, is_loopback
from roborefer_perception.core.answers import Answer, Latency, parse_answer, parse_json
from roborefer_perception.core.breaker import Breaker, State
from roborefer_perception.core.exchange import Trouble, exchange
from roborefer_perception.core.questions import Parts, PictureFormat, Question, encode
from roborefer_perception.exceptions import Reason, ReferFailure

# How often a waiting caller looks whether it is canceled.
_LOOK_UP_S = 0.02
# The loop itself ends a question when it is due; this is for a loop that is kept busy.
_GRACE_S = 0.1
# For connections to end in good order.
_FAREWELL_S = 1.0


@dataclass(frozen=True)
class ModelSettings:
    """Where the model is, and how patient to be with it.

    Attributes:
        url: Address of the referring server; http or https.
        token: Bearer token; empty: none.
        picture: How pictures travel.
        connect_timeout_s: For one connection.
        retries: Most repetitions of one question.
        first_pause_s: Mean pause before the first repetition; each further one is twice as long.
        longest_pause_s: The longest of these pauses.
        breaker_failures: After so many failed attempts in a row the server is left alone.
        breaker_pause_s: For so long.
    """

    url: str = "http://127.0.0.1:25547"
    token: str = field(default="", repr=False)
    picture: PictureFormat = PictureFormat.JPEG
    connect_timeout_s: float = 2.0
    retries: int = 3
    first_pause_s: float = 0.1
    longest_pause_s: float = 2.0
    breaker_failures: int = 5
    breaker_pause_s: float = 2.0


class ModelClient:
    """Asks one server; may be used by several threads.

    An attempt is repeated when nobody answered: the connection failed or broke, or the server
    said that it is busy. A question changes nothing, so asking twice does no harm.
    """

    def __init__(self, settings: ModelSettings | None = None, seed: int | None = None) -> None:
        """Prepare; nothing is sent yet.

        Args:
            settings: Where and how.
            seed: Of the random part of pauses.

        Raises:
            ParameterError: The address is none, or the token cannot be sent.
        """
        self.settings = settings = settings or ModelSettings()
        host = check_address(settings.url)
        if not (settings.token.isascii() and (settings.token + "x").isprintable()):
            raise ParameterError("the token of the model is to be of printable ASCII characters")
        self.breaker = Breaker(settings.breaker_failures, settings.breaker_pause_s)
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._closed = False
        self._last_words = ""
        self._loop = asyncio.new_event_loop()
        tls = settings.url.startswith("https:")
        headers = {"Accept-Encoding": "identity"}
        if settings.token:
            headers["Authorization"] = f"Bearer {settings.token}"
        self._http = httpx.AsyncClient(
            base_url=settings.url.rstrip("/"),
            headers=headers,
            # A proxy of the environment cannot reach this machine's own loopback.
            trust_env=not is_loopback(host),
            # Reading the certificates takes a while; without TLS one that trusts nobody will do.
            verify=tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=settings.connect_timeout_s),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=4),
        )
        self._thread = threading.Thread(target=self._loop.run_forever, name="model", daemon=True)
        self._thread.start()

    def ask(
        self,
        question: Question,
        deadline_s: float,
        on_text: Callable[[str], None] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Answer:
        """Ask, and wait for the answer.

        Args:
            question: About one view.
            deadline_s: For everything, encoding, pauses and repetitions included.
            on_text: Called in this thread with all of the reasoning that came so far, whenever it
                has grown; shorter again when the question had to be repeated. None: not streamed.
            cancelled: Looked at every 20 ms; may be set by any thread.

        Returns:
            What the server answered, checked.

        Raises:
            ReferFailure: MODEL_UNAVAILABLE: nobody answered, or is not asked at present;
                MODEL_TIMEOUT: not in time; MODEL_REFUSED: the server refuses this question;
                ANSWER_INVALID: the answer cannot be used; CANCELED; INVALID_GOAL: the sentence
                cannot be sent.
        """
        begin = monotonic()
        if not (isfinite(deadline_s) and deadline_s > 0):
            raise ReferFailure(
                Reason.MODEL_TIMEOUT, f"no time is left to ask the model ({deadline_s:g} s)"
            )
        parts = encode(question, self.settings.picture)
        news: queue.SimpleQueue[str | Future[bytes]] = queue.SimpleQueue()
        ended = threading.Event()
        due = begin + deadline_s
        work = self._work(parts, due, news.put if on_text else None, ended)
        future = self._submit(work)
        future.add_done_callback(news.put)
        try:
            self._wait(news, on_text, cancelled, due + _GRACE_S)
            body = future.result()
        except CancelledError:
            raise _canceled() from None
        finally:
            future.cancel()
            # Its connection and its place in the breaker are free then for the next question.
            ended.wait(_GRACE_S)
        answer = parse_answer(parse_json(body), question.size, question.samples)
        return replace(answer, latency=_latency(answer.latency, monotonic() - begin))

    def close(self) -> None:
        """End all questions under way as canceled, and the thread; may be called again."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            asyncio.run_coroutine_threadsafe(self._finish(), self._loop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> ModelClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _submit(self, work: Coroutine[Any, Any, bytes]) -> Future[bytes]:
        with self._lock:
            if self._closed:
                work.close()
                raise _canceled()
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _wait(
        self,
        news: queue.SimpleQueue[str | Future[bytes]],
        on_text: Callable[[str], None] | None,
        cancelled: Callable[[], bool],
        due: float,
    ) -> None:
        """Pass texts on until the future comes."""
        while True:
            if cancelled():
                raise _canceled()
            if (left := due - monotonic()) <= 0:
                raise ReferFailure(Reason.MODEL_TIMEOUT, "no answer came within the deadline")
            try:
                item = news.get(timeout=min(_LOOK_UP_S, left))
            except queue.Empty:
                continue
            newest: str | None = None
            # Of the texts that came meanwhile the newest holds all: a listener that is slower than
            # the model must not hold up the answer.
            with suppress(queue.Empty):
                while not isinstance(item, Future):
                    newest = item
                    item = news.get_nowait()
            if newest is not None and on_text is not None:
                on_text(newest)
            if isinstance(item, Future):
                return

    async def _work(
        self,
        parts: Parts,
        due: float,
        on_text: Callable[[str], None] | None,
        ended: threading.Event,
    ) -> bytes:
        try:
            return await self._attempts(parts, due, on_text)
        finally:
            ended.set()

    async def _attempts(
        self, parts: Parts, due: float, on_text: Callable[[str], None] | None
    ) -> bytes:
        """Try until there is an answer, or no more sense in trying."""
        repetitions, mean_s = 0, self.settings.first_pause_s
        while True:
            try:
                return await self._attempt(parts, due, on_text)
            except Trouble as trouble:
                # The length is left to chance, so that many clients come back apart.
                pause_s = max(trouble.after_s, mean_s * self._random.uniform(0.5, 1.5))
                enough = repetitions == self.settings.retries or not trouble.again
                in_vain = monotonic() + pause_s >= due or self.breaker.state is not State.CLOSED
                if enough or in_vain:
                    raise trouble.failure from None
            await asyncio.sleep(pause_s)
            repetitions, mean_s = repetitions + 1, min(2 * mean_s, self.settings.longest_pause_s)

    async def _attempt(
        self, parts: Parts, due: float, on_text: Callable[[str], None] | None
    ) -> bytes:
        """Try once, unless the breaker is open."""
        if (wait_s := self.breaker.enter()) is not None:
            failure = ReferFailure(
                Reason.MODEL_UNAVAILABLE,
                f"{self.settings.url} failed {self.settings.breaker_failures} times in a row and"
                f" is asked again in {wait_s:.1f} s; last: {self._last_words}",
            )
            raise Trouble(failure, again=False, silent=True)
        try:
            body = await exchange(self._http, parts, due, on_text)
        except Trouble as trouble:
            if trouble.silent:
                self._last_words = str(trouble)
                self.breaker.failed()
            else:
                self.breaker.succeeded()
            raise
        except BaseException:
            self.breaker.left()
            raise
        self.breaker.succeeded()
        return body

    async def _finish(self) -> None:
        """End all tasks, then the loop."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                await self._http.aclose()
        await self._loop.shutdown_asyncgens()
        # Streams that were left in the middle are closed by tasks of their own.
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*tasks, return_exceptions=True)
        self._loop.call_soon(self._loop.stop)


def _latency(server: Latency, total_s: float) -> Latency:
    """Split the measured time by what the server says, as far as that can be true."""
    spent_s = min(server.total_s, total_s)
    queue_s = min(server.queue_s, spent_s)
    return Latency(queue_s, spent_s - queue_s, total_s - spent_s, total_s)


def _canceled() -> ReferFailure:
    return ReferFailure(Reason.CANCELED, "the question to the model was canceled")
