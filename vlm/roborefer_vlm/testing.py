# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for tests and dry runs: an engine without weights whose answers can be foretold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event

from roborefer_vlm.backends.base import EngineInfo
from roborefer_vlm.exceptions import CancelledError
from roborefer_vlm.types import (
    Answer,
    Outcome,
    PerceptionType,
    Pixel,
    Query,
    ReasoningStep,
    ReferredPoint,
    TargetKind,
)

PIECES = ("Look at the picture. ", "Read its first pixel. ", "Point there.")


def fake_answer(query: Query) -> Answer:
    """Return what `FakeEngine` answers: the first pixel's red and green say where to point."""
    red, green, blue = map(int, query.image[0, 0])
    pixel = Pixel(float(red % query.width), float(green % query.height))
    point = ReferredPoint(pixel, confidence=blue / 255, label=query.text, reason="first pixel")
    steps = (ReasoningStep(PIECES[1], PerceptionType.POSITION, "first pixel", pixel=pixel),)
    return Answer(
        Outcome.OK,
        points=(point,),
        kind=TargetKind.OBJECT if query.kind is TargetKind.UNKNOWN else query.kind,
        confidence=point.confidence,
        reasoning=steps,
        text="".join(PIECES),
        samples=((point,),) * query.sampling.samples,
        engine="fake:first-pixel",
    )


class FakeEngine:
    """An engine that answers at once, unless told otherwise.

    Attributes:
        batches: The sizes of all batches it was given, single queries included.
        closed: How often it was closed.
    """

    def __init__(
        self,
        *,
        max_batch: int = 8,
        on_query: Callable[[Query, Event | None], None] = lambda query, cancelled: None,
    ) -> None:
        """Prepare.

        Args:
            max_batch: What `info` says.
            on_query: Called before each answer; may wait, look at the event, or raise.
        """
        self.batches: list[int] = []
        self.closed = 0
        self._on_query = on_query
        self._info = EngineInfo("fake", "first-pixel", uses_depth=True, max_batch=max_batch)

    @property
    def info(self) -> EngineInfo:
        """What this engine is."""
        return self._info

    def refer(
        self,
        query: Query,
        *,
        on_text: Callable[[str], None] | None = None,
        cancelled: Event | None = None,
    ) -> Answer:
        """Answer one query; see `Engine.refer`."""
        self.batches.append(1)
        return self._answer(query, on_text, cancelled)

    def refer_batch(self, queries: Sequence[Query]) -> list[Answer | Exception]:
        """Answer several; see `Engine.refer_batch`."""
        self.batches.append(len(queries))
        answers: list[Answer | Exception] = []
        for query in queries:
            try:
                answers.append(self._answer(query, None, None))
            except Exception as error:
                answers.append(error)
        return answers

    def close(self) -> None:
        """Count; there is nothing to let go of."""
        self.closed += 1

    def _answer(
        self, query: Query, on_text: Callable[[str], None] | None, cancelled: Event | None
    ) -> Answer:
        self._on_query(query, cancelled)
        for piece in PIECES:
            if cancelled is not None and cancelled.is_set():
                raise CancelledError("the query was taken back")
            if on_text is not None:
                on_text(piece)
        return fake_answer(query)
