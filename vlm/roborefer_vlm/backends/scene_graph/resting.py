# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Which surface or thing each thing stands on, or lies in."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from roborefer_vlm.backends.scene_graph.surfaces import Level
from roborefer_vlm.backends.scene_graph.things import Thing
from roborefer_vlm.scenes.graph import Array

# How much a measured bottom and the top below it may differ.
GAP_M = 0.03
# Of two things closer in height nothing shows which lies on the other.
LEAST_RISE_M = 0.004
# How far out of a surface's outline a thing's middle may lie: outlines are of bare pixels.
OVERHANG_M = 0.05
# Share of the upper thing's footprint that the lower one has to carry.
CARRIED = 0.4


def find_supports(things: Sequence[Thing], levels: Sequence[Level]) -> list[int | None]:
    """Return for each thing the index of its support, or None where none is seen.

    Indices count things first, then levels. What a thing hides of itself is taken to reach down
    to whatever is highest below it.
    """
    supports: list[int | None] = []
    for i, thing in enumerate(things):
        below = [
            (other.top, j)
            for j, other in enumerate(things)
            if j != i and not _rests_on(j, i, supports) and _carries(other, thing)
        ]
        best = max(below, default=None)
        supports.append(best[1] if best else _level_below(thing, levels, len(things)))
    return supports


def _rests_on(upper: int, lower: int, supports: Sequence[int | None]) -> bool:
    """Tell whether one thing is known to stand on another, directly or over others."""
    at: int | None = upper
    while at is not None and at < len(supports):
        at = supports[at]
        if at == lower:
            return True
    return False


def _carries(lower: Thing, thing: Thing) -> bool:
    """Tell whether a thing stands on or in a lower one."""
    if _shared_footprint(thing, lower) < CARRIED:
        return False
    # Inside: sticking out is fine, a larger thing behind is not.
    if lower.hollow and thing.bottom < lower.top - 0.01:
        return _area(thing) < 0.8 * _area(lower)
    # From above only the top of a thing is seen, so that its bottom may be lower than measured.
    return thing.bottom > lower.top - GAP_M and thing.middle > lower.middle + LEAST_RISE_M


def _level_below(thing: Thing, levels: Sequence[Level], first: int) -> int | None:
    """Return the index of the highest level under a thing's middle."""
    middle = (float(thing.box.center[0]), float(thing.box.center[1]))
    found = [
        (level.height, first + j)
        for j, level in enumerate(levels)
        if level.height < thing.low + GAP_M
        and cv2.pointPolygonTest(level.outline.astype(np.float32), middle, True) > -OVERHANG_M
    ]
    return max(found)[1] if found else None


def _corners(thing: Thing) -> Array:
    return thing.box.corners[[0, 2, 6, 4], :2]


def _area(thing: Thing) -> float:
    return float(thing.box.size[0] * thing.box.size[1])


def _shared_footprint(thing: Thing, lower: Thing) -> float:
    """Return the share of a thing's footprint over another's."""
    area, _ = cv2.intersectConvexConvex(
        _corners(thing).astype(np.float32), _corners(lower).astype(np.float32)
    )
    return float(area) / max(_area(thing), 1e-9)
