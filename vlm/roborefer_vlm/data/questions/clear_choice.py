# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Which of several things is clearly the tallest, the nearest, the one most to the left.

A superlative has a measure in `roborefer_vlm.scenes.relations.measures`, but people may judge by
another one: "wider" by how wide a thing looks from here. An order is clear when the measure tells
it with a margin and every other way of looking agrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from roborefer_vlm.data.clarity import apart
from roborefer_vlm.data.truth import Truth
from roborefer_vlm.data.views import Fact
from roborefer_vlm.scenes.frames import viewer_axes
from roborefer_vlm.scenes.graph import Array
from roborefer_vlm.scenes.places import Places
from roborefer_vlm.scenes.program import OrderKey

OPPOSITES = {
    OrderKey.LEFT: OrderKey.RIGHT,
    OrderKey.NEAR: OrderKey.FAR,
    OrderKey.HIGH: OrderKey.LOW,
    OrderKey.TALL: OrderKey.SHORT,
    OrderKey.BIG: OrderKey.SMALL,
    OrderKey.WIDE: OrderKey.NARROW,
}
# These hold whatever is known of gravity.
FLAT_KEYS = frozenset({OrderKey.LEFT, OrderKey.RIGHT, OrderKey.NEAR, OrderKey.FAR})
# Of a thing that leaves the picture these cannot be seen.
SIZE_KEYS = frozenset(
    {
        OrderKey.TALL,
        OrderKey.SHORT,
        OrderKey.BIG,
        OrderKey.SMALL,
        OrderKey.WIDE,
        OrderKey.NARROW,
    }
)
# Of bottoms of things, as share of the usual size: what is higher stands on something.
_LEAST_RAISED = 0.15


@dataclass(frozen=True)
class First:
    """What is clearly first.

    Attributes:
        id: Of the thing.
        values: By how much each option is what the key says, as `measure` gives it.
        margin: Least difference from the value of any other option.
    """

    id: int
    values: tuple[float, ...]
    margin: float


def known_keys(trusts: frozenset[Fact]) -> list[OrderKey]:
    """Return what things of a view can be compared by."""
    keys = [key for pair in OPPOSITES.items() for key in pair]
    return [key for key in keys if key in FLAT_KEYS or Fact.BOXES in trusts]


def inside_picture(truth: Truth, number: int) -> bool:
    """Tell whether all of a thing, hidden parts too, lies within the borders of the picture."""
    camera = truth.scene.camera
    pixels, _ = camera.project(truth.places.corners()[truth.row(number)])
    size = (camera.intrinsics.width, camera.intrinsics.height)
    return bool(((pixels >= -0.5) & (pixels < np.array(size) - 0.5)).all())


def clearly_first(
    truth: Truth, key: OrderKey, options: Sequence[int], anchor: int | None = None
) -> First | None:
    """Return which option is what the key says more than all others; None: that is not clear.

    Args:
        truth: Of the view.
        key: What is compared; one of `known_keys`.
        options: Ids of two or more things.
        anchor: NEAR and FAR: from where; it is no option.
    """
    rows = [truth.row(number) for number in options]
    values = truth.values(key, anchor)[rows]
    best = int(np.argmax(values))
    others = [i for i in range(len(rows)) if i != best]
    looks = [(way[rows], step) for way, step in _ways(truth, key, anchor)]
    for i in others:
        more, less = float(values[best]), float(values[i])
        if not apart(key, more, less, truth.usual_size, anchored=anchor is not None):
            return None
        if any(not way[best] - way[i] > step for way, step in looks):
            return None
    margin = float(values[best] - max(values[i] for i in others))
    return First(options[best], tuple(float(value) for value in values), margin)


def _ways(truth: Truth, key: OrderKey, anchor: int | None) -> list[tuple[Array, float]]:
    """Return other measures that must agree, larger for more, and by how much; NaN is unclear."""
    for more, less in OPPOSITES.items():
        if key is less:
            return [(-way, step) for way, step in _ways(truth, more, anchor)]
    places, camera = truth.places, truth.scene.camera
    if key is OrderKey.LEFT:
        pixels = camera.project(places.corners().reshape(-1, 3))[0][:, 0].reshape(len(places), 8)
        return [(-pixels.min(axis=1), 0.0), (-pixels.max(axis=1), 0.0)]
    if key is OrderKey.NEAR and anchor is not None:
        middle = Places.of_objects([truth.place(anchor)]).centers[0]
        return [(-np.linalg.norm(places.centers - middle, axis=1), 0.0)]
    if key is OrderKey.NEAR:
        # Some people look at where a thing begins, some at how far into the picture it is.
        corners = camera.to_optical(places.corners().reshape(-1, 3))[:, 2].reshape(len(places), 8)
        return [(-corners.mean(axis=1), 0.0), (-corners.min(axis=1), 0.0)]
    if key is OrderKey.HIGH:
        return [(places.bottoms, _LEAST_RAISED * truth.usual_size), (places.tops, 0.0)]
    if key is OrderKey.BIG:
        return [(places.diagonals, 0.0), (np.prod(places.half_sizes, axis=1), 0.0)]
    if key is OrderKey.WIDE:
        # As seen from here, and not only because it is long: a banana is not wider than a can.
        shorter = np.min(places.half_sizes[:, :2], axis=1)
        return [(places.half_extents(viewer_axes(camera).left), 0.0), (shorter, 0.0)]
    return []
