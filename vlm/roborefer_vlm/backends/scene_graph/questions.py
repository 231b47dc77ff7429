# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Sentences that ask: yes or no, how many, how far, and which one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from roborefer_vlm.backends.scene_graph.modifiers import Mod, described
from roborefer_vlm.backends.scene_graph.phrase_chart import Found, PhraseChart
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.program import (
    Ask,
    Constraint,
    Program,
    Quantifier,
    Question,
    Request,
    Thing,
)

_BE = ("is", "are", "was", "were")
_FIT = (
    ("fit",),
    ("be", "placed"),
    ("be", "put"),
    ("be", "moved"),
    ("be", "located"),
    ("stand",),
    ("go",),
)


def questions(chart: PhraseChart, start: int) -> Found[Program]:
    """Return every question that begins at a token."""
    found: Found[Program] = []
    first, second = chart.token(start), chart.token(start + 1)
    if first in _BE:
        if second == "there":
            found += _existence(chart, start + 2)
        else:
            found += _configuration(chart, start + 1)
    if first in ("can", "could", "does", "will", "would"):
        found += _compatibility(chart, start + 1)
    if first == "how" and second == "many":
        found += _count(chart, start + 2)
    found += _distance(chart, start)
    if first in ("which", "what"):
        found += _choice(chart, start + 1)
    return found


def _configuration(chart: PhraseChart, at: int) -> Found[Program]:
    return [
        (Question(Ask.CONFIGURATION, (subject,), constraint), end)
        for subject, middle in chart.things(at)
        for constraint, end in _constraint(chart, middle)
    ]


def _constraint(chart: PhraseChart, at: int) -> Found[Constraint]:
    """Read one relation, with the frame it is meant in."""
    found: Found[Constraint] = []
    for mods, end in chart.modifiers(at, True):
        constraint = _single(mods)
        if constraint is not None:
            found.append((constraint, end))
    return found


def _single(mods: Sequence[Mod]) -> Constraint | None:
    if not mods or not isinstance(mods[0], Constraint):
        return None
    constraint = mods[0]
    for mod in mods[1:]:
        if not isinstance(mod, Frame):
            return None
        constraint = replace(constraint, frame=mod)
    return constraint


def _compatibility(chart: PhraseChart, at: int) -> Found[Program]:
    found: Found[Program] = []
    for subject, middle in chart.things(at):
        for row in _FIT:
            if chart.tokens[middle : middle + len(row)] == row:
                found += [
                    (Question(Ask.COMPATIBILITY, (subject,), constraint), end)
                    for constraint, end in _constraint(chart, middle + len(row))
                ]
    return found


def _existence(chart: PhraseChart, at: int) -> Found[Program]:
    return [(Question(Ask.EXISTENCE, (thing,)), end) for thing, end in chart.things(at)]


def _count(chart: PhraseChart, at: int) -> Found[Program]:
    found: Found[Program] = []
    for (base, rank), middle in chart.heads(at):
        if rank is not None:
            continue
        base = replace(base, quantifier=Quantifier.ALL)
        behind = middle + (chart.token(middle) in _BE)
        behind += chart.token(behind) == "there"
        for mods, end in chart.modifiers(behind, True):
            thing = described(base, mods, None)
            if thing is not None:
                found.append((Question(Ask.COUNT, (thing,)), end))
    return found


def _distance(chart: PhraseChart, start: int) -> Found[Program]:
    tokens = chart.tokens
    found: Found[Program] = []
    for row, joints in (
        (("how", "far", "is"), (("from",), ("away", "from"), ("to",))),
        (("how", "far", "apart", "are"), (("and",),)),
        (("what", "is", "the", "distance", "between"), (("and",),)),
        (("what", "is", "the", "distance", "from"), (("to",),)),
        (("what", "is", "the", "distance", "of"), (("from",), ("to",))),
    ):
        if tokens[start : start + len(row)] != row:
            continue
        for first, middle in chart.anchors(start + len(row)):
            for joint in joints:
                if tokens[middle : middle + len(joint)] == joint:
                    found += [
                        (Question(Ask.DISTANCE, (first, second)), end)
                        for second, end in chart.anchors(middle + len(joint))
                    ]
    return found


def _choice(chart: PhraseChart, at: int) -> Found[Program]:
    """Read "which mug is closest to the plate": it asks for a thing."""
    found: Found[Program] = []
    heads = [(base, rank, end) for (base, rank), end in chart.heads(at)]
    if chart.token(at) == "of":
        heads += [
            (replace(base, quantifier=Quantifier.ONE, count=None), rank, end)
            for (base, rank), end in chart.heads(at + 1)
        ]
    if chart.token(at) in _BE:
        heads.append((Thing("object"), None, at))
    for base, rank, middle in heads:
        behind = middle + (chart.token(middle) in _BE)
        for mods, end in chart.modifiers(behind, True):
            thing = described(base, mods, rank) if mods else None
            if thing is not None:
                found.append((Request((thing,)), end))
    return found
