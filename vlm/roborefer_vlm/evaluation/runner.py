# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Asking all questions of a benchmark, several at a time, so that a killed run can go on."""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from typing import Any, Protocol

from roborefer_vlm.backends.base import EngineInfo
from roborefer_vlm.evaluation.prompts import Wording, worded, wording_for
from roborefer_vlm.evaluation.records import Area, Benchmark, Question
from roborefer_vlm.evaluation.results import Failure, Result, ResultLog
from roborefer_vlm.exceptions import (
    AnswerError,
    ConfigurationError,
    DeadlineError,
    EngineError,
    QueryError,
)
from roborefer_vlm.picture_files import Source
from roborefer_vlm.types import Answer, Query

# Of what the file of answers looks like; a change makes older files unusable for resuming.
FORMAT = 1
# What an error of a single question means; any other error ends the run, because it would meet
# every question that follows (no server, wrong token, broken picture).
_FAILURES: tuple[tuple[type[Exception], Failure], ...] = (
    (DeadlineError, Failure.TIMEOUT),
    (QueryError, Failure.REFUSED),
    (EngineError, Failure.ERROR),
    (AnswerError, Failure.ERROR),
)


class Asker(Protocol):
    """Whom the runner asks: the client of the server; several threads at a time."""

    def refer(self, query: Query, *, deadline_s: float) -> Answer:
        """Answer a query."""


@dataclass(frozen=True)
class RunSettings:
    """How a benchmark is run.

    Attributes:
        wording: How questions are put; None: as the engine's model is known to be asked.
        given_objects: Send the marked things of the benchmark along.
        use_depth: Send depth and intrinsics along where the benchmark has them.
        max_new_tokens: Longest answer of a language model.
        deadline_s: Time for one answer, retries included; an answer later than that counts 0.
        concurrency: How many questions are asked at a time.
        limit: Only the first so many questions of each category; None: all.
    """

    wording: Wording | None = None
    given_objects: bool = False
    use_depth: bool = True
    max_new_tokens: int = 512
    deadline_s: float = 60.0
    concurrency: int = 4
    limit: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.concurrency <= 256:
            raise ConfigurationError(f"concurrency is {self.concurrency}; use 1 to 256")
        if self.limit is not None and self.limit < 1:
            raise ConfigurationError(f"limit is {self.limit}; at least 1 question is needed")
        if not (isfinite(self.deadline_s) and self.deadline_s > 0):
            raise ConfigurationError(f"deadline_s is {self.deadline_s}; use more than 0 s")


def chosen(benchmark: Benchmark, limit: int | None) -> Benchmark:
    """Return the benchmark with the first so many questions of each category; None: all."""
    if limit is None:
        return benchmark
    counts: dict[str, int] = {}
    kept = []
    for question in benchmark.questions:
        counts[question.category] = counts.get(question.category, 0) + 1
        if counts[question.category] <= limit:
            kept.append(question)
    return replace(benchmark, questions=tuple(kept))


def run_config(benchmark: Benchmark, info: EngineInfo, settings: RunSettings) -> dict[str, Any]:
    """Return all that the answers of a run depend on, as plain data.

    The limit and the concurrency are not in it: a run may go on with others.
    """
    engine = asdict(info)
    # How the server happens to batch changes no answer.
    del engine["max_batch"]
    return {
        "format": FORMAT,
        "benchmark": benchmark.name,
        "data": fingerprint(benchmark),
        "engine": engine,
        "wording": (settings.wording or wording_for(info)).value,
        "given_objects": settings.given_objects,
        "use_depth": settings.use_depth,
        "max_new_tokens": settings.max_new_tokens,
        "deadline_s": settings.deadline_s,
    }


def fingerprint(benchmark: Benchmark) -> str:
    """Return a short name of all questions, pictures and masks, whatever their directory."""
    digest = hashlib.sha256()
    seen: dict[Source, bytes] = {}
    for question in benchmark.questions:
        texts = (question.id, question.prompt, question.suffix, question.object, question.step)
        digest.update(repr(texts).encode())
        sources = [question.picture]
        if isinstance(question.truth, Area):
            digest.update(repr(question.truth.polygon).encode())
            sources += [question.truth.mask] if question.truth.mask else []
        else:
            digest.update(question.truth.word.encode())
        sources += [question.depth.source] if question.depth else []
        for source in sources:
            if source not in seen:
                seen[source] = hashlib.sha256(source.read()).digest()
            digest.update(seen[source])
    return digest.hexdigest()[:16]


def run_benchmark(
    benchmark: Benchmark,
    asker: Asker,
    log: ResultLog,
    settings: RunSettings,
    wording: str,
    on_result: Callable[[Result], None] = lambda _: None,
) -> Mapping[str, Result]:
    """Ask every question that the log has no result for, and append what comes of it.

    Args:
        benchmark: The questions.
        asker: Whom to ask.
        log: Where results go; holds those of the run that is resumed.
        settings: How to ask.
        wording: How questions are put, as the run's configuration says.
        on_result: Called in this thread with each new result.

    Returns:
        Results by question, in the order of the benchmark.

    Raises:
        UnavailableError: The server cannot be reached; what was answered is in the log.
        QueryError: A question makes no query, for example because its picture is damaged.
        KeyboardInterrupt: Passed on at once; what was answered is in the log.
    """
    left = [question for question in benchmark.questions if question.id not in log.results]

    def record(result: Result) -> None:
        log.append(result)
        on_result(result)

    _ask_all(left, asker, Wording(wording), settings, record)
    return {q.id: log.results[q.id] for q in benchmark.questions if q.id in log.results}


def ask(question: Question, asker: Asker, wording: Wording, settings: RunSettings) -> Result:
    """Ask one question; what only concerns this question becomes a failure in the result."""
    query = question.query(
        worded(question, wording),
        given_objects=settings.given_objects,
        max_new_tokens=settings.max_new_tokens,
    )
    if not settings.use_depth:
        query = replace(query, depth_m=None, intrinsics=None)
    result = Result(question.id, query.width, query.height)
    start = time.monotonic()
    try:
        answer = asker.refer(query, deadline_s=settings.deadline_s)
    except tuple(kind for kind, _ in _FAILURES) as error:
        failure = next(failure for kind, failure in _FAILURES if isinstance(error, kind))
        result = replace(result, failure=failure, message=str(error))
    else:
        result = replace(result, answer=answer)
    return replace(result, wall_s=time.monotonic() - start)


def _ask_all(
    questions: Sequence[Question],
    asker: Asker,
    wording: Wording,
    settings: RunSettings,
    record: Callable[[Result], None],
) -> None:
    """Record every result as it comes in; raise the first error that ends the run."""
    todo: queue.SimpleQueue[Question] = queue.SimpleQueue()
    for question in questions:
        todo.put(question)
    done: queue.SimpleQueue[Result | BaseException] = queue.SimpleQueue()
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            try:
                done.put(ask(todo.get_nowait(), asker, wording, settings))
            except queue.Empty:
                return
            # Whatever happens here is raised in the thread that waits for it.
            except BaseException as error:
                done.put(error)
                return

    # Daemons, so that Ctrl-C need not wait for the answers that are still being worked out.
    for number in range(min(settings.concurrency, len(questions))):
        threading.Thread(target=work, name=f"bench-{number}", daemon=True).start()
    try:
        for _ in questions:
            outcome = done.get()
            if isinstance(outcome, BaseException):
                raise outcome
            record(outcome)
    except BaseException:
        stop.set()
        while not done.empty():
            outcome = done.get()
            if isinstance(outcome, Result):
                record(outcome)
        raise
