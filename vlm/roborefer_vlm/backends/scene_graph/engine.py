# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The engine without weights: sentence to program, picture to scene, program to points.

It runs on one CPU core, says every step it took, and says why when it cannot answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from threading import Event

from roborefer_vlm.backends.base import EngineInfo
from roborefer_vlm.backends.scene_graph.detector import Detector
from roborefer_vlm.backends.scene_graph.free_space import space_candidates
from roborefer_vlm.backends.scene_graph.grammar import NotUnderstood, parse
from roborefer_vlm.backends.scene_graph.matching import Matcher
from roborefer_vlm.backends.scene_graph.mentions import mentioned
from roborefer_vlm.backends.scene_graph.namer import Namer
from roborefer_vlm.backends.scene_graph.perceive import build_scene
from roborefer_vlm.backends.scene_graph.segmentation import Segmenter
from roborefer_vlm.exceptions import CancelledError, QueryError
from roborefer_vlm.scenes.execution import Execution, Executor
from roborefer_vlm.types import Answer, LatencySplit, Outcome, Query

NAME = "scene_graph"


class SceneGraphEngine:
    """Answers from the geometry of the scene; needs metric depth and intrinsics.

    Args:
        segmenter: Finds things where a query brings none; None: the package's own, by geometry.
        detector: Open-vocabulary detector that finds and names things; None: none.
        namer: Names things of a closed set that it was trained on; None: nobody does.
    """

    def __init__(
        self,
        *,
        segmenter: Segmenter | None = None,
        detector: Detector | None = None,
        namer: Namer | None = None,
    ) -> None:
        self._segmenter = segmenter
        self._detector = detector
        self._namer = namer
        self._matcher = Matcher()

    @property
    def info(self) -> EngineInfo:
        """What this engine is."""
        return EngineInfo(NAME, "rules", uses_depth=True, needs_depth=True)

    def refer(
        self,
        query: Query,
        *,
        on_text: Callable[[str], None] | None = None,
        cancelled: Event | None = None,
    ) -> Answer:
        """Answer one query.

        Args:
            query: With depth_m and intrinsics. Its objects are taken as they are; without any,
                the picture is segmented.
            on_text: Called with every reasoning step, one line each.
            cancelled: Looked at between stages.

        Raises:
            QueryError: Depth or intrinsics are missing.
            CancelledError: `cancelled` was set.
        """
        stopped = partial(_check, cancelled)
        begin = time.perf_counter()
        _check_depth(query)
        programs = parse(query.text)
        if isinstance(programs, NotUnderstood):
            return self._answer(
                Execution(Outcome.NOT_UNDERSTOOD, text=_sentence(programs.message)), begin, begin
            )
        stopped()
        phrases = tuple(dict.fromkeys(p for program in programs for p in mentioned(program)))
        scene = build_scene(
            query,
            segmenter=self._segmenter,
            detector=self._detector,
            namer=self._namer,
            phrases=phrases,
        )
        seen = time.perf_counter()
        stopped()
        executor = Executor(scene, self._matcher, partial(space_candidates, scene), stopped)
        result = executor.best(programs, query.kind)
        for step in result.steps:
            stopped()
            if on_text is not None:
                on_text(f"{step.text}\n")
        return self._answer(result, begin, seen)

    def refer_batch(self, queries: Sequence[Query]) -> list[Answer | Exception]:
        """Answer several queries, one after the other; row i is what query i gives alone."""
        answers: list[Answer | Exception] = []
        for query in queries:
            try:
                answers.append(self.refer(query))
            except QueryError as error:
                answers.append(error)
        return answers

    def close(self) -> None:
        """Do nothing: no memory or connection is held."""

    def _answer(self, result: Execution, begin: float, seen: float) -> Answer:
        now = time.perf_counter()
        return Answer(
            result.outcome,
            result.points,
            result.kind,
            result.points[0].confidence if result.points else 0.0,
            result.steps,
            result.candidates,
            result.text,
            (result.points,),
            f"{NAME}:rules",
            LatencySplit(preprocess_s=seen - begin, decode_s=now - seen, total_s=now - begin),
        )


def _check(cancelled: Event | None) -> None:
    if cancelled is not None and cancelled.is_set():
        raise CancelledError("the query was taken back")


def _check_depth(query: Query) -> None:
    if query.depth_m is None:
        raise QueryError(
            "depth_m is missing: the scene_graph engine measures; send metric depth registered"
            " to the image, or use the roborefer engine for RGB alone"
        )
    if query.intrinsics is None:
        raise QueryError("intrinsics are missing; send fx, fy, cx, cy of the image's camera")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
