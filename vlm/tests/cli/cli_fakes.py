# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""An engine whose answers a test chooses, and a program that runs the command line with it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from threading import Event

import benchmark_layouts as lay
from roborefer_vlm.backends.base import EngineInfo
from roborefer_vlm.exceptions import CancelledError
from roborefer_vlm.types import Answer, Query


class FakeEngine:
    """Answers with what a function makes of the query."""

    def __init__(
        self,
        answer: Callable[[Query], Answer] = lambda _: lay.HIT,
        *,
        needs_depth: bool = False,
        hangs: bool = False,
    ) -> None:
        self._answer = answer
        self._hangs = hangs
        self.info = EngineInfo("fake", "fake-1", needs_depth=needs_depth)
        self.queries: list[Query] = []
        self.closed = False

    def refer(self, query: Query, *, on_text=None, cancelled: Event | None = None) -> Answer:
        self.queries.append(query)
        if self._hangs:
            assert cancelled is not None
            assert cancelled.wait(10)
            raise CancelledError("taken back")
        return self._answer(query)

    def refer_batch(self, queries: Sequence[Query]) -> list[Answer | Exception]:
        return [self.refer(query) for query in queries]

    def close(self) -> None:
        self.closed = True


def main() -> int:
    """Run the command line with an engine that stops at the third question until it is killed."""
    from roborefer_vlm.backends import registry
    from roborefer_vlm.cli.main import main as command

    count = 0

    def answer(_: Query) -> Answer:
        nonlocal count
        count += 1
        if count > 3 and sys.argv[1] == "stuck":
            Event().wait(60)
        return lay.HIT

    registry.create_engine = lambda spec: FakeEngine(answer)
    return command(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
