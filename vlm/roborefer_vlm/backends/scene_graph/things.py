# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From the pixels of a thing to what can be measured of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from roborefer_vlm.backends.scene_graph.boxes import upright_box
from roborefer_vlm.backends.scene_graph.colors import color_shares
from roborefer_vlm.backends.scene_graph.shapes import is_hollow
from roborefer_vlm.backends.scene_graph.view import View, window
from roborefer_vlm.scenes.graph import OrientedBox
from roborefer_vlm.types import BoolArray, FloatArray

FEWEST_POINTS = 12
MOST_SAMPLED = 3000


@dataclass(frozen=True, eq=False)
class Thing:
    """A thing before it is known what it stands on.

    Attributes:
        name: What it is, or "".
        attributes: Words that came with it.
        mask: Its pixels, shape (height, width).
        points: Its visible surface in the scene's frame, shape (N, 3).
        sample: Evenly chosen ones of those points, enough to measure shapes.
        box: Around those points.
        hollow: Whether things can be inside it.
        colors: Share of each colour name.
        bottom: Lowest measured height, without strays, metres.
        low: Height above which nearly all of it is, metres.
        middle: Median height, metres.
        top: Highest measured height, without strays, metres.
    """

    name: str
    attributes: frozenset[str]
    mask: BoolArray
    points: FloatArray
    sample: FloatArray
    box: OrientedBox
    hollow: bool
    colors: dict[str, float]
    bottom: float
    low: float
    middle: float
    top: float


def measure(
    view: View, mask: BoolArray, name: str = "", attributes: frozenset[str] = frozenset()
) -> Thing | None:
    """Return what can be measured of a thing, or None if its depth was not measured.

    Args:
        view: The look at the scene.
        mask: Its pixels, shape (height, width).
        name: What it is, or "".
        attributes: Further words that are true of it.
    """
    worked = view.worked(mask)
    part = window(worked)
    points = view.points[part][believable(view, worked, part)]
    if len(points) < FEWEST_POINTS:
        return None
    sample = points[:: -(-len(points) // MOST_SAMPLED)]
    bottom, low, top = (float(x) for x in np.quantile(sample[:, 2], [0.02, 0.05, 0.98]))
    whole = window(mask)
    return Thing(
        name,
        attributes,
        mask,
        points,
        sample,
        upright_box(sample),
        is_hollow(sample, view.camera.position),
        color_shares(view.colors[whole], mask[whole]),
        bottom,
        low,
        float(np.median(sample[:, 2])),
        top,
    )


def believable(view: View, mask: BoolArray, part: tuple[slice, slice]) -> BoolArray:
    """Return the pixels of a part of a mask whose depth is that of the thing.

    Masks and depth are off against each other by some pixels, so a mask holds strips of what is
    behind or in front, points that the camera invents between the two, and the table around the
    thing. The largest piece without jumps is the thing, with the pieces close to it; the table's
    plane is left out where the thing rises well above it.
    """
    measured = mask[part] & view.cloud.valid[part]
    inside = measured & ~view.cloud.flying[part]
    if inside.sum() < max(FEWEST_POINTS, 0.2 * measured.sum()):
        # Of a thing as thin as a wire little else is measured.
        inside = measured
    if not inside.any():
        return inside
    inside = _largest_pieces(view.points[part], inside)
    if view.ground.plane is not None:
        z, tolerance = view.points[part][..., 2], view.tolerance[part]
        rises = np.quantile(z[inside], 0.9) > 3 * np.median(tolerance[inside])
        above = inside & (z > tolerance)
        if rises and above.sum() > 0.3 * inside.sum():
            inside = above
    return inside


def _largest_pieces(points: FloatArray, inside: BoolArray) -> BoolArray:
    """Return the largest connected piece, and others that are no farther away than its size."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        inside.astype(np.uint8), connectivity=4
    )
    if count <= 2:
        return inside
    areas = stats[:, cv2.CC_STAT_AREA].astype(float)
    areas[0] = 0
    core = int(np.argmax(areas))
    kept = labels == core
    low, high = np.quantile(points[kept], [0.02, 0.98], axis=0)
    margin = np.maximum(0.65 * np.linalg.norm(high - low), 0.015)
    for label in range(1, count):
        if label == core or areas[label] < 4:
            continue
        piece = labels == label
        middle = np.median(points[piece], axis=0)
        if ((middle > low - margin) & (middle < high + margin)).all():
            kept |= piece
    return np.asarray(kept)
