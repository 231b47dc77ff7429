# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The tables of a run: the figures of report.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from roborefer_vlm.evaluation.records import Protocol, Word
from roborefer_vlm.evaluation.scoring.score import Scored
from roborefer_vlm.evaluation.scoring.strict import Verdict
from roborefer_vlm.evaluation.statistics import bootstrap, compare, latency
from roborefer_vlm.exceptions import ConfigurationError
from roborefer_vlm.types import LatencySplit

# What the figure beside the strict one means; scores of different protocols do not compare.
PROTOCOLS = {
    Protocol.REFSPATIAL: "share of points in the mask, unreadable answers left out",
    Protocol.ROBOSPATIAL: "first point in the polygon, yes or no by prefix",
    Protocol.WHERE2PLACE: "mean grey value of the soft mask, unreadable answers left out",
}


def summarise(scored: Sequence[Scored], protocol: Protocol, total: int) -> dict[str, Any]:
    """Return all figures of a run as plain data.

    Args:
        scored: The results, in the order of the benchmark.
        protocol: Whose scoring stands beside the strict one.
        total: Number of questions that were to be asked; fewer results mean an unfinished run.

    Returns:
        questions, answered, strict and protocol figures, tables by category, by step and by
        scene, counts of verdicts, latency. Scores are shares of 1 with 95 % intervals.
    """
    table: dict[str, Any] = {"questions": total, "answered": len(scored)}
    if not scored:
        return table
    table |= _figures(scored)
    table["protocol"]["name"] = PROTOCOLS[protocol]
    table["by_category"] = _groups(scored, lambda item: item.question.category)
    table["by_step"] = _groups(scored, lambda item: item.question.step)
    table["by_category_and_step"] = _groups(_by_step(scored), _category_and_step)
    table["by_scene"] = _groups(scored, lambda item: item.question.scene or None)
    counts = Counter(item.verdict for item in scored)
    table["verdicts"] = {verdict.value: counts[verdict] for verdict in Verdict if counts[verdict]}
    table["latency"] = _latency(scored)
    if protocol is Protocol.ROBOSPATIAL:
        table["robospatial"] = _robospatial(scored, table["by_category"])
    return table


def compare_runs(first: Sequence[Scored], second: Sequence[Scored]) -> dict[str, Any]:
    """Return how the second run differs from the first on the questions of both.

    Raises:
        ConfigurationError: The runs have no question in common.
    """
    earlier = {item.question.id: item.strict for item in first}
    both = [item for item in second if item.question.id in earlier]
    if not both:
        raise ConfigurationError("the two runs have no question in common")
    difference = compare(
        [earlier[item.question.id] for item in both], [item.strict for item in both]
    )
    return asdict(difference)


def _figures(scored: Sequence[Scored]) -> dict[str, Any]:
    kept = [item.protocol for item in scored if item.protocol is not None]
    return {
        "strict": asdict(bootstrap([item.strict for item in scored])),
        "protocol": {
            "mean": sum(kept) / len(kept) if kept else None,
            "evaluated": len(kept),
            "total": len(scored),
        },
    }


def _groups(
    scored: Sequence[Scored], key: Callable[[Scored], str | int | None]
) -> dict[str, dict[str, Any]]:
    groups: dict[str | int, list[Scored]] = {}
    for item in scored:
        name = key(item)
        if name is not None:
            groups.setdefault(name, []).append(item)
    numbers = all(isinstance(name, int) for name in groups)
    order = sorted(groups, key=int) if numbers else list(groups)
    return {str(name): _figures(groups[name]) for name in order}


def _by_step(scored: Sequence[Scored]) -> list[Scored]:
    """Return the results by step within each category; categories keep their order."""
    places = {name: place for place, name in enumerate(i.question.category for i in scored)}
    return sorted(scored, key=lambda i: (places[i.question.category], i.question.step or 0))


def _category_and_step(item: Scored) -> str | None:
    step = item.question.step
    return None if step is None else f"{item.question.category}, {step}"


def _latency(scored: Sequence[Scored]) -> dict[str, Any]:
    """Return percentiles of the whole time as the asker saw it, and of each stage."""
    table: dict[str, Any] = {}
    answers = [item.result.answer for item in scored if item.result.answer is not None]
    walls = [item.result.wall_s for item in scored if item.result.answer is not None]
    if (whole := latency(walls)) is not None:
        table["wall"] = asdict(whole)
    for stage in fields(LatencySplit):
        if not stage.name.endswith("_s"):
            continue
        spent = [float(getattr(answer.latency, stage.name)) for answer in answers]
        stage_latency = latency(spent)
        if stage_latency is not None and any(spent):
            table[stage.name.removesuffix("_s")] = asdict(stage_latency)
    return table


def _robospatial(
    scored: Sequence[Scored], by_category: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the figures that papers on RoboSpatial-Home print.

    "total" is the mean of the categories' means, "vqa" the mean over all yes/no questions; None
    when a category was not asked.
    """
    words = [item for item in scored if isinstance(item.question.truth, Word)]
    whole = {"context", "compatibility", "configuration"} <= by_category.keys()
    return {
        kind: {
            "total": sum(group[kind]["mean"] for group in by_category.values()) / len(by_category)
            if whole
            else None,
            "vqa": _figures(words)[kind]["mean"] if words else None,
        }
        for kind in ("strict", "protocol")
    }
