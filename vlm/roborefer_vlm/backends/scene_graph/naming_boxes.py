# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Bringing together what a detector names and what depth separates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from roborefer_vlm.backends.scene_graph.detector import Detection
from roborefer_vlm.types import BoolArray, GivenObject

# Share of a segment inside a box that makes it a part of the thing.
INSIDE = 0.6
# Share of a box that its segments have to span to be the thing.
SPANNED = 0.3
# Two detections that share this much (intersection over union) are one thing.
SAME = 0.6


def name_segments(
    detections: Sequence[Detection], segments: Sequence[BoolArray], bare: BoolArray
) -> list[GivenObject]:
    """Return named things from detections, then the segments that nothing named.

    Args:
        detections: Best first.
        segments: One mask per thing that depth separates, each of shape (height, width).
        bare: Pixels of bare surfaces, shape (height, width).
    """
    things: list[GivenObject] = []
    for found in detections:
        mask = found.mask if found.mask is not None else _mask_of(found, segments, bare)
        if not mask.any():
            continue
        same = next((i for i, t in enumerate(things) if _iou(t.mask, mask) > SAME), None)
        if same is None:
            things.append(GivenObject(found.label, mask))
            continue
        # A further phrase that fits the same thing is true of it as well.
        thing = things[same]
        if found.label not in (thing.name, *thing.attributes):
            things[same] = GivenObject(thing.name, thing.mask, (*thing.attributes, found.label))
    named = [t.mask for t in things]
    rest = [s for s in segments if all(_covered(s, mask) < INSIDE for mask in named)]
    return [*things, *(GivenObject("", mask) for mask in rest)]


def _mask_of(found: Detection, segments: Sequence[BoolArray], bare: BoolArray) -> BoolArray:
    """Return the pixels of a boxed thing: segments in the box, or what is not bare in it."""
    box = _box_mask(found, bare.shape)
    inside = [s for s in segments if _covered(s, box) > INSIDE]
    if inside:
        union = np.any(inside, axis=0)
        if np.count_nonzero(_bounds(union) & box) > SPANNED * np.count_nonzero(box):
            return np.asarray(union)
    # Depth has joined several things: the box cuts this one out.
    shared = [s & box for s in segments]
    largest = max(shared, key=np.count_nonzero, default=np.zeros_like(bare))
    if np.count_nonzero(largest) > SPANNED * np.count_nonzero(box):
        return largest
    return box & ~bare


def _box_mask(found: Detection, shape: tuple[int, ...]) -> BoolArray:
    """Return the pixels of a box; none of a box beside the picture."""
    mask = np.zeros(shape, bool)
    left, top, right, bottom = (
        np.clip(np.nan_to_num(found.box), -1, max(shape)).round().astype(int)
    )
    if right >= 0 and bottom >= 0:
        mask[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = True
    return mask


def _bounds(mask: BoolArray) -> BoolArray:
    """Return the upright rectangle around a mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    whole = np.zeros_like(mask)
    whole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return whole


def _covered(mask: BoolArray, by: BoolArray) -> float:
    return float(int(np.count_nonzero(mask & by)) / max(int(np.count_nonzero(mask)), 1))


def _iou(a: BoolArray, b: BoolArray) -> float:
    return float(int(np.count_nonzero(a & b)) / max(int(np.count_nonzero(a | b)), 1))
