# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a namer looks at: a small picture of a segment with its heights, and its measures."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from roborefer_vlm.backends.scene_graph.colors import NAMES
from roborefer_vlm.backends.scene_graph.view import View, window
from roborefer_vlm.types import BoolArray, FloatArray, UInt8Array

SIDE = 48
# Red, green, blue, mask, height, depth and how level the surface is.
CHANNELS = 7
MEASURES = 14 + len(NAMES)
# Share of the longer side that is shown around a segment.
MARGIN = 0.12
HIGHEST_M = 0.25
# Depth in front of or behind the segment's middle that is told apart.
DEPTH_SPAN_M = 0.12


@dataclass(frozen=True, eq=False)
class Portrait:
    """One segment.

    Attributes:
        picture: uint8, shape (SIDE, SIDE, CHANNELS); its longer side fills the picture.
        measures: Sizes in decimetres, shares and colours, float32, shape (MEASURES,).
    """

    picture: UInt8Array
    measures: FloatArray


def portrait(view: View, mask: BoolArray) -> Portrait | None:
    """Return the portrait of a segment, or None if next to nothing was measured of it.

    Args:
        view: The look at the scene.
        mask: Pixels of the segment, shape (height, width).
    """
    worked = view.worked(mask)
    part = window(worked, 0)
    inside = worked[part] & view.cloud.valid[part]
    solid = inside & ~view.cloud.flying[part]
    if solid.sum() < 12:
        solid = inside
    if solid.sum() < 12:
        return None
    points = view.points[part][solid]
    points = points[:: -(-len(points) // 2000)]
    middle = float(np.median(view.cloud.depth[part][solid]))
    top, bottom, left, right = _square(part)
    picture = _picture(view, worked, (top, bottom, left, right), middle)
    return Portrait(picture, _measures(view, mask, worked[part], points, middle, bottom - top))


def _square(part: tuple[slice, slice]) -> tuple[int, int, int, int]:
    """Return first and last row and column of the square around a window; it may stick out."""
    rows, columns = part
    height, width = rows.stop - rows.start, columns.stop - columns.start
    side = int(np.ceil(max(height, width) * (1 + 2 * MARGIN)))
    top = (rows.start + rows.stop - side) // 2
    left = (columns.start + columns.stop - side) // 2
    return top, top + side, left, left + side


def _picture(
    view: View, mask: BoolArray, square: tuple[int, int, int, int], middle: float
) -> UInt8Array:
    top, bottom, left, right = square
    rows, columns = mask.shape
    part = (slice(max(top, 0), min(bottom, rows)), slice(max(left, 0), min(right, columns)))
    step = view.step
    image = view.image[::step, ::step][part]
    valid = view.cloud.valid[part]
    height = np.where(valid, view.points[..., 2][part] / HIGHEST_M, 0)
    depth = np.where(valid, 0.5 + (view.cloud.depth[part] - middle) / (2 * DEPTH_SPAN_M), 0)
    level = 0.5 + 0.5 * view.upness[part]
    layers = np.dstack([image / np.float32(255), mask[part], height, depth, level])
    layers = np.asarray(255 * np.clip(layers, 0, 1), np.uint8)
    padded = cv2.copyMakeBorder(
        layers[..., :4], *_sticking_out(square, mask.shape), cv2.BORDER_CONSTANT
    )
    rest = cv2.copyMakeBorder(
        layers[..., 4:], *_sticking_out(square, mask.shape), cv2.BORDER_CONSTANT
    )
    how = cv2.INTER_AREA if bottom - top > SIDE else cv2.INTER_LINEAR
    size = (SIDE, SIDE)
    return np.dstack([cv2.resize(padded, size, interpolation=how),
                      cv2.resize(rest, size, interpolation=how)])  # fmt: skip


def _sticking_out(
    square: tuple[int, int, int, int], shape: tuple[int, ...]
) -> tuple[int, int, int, int]:
    top, bottom, left, right = square
    return max(-top, 0), max(bottom - shape[0], 0), max(-left, 0), max(right - shape[1], 0)


def _measures(
    view: View, mask: BoolArray, small: BoolArray, points: FloatArray, middle: float, side: int
) -> FloatArray:
    low, below, half, high = np.quantile(points[:, 2], [0.02, 0.25, 0.5, 0.98])
    flat = points[:, :2] - points[:, :2].mean(axis=0)
    _, axes = np.linalg.eigh(flat.T @ flat)
    width, length = np.ptp(np.quantile(flat @ axes, [0.02, 0.98], axis=0), axis=0)
    pixel_m = middle / view.cloud.intrinsics.fx
    count = int(small.sum())
    eye = view.camera.position
    away = eye - points.mean(axis=0)
    whole = window(mask, 0)
    seen = view.colors[whole][mask[whole]]
    colors = np.bincount(seen, minlength=len(NAMES)) / max(len(seen), 1)
    cut = bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
    values = [
        *(10 * x for x in (low, below, half, high, length, width)),
        10 * side * pixel_m,
        10 * np.sqrt(count) * pixel_m,
        count / small.size,
        small.shape[0] / (small.shape[0] + small.shape[1]),
        middle,
        away[2] / max(float(np.linalg.norm(away)), 1e-6),
        len(points) / max(min(count, 2000), 1),
        float(cut),
        *colors,
    ]
    return np.clip(np.nan_to_num(np.asarray(values, np.float32)), -10, 10)
