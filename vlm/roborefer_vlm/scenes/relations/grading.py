# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From measures to scores: 1 is a perfect example, 0.5 is the border, 0 is out of question."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from roborefer_vlm.scenes.graph import Array


def falling(measure: npt.ArrayLike, border: npt.ArrayLike, end: npt.ArrayLike) -> Array:
    """Return 1 at 0 or less, 0.5 at the border, 0 from the end on.

    Flat near 0 (a parabola up to the border), since small misfits do not matter to people, and
    a straight line from there to the end.

    Args:
        measure: What should be small, shape (N,).
        border: Where the relation stops to hold, above 0.
        end: Where the score reaches 0, above the border.
    """
    measure, border, end = (np.asarray(v, float) for v in (measure, border, end))
    inner = 1 - 0.5 * (np.maximum(measure, 0) / border) ** 2
    outer = 0.5 * np.minimum(np.maximum((end - measure) / (end - border), 0), 1)
    return np.asarray(np.where(measure <= border, inner, outer))


def decaying(measure: npt.ArrayLike, border: npt.ArrayLike) -> Array:
    """Return 1 at 0 or less, 0.5 at the border, and less without end: border / (border + x)."""
    measure, border = np.asarray(measure, float), np.asarray(border, float)
    return np.asarray(border / (border + np.maximum(measure, 0)))


def weaken(score: Array, weight: float, quality: Array) -> Array:
    """Lower the part of scores above 0.5 by a quality in 0..1, so that what holds still holds.

    Args:
        score: Shape (N,).
        weight: Share of that part which the quality decides about.
        quality: Shape (N,); 1 changes nothing.
    """
    above = np.maximum(score - 0.5, 0)
    return np.asarray(score - above * weight * (1 - quality))
