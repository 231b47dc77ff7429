# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks, each read from a directory that the user names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from roborefer_vlm.evaluation.benchmarks import own, refspatial, robospatial, where2place
from roborefer_vlm.evaluation.benchmarks.hub import fetch
from roborefer_vlm.evaluation.records import Benchmark, Protocol, Question
from roborefer_vlm.exceptions import ConfigurationError


@dataclass(frozen=True)
class _Kind:
    load: Callable[[Path, Sequence[str], float | None], list[Question]]
    protocol: Protocol
    about: str


KINDS = {
    "refspatial": _Kind(
        refspatial.load, Protocol.REFSPATIAL, "RefSpatial-Bench, raw folders or parquet"
    ),
    "refspatial-expand": _Kind(
        refspatial.load, Protocol.REFSPATIAL, "RefSpatial-Expand-Bench, raw folders or parquet"
    ),
    "robospatial-home": _Kind(
        robospatial.load, Protocol.ROBOSPATIAL, "RoboSpatial-Home, annotations.json or parquet"
    ),
    "where2place": _Kind(
        where2place.load, Protocol.WHERE2PLACE, "Where2Place, point_questions.jsonl"
    ),
    "own": _Kind(
        own.load, Protocol.REFSPATIAL, "question.json with depth, camera and marked things"
    ),
    "sim": _Kind(
        own.load, Protocol.REFSPATIAL, "RoboRefer-Sim-Bench, made by `roborefer data bench`"
    ),
}


def load_benchmark(
    name: str,
    place: str | Path,
    *,
    parts: Sequence[str] = (),
    depth_scale_m: float | None = None,
) -> Benchmark:
    """Return a benchmark, in the order of its files, with every record checked.

    Args:
        name: One of KINDS.
        place: The directory; or "hub:<owner>/<data set>" to have it fetched from the Hugging Face
            hub. Nothing is ever fetched unless it is written like that.
        parts: Categories (splits) to read, in lower case; empty: all there are.
        depth_scale_m: Metres per unit of depth pictures whose unit the benchmark does not state
            (RoboSpatial-Home); None: those are left alone.

    Raises:
        ConfigurationError: No such benchmark, directory or part.
        RecordError: A record is malformed or a file that it names is missing; nothing is dropped.
    """
    if name not in KINDS:
        raise ConfigurationError(f"benchmark '{name}' is unknown; known are {', '.join(KINDS)}")
    directory = fetch(place) if str(place).startswith("hub:") else Path(place)
    if not directory.is_dir():
        raise ConfigurationError(f"{directory} is no directory; name the one with the benchmark")
    kind = KINDS[name]
    questions = kind.load(directory, tuple(part.lower() for part in parts), depth_scale_m)
    return Benchmark(name, directory, kind.protocol, tuple(questions))
