# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Things on surfaces, found without any learnt weights.

What rises above a level surface is cut where depth jumps and where the surface bends inwards, as
things are mostly convex and touch each other in a crease (the idea of LCCP, Stein et al., CVPR
2014). Pieces are joined again where their border is smooth, or where one lies inside the other,
as the inside of a mug does. Borders are then moved to the edges of the picture, as depth is
often a few pixels off.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import cv2
import numpy as np

from roborefer_vlm.backends.scene_graph.borders import refine_borders
from roborefer_vlm.backends.scene_graph.cloud import noise_m
from roborefer_vlm.backends.scene_graph.pieces import join_pieces
from roborefer_vlm.backends.scene_graph.surfaces import LEVEL, Level, covered_area, main_level
from roborefer_vlm.backends.scene_graph.view import View
from roborefer_vlm.types import BoolArray, FloatArray

# Nothing that people refer to on a table is smaller (as a share of the pixels) or thinner.
SMALLEST_SHARE = 0.0006
# What is higher belongs to the room or is the robot.
HIGHEST_THING_M = 0.6
# The same for what goes on above the picture, as a robot on the table does.
HIGHEST_CUT_OFF_M = 0.15
# Cosine between line of sight and normal of the steepest surface that is measured well.
GRAZING = 0.2
# A fringe of invented points is nearly all edges.
MOST_EDGES = 0.2
# Nothing that stands on a table begins higher, unless it stands on something.
LOWEST_HANGING_M = 0.06
SURELY_HANGING_M = 0.25
# A larger level top is a shelf or another table.
LARGEST_TOP_M2 = 0.15
# How far out of the surface's outline things may stand.
OVERHANG_M = 0.04
# A crease: how fast normals turn towards each other across the span of a normal.
CREASE = -0.3
# Half the width of the neck that still joins two pieces.
SEED_RADIUS_PX = 4.0
FEWEST_PIXELS = 12


class Segmenter(Protocol):
    """Finds things in a view."""

    def segment(self, view: View) -> list[BoolArray]:
        """Return one mask per thing, each of shape (height, width)."""


class DepthSegmenter:
    """Finds things that rise above level surfaces; deterministic, no weights."""

    def segment(self, view: View) -> list[BoolArray]:
        """Return one mask per thing, each of shape (height, width), in no special order."""
        view = replace(view, cloud=view.cloud.patched())
        nothing = np.zeros(view.cloud.depth.shape, bool)
        level = main_level(view, nothing)
        if level is None:
            return []
        raised = raised_pixels(view, level)
        jumps = view.cloud.edges | smears(view)
        labels = join_pieces(view, _cut(raised, jumps | creases(view)), jumps)
        labels = _on_surface(view, labels, level)
        return [view.shown(mask) for mask in refine_borders(view, labels, level.mask)]


def raised_pixels(view: View, level: Level) -> BoolArray:
    """Return where something rises above the main surface, within its outline."""
    height = flattened_height(view, level)
    smooth = cv2.medianBlur(height.astype(np.float32), 5)
    least = 0.004 + 1.2 * noise_m(view.cloud.depth)
    raised = view.cloud.valid & (smooth > least)
    return raised & _over(view, level)


def flattened_height(view: View, level: Level) -> FloatArray:
    """Return heights above the main surface without the bend that depth cameras give to planes.

    A quadratic is fitted to the bare surface; it corrects a centimetre at most.
    """
    x, y, z = np.moveaxis(view.points, -1, 0)
    bare = np.flatnonzero(level.mask)
    bare = bare[:: max(1, len(bare) // 5000)]

    def terms(x: FloatArray, y: FloatArray) -> FloatArray:
        return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)

    system = terms(x.reshape(-1)[bare], y.reshape(-1)[bare])
    bend = np.linalg.lstsq(system, z.reshape(-1)[bare], rcond=None)[0]
    return np.asarray(z - np.clip(terms(x, y) @ bend, -0.01, 0.01), np.float32)


def _over(view: View, level: Level) -> BoolArray:
    """Return the pixels above the outline of a surface, with a margin."""
    outline = level.outline
    middle = outline.mean(axis=0)
    reach = np.linalg.norm(outline - middle, axis=1, keepdims=True)
    wider = middle + (outline - middle) * (1 + OVERHANG_M / np.maximum(reach, 1e-6))
    over = np.ones(view.cloud.depth.shape, bool)
    x, y = view.points[..., 0], view.points[..., 1]
    for a, b in zip(wider, np.roll(wider, -1, axis=0), strict=True):
        over &= (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]) > 0
    return over


def _cut(raised: BoolArray, barriers: BoolArray) -> np.ndarray:
    """Return numbered pieces of what is raised, 0 elsewhere, cut at jumps and creases.

    A crease has gaps, so that pieces start from where they are wide; what is wide nowhere, such
    as a pen, starts as a whole.
    """
    inner = (raised & ~barriers).astype(np.uint8)
    _, parts = cv2.connectedComponents(inner, connectivity=4)
    wide = cv2.distanceTransform(np.pad(inner, 1), cv2.DIST_L2, 3)[1:-1, 1:-1] > SEED_RADIUS_PX
    count, seeds = cv2.connectedComponents(wide.astype(np.uint8), connectivity=4)
    started = np.zeros(int(parts.max()) + 1, bool)
    started[parts[wide]] = True
    started[0] = True
    seeds = np.where(started[parts], seeds, parts + count)
    sizes = np.bincount(seeds.reshape(-1))
    seeds[(sizes < FEWEST_PIXELS)[seeds]] = 0
    _, dense = np.unique(seeds, return_inverse=True)
    labels = dense.reshape(seeds.shape) if (seeds == 0).any() else dense.reshape(seeds.shape) + 1
    return np.where(raised, nearest_label(labels, 2 * SEED_RADIUS_PX + 6), 0)


def smears(view: View) -> BoolArray:
    """Return where a surface seems to run along the line of sight, as invented points do."""
    points, normals = view.cloud.points, view.cloud.normals
    facing = -np.einsum("...i,...i", points, normals)
    return np.asarray((facing != 0) & (facing < GRAZING * np.linalg.norm(points, axis=-1)))


def creases(view: View) -> BoolArray:
    """Return where the surface bends inwards, as it does where things touch."""
    found = np.zeros(view.cloud.depth.shape, bool)
    normals, points = view.cloud.normals, view.cloud.points
    known = np.abs(normals).sum(-1) > 0
    r = view.cloud.normal_radius
    for axis in (0, 1):
        a = [slice(None), slice(None)]
        b = [slice(None), slice(None)]
        m = [slice(None), slice(None)]
        a[axis], b[axis], m[axis] = slice(2 * r, None), slice(None, -2 * r), slice(r, -r)
        first, second, middle = tuple(a), tuple(b), tuple(m)
        apart = points[first] - points[second]
        distance = np.linalg.norm(apart, axis=-1)
        turn = np.einsum("...i,...i", normals[first] - normals[second], apart)
        both = known[first] & known[second] & (distance > 0)
        found[middle] |= both & (turn < CREASE * distance)
    return found


def nearest_label(labels: np.ndarray, reach_px: float) -> np.ndarray:
    """Return labels with every 0 replaced by the nearest label within reach."""
    empty = (labels == 0).astype(np.uint8)
    if empty.all():
        return labels
    distance, index = cv2.distanceTransformWithLabels(
        empty, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    value = np.zeros(int(index.max()) + 1, labels.dtype)
    value[index[labels > 0]] = labels[labels > 0]
    return np.where(distance <= reach_px, value[index], 0)


def _on_surface(view: View, labels: np.ndarray, level: Level) -> np.ndarray:
    """Drop what is too small, too high, or belongs to the room and not to the table."""
    kept = np.zeros(int(labels.max()) + 1, labels.dtype)
    z = view.points[..., 2]
    invented = view.cloud.flying | smears(view)
    for label in range(1, len(kept)):
        mask = labels == label
        area = int(mask.sum())
        if area < SMALLEST_SHARE * labels.size:
            continue
        if invented[mask].mean() > MOST_EDGES:
            continue
        at_border = mask[0].any() or mask[:, 0].any() or mask[:, -1].any()
        bottom, top = np.quantile(z[mask & view.cloud.valid], [0.05, 0.98])
        if at_border and bottom > LOWEST_HANGING_M and _hangs(view, mask, labels, bottom):
            continue
        flat = mask & (view.upness > LEVEL) & view.cloud.valid
        if flat.any() and covered_area(view.points[flat]) > LARGEST_TOP_M2:
            continue
        if top < (HIGHEST_CUT_OFF_M if mask[0].any() else HIGHEST_THING_M):
            kept[label] = label
    return np.asarray(kept[labels])


def _hangs(view: View, mask: BoolArray, labels: np.ndarray, bottom: float) -> bool:
    """Tell whether what reaches into the picture hangs in the air, as a robot's arm does.

    What lies right below it in the picture is far behind it, and bare.
    """
    if bottom > SURELY_HANGING_M:
        return True
    reach = 8
    shifted = np.zeros_like(mask)
    shifted[reach:] = mask[:-reach]
    below = shifted & ~mask
    # Only below its lower end: higher up, whatever is behind may be seen on either side.
    rows = np.flatnonzero(mask.any(axis=1))
    below[: rows[0] + int(0.7 * len(rows))] = False
    behind = view.cloud.valid & (labels == 0)
    behind &= view.cloud.depth > float(np.median(view.cloud.depth[mask & view.cloud.valid])) + 0.05
    return bool(below.any() and behind[below].mean() > 0.5)
