# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""One thread owns the engine; everyone else hands it queries through a bounded queue."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import ceil
from threading import Condition, Event, Thread
from typing import Any, Generic, TypeVar

from roborefer_vlm.backends.base import Engine, EngineInfo
from roborefer_vlm.exceptions import CancelledError, DeadlineError, EngineError, ReferringError
from roborefer_vlm.server.errors import ApiError, ErrorCode
from roborefer_vlm.server.metrics import Metrics
from roborefer_vlm.server.settings import ServerSettings
from roborefer_vlm.types import Answer, Query

log = logging.getLogger(__name__)
Result = TypeVar("Result")


class State(StrEnum):
    """Whether queries are answered."""

    LOADING = "loading"
    READY = "ready"
    # The engine could not be made; it never will be.
    FAILED = "failed"
    # The engine has not come back long after the deadline of what it works on.
    HANGING = "hanging"
    STOPPING = "stopping"


@dataclass(eq=False)
class Ticket(Generic[Result]):
    """One piece of work for the engine.

    Attributes:
        call: What the engine's thread does with the engine.
        deadline: When nobody waits any more, on the monotonic clock.
        query: Set when `call` is nothing but `engine.refer(query)`, so that it may share a batch.
        result: How it ended.
        cancelled: Set when nobody waits any more; the engine looks at it.
        arrived: When it was queued, on the monotonic clock.
    """

    call: Callable[[Engine, Event], Result]
    deadline: float
    query: Query | None = None
    result: Future[Result] = field(default_factory=Future)
    cancelled: Event = field(default_factory=Event)
    arrived: float = field(default_factory=time.monotonic)

    @property
    def batch_key(self) -> Hashable:
        """What queries have to share to be worth a common batch; None: this one goes alone."""
        query = self.query
        if query is None or query.sampling.samples > 1:
            return None
        return (query.max_new_tokens, query.depth_m is None and query.relative_depth is None)


class Scheduler:
    """Owns an engine and its thread.

    The engine is made in that thread, so that the server answers while it loads.
    """

    def __init__(
        self,
        make_engine: Callable[[], Engine],
        settings: ServerSettings,
        metrics: Metrics,
        *,
        on_failed: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; `start` begins to load.

        Args:
            make_engine: Called once, in the engine's thread.
            settings: Size of the queue, batching, and patience.
            metrics: Where lengths and times are counted.
            on_failed: Called in the engine's thread when there will never be an engine.
        """
        self._on_failed = on_failed
        self._make_engine = make_engine
        self._settings = settings
        self._metrics = metrics
        self._waiting: deque[Ticket[Any]] = deque()
        self._changed = Condition()
        self._running: list[Ticket[Any]] = []
        self._info: EngineInfo | None = None
        self._load_error: Exception | None = None
        self._stop_at: float | None = None
        # How long one query takes, smoothed; tells whom to come back when.
        self._seconds_per_query = 0.5
        self._thread = Thread(target=self._run, name="engine", daemon=True)

    @property
    def state(self) -> State:
        """Whether queries are answered."""
        if self._stop_at is not None:
            return State.STOPPING
        if self._load_error is not None:
            return State.FAILED
        if self._info is None:
            return State.LOADING
        running = self._running
        if running:
            latest = max(ticket.deadline for ticket in running)
            if time.monotonic() > latest + self._settings.hang_grace_s:
                return State.HANGING
        return State.READY

    @property
    def info(self) -> EngineInfo | None:
        """What the engine is; None until it is loaded."""
        return self._info

    @property
    def load_error(self) -> Exception | None:
        """Why there is no engine."""
        return self._load_error

    def start(self) -> None:
        """Begin to load the engine; returns at once."""
        self._thread.start()

    def refuse_unless_ready(self) -> None:
        """Return when a query would be taken now.

        Raises:
            ApiError: NOT_READY or STOPPING.
        """
        match self.state:
            case State.READY:
                return
            case State.STOPPING:
                raise ApiError(ErrorCode.STOPPING, "the server is shutting down")
            case State.LOADING:
                message = "the engine is loading"
            case State.FAILED:
                message = f"the engine could not be loaded: {self._load_error}"
            case State.HANGING:
                message = "the engine hangs; it has not come back long after a deadline"
        raise ApiError(ErrorCode.NOT_READY, message, retry_after_s=2)

    def submit(self, query: Query, *, deadline: float) -> Ticket[Answer]:
        """Queue a query; it may share a batch with others.

        Args:
            query: The question.
            deadline: When nobody waits any more, on the monotonic clock.

        Raises:
            ApiError: NOT_READY, STOPPING or QUEUE_FULL.
        """

        def refer(engine: Engine, cancelled: Event) -> Answer:
            return engine.refer(query, cancelled=cancelled)

        return self._enqueue(Ticket(refer, deadline, query=query))

    def submit_call(
        self, call: Callable[[Engine, Event], Result], *, deadline: float
    ) -> Ticket[Result]:
        """Queue a call that has the engine to itself.

        Args:
            call: Gets the engine, and the event that is set when nobody waits any more.
            deadline: As for `submit`.

        Raises:
            ApiError: NOT_READY, STOPPING or QUEUE_FULL.
        """
        return self._enqueue(Ticket(call, deadline))

    def cancel(self, ticket: Ticket[Any]) -> None:
        """Take back what nobody waits for any more; has no effect once it is done."""
        ticket.cancelled.set()
        with self._changed:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
                self._metrics.queue_length.set(len(self._waiting))
                ticket.result.set_exception(CancelledError("taken back while it waited"))

    def begin_stop(self) -> None:
        """Take no new queries; finish those that are here, for at most `drain_s`."""
        with self._changed:
            if self._stop_at is None:
                self._stop_at = time.monotonic() + self._settings.drain_s
            self._changed.notify_all()

    def finish_stop(self) -> bool:
        """Wait until the engine is closed, then tell whether it is.

        Queries that are not done when `drain_s` is over end with STOPPING.
        """
        self.begin_stop()
        assert self._stop_at is not None
        if self._info is not None:
            self._thread.join(max(0.0, self._stop_at - time.monotonic()))
        with self._changed:
            left = [*self._waiting, *self._running]
            self._waiting.clear()
        for ticket in left:
            ticket.cancelled.set()
            _settle(ticket, ApiError(ErrorCode.STOPPING, "the server is shutting down"))
        if self._thread.ident is not None:
            # An engine that looks at `cancelled` needs a moment to do so.
            self._thread.join(1.0)
        return not self._thread.is_alive()

    def _enqueue(self, ticket: Ticket[Result]) -> Ticket[Result]:
        with self._changed:
            self.refuse_unless_ready()
            if len(self._waiting) >= self._settings.queue_size:
                wait_s = ceil(len(self._waiting) * self._seconds_per_query)
                raise ApiError(
                    ErrorCode.QUEUE_FULL,
                    f"{len(self._waiting)} queries wait already; try again in {wait_s} s",
                    retry_after_s=min(max(wait_s, 1), 60),
                )
            self._waiting.append(ticket)
            self._metrics.queue_length.set(len(self._waiting))
            self._changed.notify_all()
        return ticket

    # ---- in the engine's thread ----------------------------------------------------------------

    def _run(self) -> None:
        try:
            engine = self._make_engine()
            info = engine.info
        except Exception as error:
            foreseen = isinstance(error, ReferringError)
            log.error("the engine cannot be made: %s", error, exc_info=not foreseen)
            self._load_error = error
            self._on_failed()
            return
        self._info = info
        log.info("engine %s with %s is ready on %s", info.name, info.model, info.device)
        most = min(info.max_batch, self._settings.max_batch or info.max_batch)
        try:
            while self._wait_for_work():
                if batch := self._take_batch(most):
                    self._answer(engine, batch)
        finally:
            if self._stop_at is None:
                self._load_error = EngineError("the engine's thread died; restart the server")
            engine.close()

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stop_at is not None)
            return bool(self._waiting)

    def _take_batch(self, most: int) -> list[Ticket[Any]]:
        """Return what goes to the engine at once: the oldest ticket and what fits it."""
        with self._changed:
            if not self._waiting:
                return []
            key = self._waiting[0].batch_key

            def fitting() -> list[Ticket[Any]]:
                if key is None:
                    return [self._waiting[0]]
                return [ticket for ticket in self._waiting if ticket.batch_key == key][:most]

            if key is not None and most > 1:
                self._changed.wait_for(
                    lambda: len(fitting()) >= most, timeout=self._settings.batch_wait_s
                )
            batch = fitting()
            for ticket in batch:
                self._waiting.remove(ticket)
            self._running = batch
            self._metrics.queue_length.set(len(self._waiting))
            return batch

    def _answer(self, engine: Engine, batch: list[Ticket[Any]]) -> None:
        started = time.monotonic()
        self._metrics.batch_size.observe(len(batch))
        try:
            for ticket, result in _compute(engine, batch):
                if isinstance(result, Answer):
                    result = _timed(result, ticket, started)
                    self._metrics.count_answer(result)
                _settle(ticket, result)
        finally:
            self._running = []
            took = (time.monotonic() - started) / len(batch)
            self._seconds_per_query += 0.2 * (took - self._seconds_per_query)


def _compute(engine: Engine, batch: list[Ticket[Any]]) -> Iterator[tuple[Ticket[Any], Any]]:
    """Yield each ticket with its result or error, as soon as it is known."""
    queries = [ticket.query for ticket in batch if ticket.query is not None]
    if len(batch) > 1:
        try:
            answers = engine.refer_batch(queries)
            if len(answers) != len(batch):
                raise EngineError(f"{len(answers)} answers to {len(batch)} queries")
        except Exception:
            # One query must not take the others down: each is tried alone.
            log.exception("a batch of %d failed", len(batch))
        else:
            yield from zip(batch, answers, strict=True)
            return
    for ticket in batch:
        yield ticket, _call(engine, ticket)


def _call(engine: Engine, ticket: Ticket[Any]) -> Any:
    if ticket.cancelled.is_set():
        return CancelledError("taken back while it waited")
    if time.monotonic() > ticket.deadline:
        return DeadlineError("the deadline passed while the query waited for the engine")
    try:
        return ticket.call(engine, ticket.cancelled)
    except Exception as error:
        # What the engine raises belongs to this query alone; who asked decides what it means.
        return error


def _timed(answer: Answer, ticket: Ticket[Any], started: float) -> Answer:
    split = replace(
        answer.latency,
        queue_s=started - ticket.arrived,
        total_s=time.monotonic() - ticket.arrived,
    )
    return replace(answer, latency=split)


def _settle(ticket: Ticket[Any], result: Any) -> None:
    # A shutdown may have settled it meanwhile; the first word counts.
    with suppress(InvalidStateError):
        if isinstance(result, Exception):
            ticket.result.set_exception(result)
        else:
            ticket.result.set_result(result)
