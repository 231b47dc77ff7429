# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Parts made by several processes of this machine."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import connection, get_context, parent_process
from typing import Protocol

from roborefer_vlm.data.work import Work
from roborefer_vlm.exceptions import ConfigurationError, GenerationError

# Shots on their way per worker: enough that none waits, few enough that memory stays small.
_AHEAD = 3
# One core per worker: libraries that start threads of their own would fight over the cores.
_ONE_THREAD: Mapping[str, str] = {
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
}


class Spread(Protocol):
    """A way to make many parts."""

    def __call__(self, work: Work, indices: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """Yield index and encoded part, in any order.

        Raises:
            GenerationError: A shot failed for another reason than its source, or a worker died.
        """


class Processes:
    """Makes parts in worker processes; with one worker, in this process."""

    def __init__(self, workers: int = 1) -> None:
        """Remember the number of workers.

        Raises:
            ConfigurationError: It is below 1.
        """
        if workers < 1:
            raise ConfigurationError(f"workers is {workers}; 1 or more is right")
        self.workers = workers

    def __call__(self, work: Work, indices: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """See `Spread`."""
        if self.workers == 1:
            for index in indices:
                yield index, work.part(index).encode()
            return
        with (
            _one_thread(),
            ProcessPoolExecutor(
                self.workers, get_context("spawn"), initializer=_start, initargs=(work,)
            ) as pool,
        ):
            try:
                yield from self._drawn(pool, iter(indices))
            except BrokenProcessPool as error:
                raise GenerationError(
                    "a worker process died (killed, or out of memory: fewer --workers need less);"
                    " the same command goes on where this stopped"
                ) from error
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _drawn(
        self, pool: ProcessPoolExecutor, indices: Iterator[int]
    ) -> Iterator[tuple[int, bytes]]:
        running: dict[Future[bytes], int] = {}
        while True:
            for index in islice(indices, _AHEAD * self.workers - len(running)):
                running[pool.submit(_make, index)] = index
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), future.result()


_work: Work | None = None


def _start(work: Work) -> None:
    """Prepare a worker: it keeps the work, leaves Ctrl-C to its parent, and dies with it."""
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _make(index: int) -> bytes:
    assert _work is not None
    return _work.part(index).encode()


@contextmanager
def _one_thread() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
