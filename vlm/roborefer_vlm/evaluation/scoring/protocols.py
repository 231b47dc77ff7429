# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The scoring of the benchmarks' own evaluators, quirks included, for comparison with papers.

RefSpatial-Bench (Zhoues/RoboRefer): share of points on mask pixels above zero. An answer that
cannot be read raises there, and the question drops out of the mean (None here). How its tuples
are read is told in parsing.reference.

Where2Place (wentaoyuan/RoboPoint): the same reading, and the mean grey value of the soft mask at
the points.

RoboSpatial-Home (chanhee-luke/RoboSpatial-Eval): the first (x, y), else the first [x, y], lies in
the polygon; yes and no by how the text begins, so that "nothing" is a no. What cannot be read is
wrong.
"""

from __future__ import annotations

import re

import numpy as np

from roborefer_vlm.evaluation.records import Protocol, Word
from roborefer_vlm.evaluation.results import Result
from roborefer_vlm.evaluation.scoring.truth import DecodedArea, in_polygon
from roborefer_vlm.exceptions import AnswerError
from roborefer_vlm.parsing.reference import read_tuples
from roborefer_vlm.types import FloatArray, Outcome

_DECIMAL = r"(\d++(?:\.\d*+)?+)"
_PAIRS = (
    re.compile(rf"\(\s*+{_DECIMAL}\s*+,\s*+{_DECIMAL}\s*+\)"),
    re.compile(rf"\[\s*+{_DECIMAL}\s*+,\s*+{_DECIMAL}\s*+\]"),
)


def evaluator_text(result: Result) -> str | None:
    """Return the text that a benchmark's evaluator would have been given.

    For RoboRefer it is what the model wrote. Other engines write in other forms, so their points
    are written down as RoboRefer writes them; without points it is their text.

    Returns:
        None: there is no answer.
    """
    answer = result.answer
    if answer is None:
        return None
    if answer.engine.startswith("roborefer") or answer.outcome is not Outcome.OK:
        return answer.text
    pairs = (point.pixel.normalised(result.width, result.height) for point in answer.points)
    return "[" + ", ".join(f"({x:.6f}, {y:.6f})" for x, y in pairs) + "]"


def protocol_score(
    protocol: Protocol, truth: DecodedArea | Word, text: str | None
) -> float | None:
    """Return the score of an answer by the benchmark's own rules.

    Returns:
        0 to 1; None: that evaluator leaves the question out of its mean.
    """
    if protocol is Protocol.ROBOSPATIAL:
        return robospatial_score(truth, text or "")
    if isinstance(truth, Word) or truth.weights is None:
        return None
    return mask_score(truth.weights, text)


def mask_score(weights: FloatArray, text: str | None) -> float | None:
    """Return the mean weight at the points of a text, as RefSpatial-Bench and Where2Place do.

    Args:
        weights: 0 to 1 per pixel of the mask, shape (rows, columns).
        text: The answer; None: there is none.

    Returns:
        0 to 1, where points outside the mask and an answer without points count 0; None: the
        evaluator fails on this text.
    """
    rows, columns = weights.shape
    try:
        points = np.asarray(read_tuples(text, columns, rows))
    except AnswerError:
        return None
    if not len(points):
        return 0.0
    inside = ((points >= 0) & (points < (columns, rows))).all(axis=1)
    u, v = points[inside].astype(np.intp).T
    return float(weights[v, u].sum(dtype=np.float64) / len(points))


def robospatial_score(truth: DecodedArea | Word, text: str) -> float:
    """Return 1 for right and 0 for wrong, as RoboSpatial-Eval does."""
    if isinstance(truth, Word):
        return float(text.strip().lower().startswith(truth.word))
    for pattern in _PAIRS:
        if found := pattern.search(text):
            return float(in_polygon(float(found[1]), float(found[2]), truth.polygon))
    return 0.0
