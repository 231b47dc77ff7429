# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the support and the thing that a referred pixel lies on, in one depth image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from roborefer_grasping.core.cavity import other_wall
from roborefer_grasping.core.robot import Array
from roborefer_grasping.core.view import DepthView, Mask
from roborefer_grasping.exceptions import SceneError

# Less than this above the support is the support, metres: twice the noise at a metre.
ABOVE_SUPPORT_M = 0.006
# Neighbouring pixels that are farther apart than this belong to different things, metres.
DEPTH_STEP_M = 0.010
# Holes up to this far from a measurement take over its depth, so that what a sensor loses at the
# rim of a cup does not cut it in two, pixels.
_BRIDGE_PX = 3
# A referred pixel this close to a thing means it, pixels.
SNAP_PX = 8
SMALLEST_PX = 25
# Around a thing's outline a sensor measures nothing or a mixture of near and far, pixels.
_FRINGE_PX = 3
_BIN_M = 0.004


def support_height(view: DepthView, low: Array, high: Array) -> float:
    """Height of the largest level surface within a volume, metres.

    Args:
        view: The look.
        low: Lowest x, y and z in the frame of the base.
        high: Highest x, y and z.

    Raises:
        SceneError: Too few level points lie there to call it a surface.
    """
    points, normals = view.points, view.normals
    with np.errstate(invalid="ignore"):
        level = (normals[..., 2] > 0.9) & ((points >= low) & (points <= high)).all(axis=-1)
    heights = points[level][:, 2]
    if len(heights) < 500:
        raise SceneError(
            f"only {len(heights)} level points lie between {low} and {high}; no support was seen"
        )
    counts, edges = np.histogram(heights, np.arange(low[2], high[2] + _BIN_M, _BIN_M))
    smooth = counts + np.roll(counts, 1) + np.roll(counts, -1)
    middle = edges[int(smooth.argmax())] + _BIN_M / 2
    return float(np.median(heights[np.abs(heights - middle) < 2 * _BIN_M]))


def segment_at(
    view: DepthView, u: float, v: float, support: float, ignored: Mask | None = None
) -> Mask:
    """Pixels of the thing at a pixel: connected, above the support, without a step in depth.

    Args:
        view: The look.
        u: Column.
        v: Row.
        support: Height of what things stand on, metres.
        ignored: Pixels that cannot belong to a thing, such as the robot's.

    Returns:
        Mask, shape (height, width), with the fringe of the thing where no other thing is.

    Raises:
        SceneError: The pixel is outside the picture, or nothing stands there.
    """
    height, width = view.depth_m.shape
    if not (-0.5 <= u < width - 0.5 and -0.5 <= v < height - 0.5):
        raise SceneError(f"pixel ({u:.1f}, {v:.1f}) is outside the {width} x {height} picture")
    labels = things(view, support, ignored)
    # Specks are no things.
    labels[np.bincount(labels.ravel())[labels] < SMALLEST_PX] = 0
    row, column = round(v), round(u)
    label = int(labels[row, column])
    if not label or _is_flat(view, labels == label, support):
        # The floor of a container lies as low as the support, and noise may lift parts of it.
        label = _around(labels, row, column) or label
    if not label:
        window = np.s_[
            max(0, row - SNAP_PX) : row + SNAP_PX + 1,
            max(0, column - SNAP_PX) : column + SNAP_PX + 1,
        ]
        rows, columns = np.nonzero(labels[window])
        if not len(rows):
            raise SceneError(f"nothing stands at pixel ({u:.1f}, {v:.1f}) above the support")
        rows, columns = rows + window[0].start, columns + window[1].start
        nearest = int(np.hypot(rows - v, columns - u).argmin())
        label = int(labels[rows[nearest], columns[nearest]])
    mask = labels == label
    if other := other_wall(view, labels, label):
        mask |= labels == other
    enclosed = _filled(mask)
    inside = np.unique(labels[enclosed & ~mask])
    flat = [n for n in inside if n and _is_flat(view, labels == n, support)]
    fringe = ndimage.binary_dilation(mask, iterations=_FRINGE_PX) & ~view.valid
    nobody = (labels == 0) | (enclosed & np.isin(labels, flat))
    return np.asarray(mask | ((enclosed | fringe) & nobody))


def things(view: DepthView, support: float, ignored: Mask | None = None) -> npt.NDArray[np.int32]:
    """Number the connected things above the support from 1; 0 is none of them."""
    with np.errstate(invalid="ignore"):
        high = view.measured & (view.points[..., 2] > support + ABOVE_SUPPORT_M)
    far, nearest = ndimage.distance_transform_edt(~view.measured, return_indices=True)
    above = high[tuple(nearest)] & (far <= _BRIDGE_PX)
    if ignored is not None:
        above &= ~ignored
    depth = np.where(above, view.depth_m[tuple(nearest)], np.nan)
    # Between the pixels of a doubled grid lies the link to each neighbour, cut where depth steps.
    height, width = depth.shape
    fine = np.zeros((2 * height - 1, 2 * width - 1), bool)
    fine[::2, ::2] = above
    with np.errstate(invalid="ignore"):
        fine[::2, 1::2] = np.abs(np.diff(depth, axis=1)) < DEPTH_STEP_M
        fine[1::2, ::2] = np.abs(np.diff(depth, axis=0)) < DEPTH_STEP_M
    labels, _ = ndimage.label(fine)
    return np.where(high & above, labels[::2, ::2], 0).astype(np.int32)


def _around(labels: npt.NDArray[np.int32], row: int, column: int) -> int:
    """Number of the thing whose pixels enclose a pixel, as the rim of a plate its floor; or 0."""
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None or not (box[0].start < row < box[0].stop):
            continue
        if box[1].start < column < box[1].stop:
            filled = _filled(labels[box] == number)
            if filled[row - box[0].start, column - box[1].start]:
                return number
    return 0


def _filled(mask: Mask) -> Mask:
    """A mask with what it encloses, where gaps as wide as a sensor's do not let anything out."""
    padded = np.pad(mask, _FRINGE_PX)
    closed = ndimage.binary_closing(padded, np.ones((3, 3), bool), _FRINGE_PX)
    inner = slice(_FRINGE_PX, -_FRINGE_PX)
    return np.asarray(ndimage.binary_fill_holes(closed | padded)[inner, inner])


def _is_flat(view: DepthView, mask: Mask, support: float) -> bool:
    """Whether something rises so little that it may be a floor rather than a thing."""
    heights = view.points[mask & view.measured][:, 2]
    return not len(heights) or float(np.percentile(heights, 95)) < support + 2 * ABOVE_SUPPORT_M
