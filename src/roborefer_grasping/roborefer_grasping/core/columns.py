# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The surroundings of a target seen from above: how high what stands where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from roborefer_grasping.core.occupancy import (
    FILLED,
    HIDDEN,
    IN_SHADOW,
    OccupancySettings,
    classify,
)
from roborefer_grasping.core.robot import Array
from roborefer_grasping.core.view import DepthView, Mask, middle_of
from roborefer_grasping.exceptions import SceneError

CELL_M = 0.004
# Around the target, as far as an open hand reaches.
MARGIN_M = 0.09
_NOTHING = -np.inf


@dataclass(frozen=True, eq=False)
class Columns:
    """Heights over a square grid, all of shape (nx, ny), metres in the frame of the base.

    Attributes:
        origin: x and y of the middle of cell (0, 0).
        target: Highest measured point of the target; -inf where it is not.
        other: Highest space that is filled by something else or was not seen; -inf where free.
        shadow: Highest space that only the target hides; -inf where there is none.
        support: z of what the target stands on.
        middle: x and y of the target's middle.
    """

    origin: Array
    target: Array
    other: Array
    shadow: Array
    support: float
    middle: Array

    def turned(self, yaw: float) -> tuple[Array, Array, Array, Array, Array]:
        """Resample along turned axes, around the middle of the grid.

        Returns:
            target, other and shadow on a grid whose first axis points in the direction yaw, and
            the coordinates of its cells, each of shape (n, n).
        """
        count = max(self.target.shape)
        middle = self.origin + CELL_M * (np.array(self.target.shape) - 1) / 2
        along = CELL_M * (np.arange(count) - (count - 1) / 2)
        a, b = np.meshgrid(along, along, indexing="ij")
        x = middle[0] + a * np.cos(yaw) - b * np.sin(yaw)
        y = middle[1] + a * np.sin(yaw) + b * np.cos(yaw)
        i = np.round((x - self.origin[0]) / CELL_M).astype(int)
        j = np.round((y - self.origin[1]) / CELL_M).astype(int)
        inside = (i >= 0) & (i < self.target.shape[0]) & (j >= 0) & (j < self.target.shape[1])
        i, j = np.where(inside, i, 0), np.where(inside, j, 0)
        # Beyond the grid nothing is known, so nothing is free there.
        target = np.where(inside, self.target[i, j], _NOTHING)
        other = np.where(inside, self.other[i, j], np.inf)
        shadow = np.where(inside, self.shadow[i, j], _NOTHING)
        return target, other, shadow, x, y


def columns_around(
    view: DepthView,
    target: Mask,
    support_height: float,
    robot: Mask | None = None,
    vouched: OccupancySettings | None = None,
) -> Columns:
    """Look at the target's surroundings from above.

    Args:
        view: The look.
        target: Pixels of the target.
        support_height: z of what it stands on, metres.
        robot: Pixels that show the robot itself.
        vouched: Where the volumes come from that are free although nobody sees them.

    Raises:
        SceneError: No pixel of the target was measured.
    """
    points = view.points[target & view.valid]
    if len(points) < 10:
        raise SceneError(f"only {len(points)} pixels of the target have a depth; 10 are needed")
    low, high = points.min(axis=0) - MARGIN_M, points.max(axis=0) + MARGIN_M
    settings = OccupancySettings(
        (float(low[0]), float(low[1]), support_height - 0.05),
        (float(high[0]), float(high[1]), float(points[:, 2].max()) + 0.02),
        CELL_M,
        (vouched or OccupancySettings()).vouched,
    )
    labels, corner = classify(view, support_height, settings, target, robot)
    tops = corner[2] + CELL_M * (np.arange(labels.shape[2]) + 1)
    origin = corner[:2] + CELL_M / 2
    cells = np.round((points[:, :2] - origin) / CELL_M).astype(int)
    heights = np.full(labels.shape[:2], _NOTHING)
    inside = ((cells >= 0) & (cells < heights.shape)).all(axis=1)
    np.maximum.at(heights, tuple(cells[inside].T), points[inside, 2])
    heights = _bridged(heights, support_height)
    shadow = _highest(labels == IN_SHADOW, tops)
    middle = middle_of(points, support_height)
    return Columns(
        origin,
        _completed(heights, shadow, (middle - origin) / CELL_M),
        _highest((labels == FILLED) | (labels == HIDDEN), tops),
        shadow,
        support_height,
        middle,
    )


def _highest(cells: npt.NDArray[np.bool_], tops: Array) -> Array:
    last = cells.shape[2] - 1 - np.argmax(cells[:, :, ::-1], axis=2)
    return np.where(cells.any(axis=2), tops[last], _NOTHING)


def _completed(heights: Array, shadow: Array, middle: Array) -> Array:
    """Add the side that was turned away, as the point reflection of what was seen.

    Only where the target hides the view can there be more of it.

    Args:
        heights: Of the target, shape (nx, ny).
        shadow: Highest space that only the target hides, likewise.
        middle: Of the target, in cells.
    """
    cells = np.argwhere(np.isfinite(heights))
    mirrored = np.round(2 * middle - cells).astype(int)
    inside = ((mirrored >= 0) & (mirrored < heights.shape)).all(axis=1)
    source, there = tuple(cells[inside].T), tuple(mirrored[inside].T)
    hidden = ~np.isfinite(heights[there]) & (shadow[there] > heights[source] - 2 * CELL_M)
    completed = heights.copy()
    completed[tuple(i[hidden] for i in there)] = heights[tuple(i[hidden] for i in source)]
    return completed


def _bridged(heights: Array, support_height: float) -> Array:
    """Close gaps of a cell or two, which oblique views leave between rows of pixels."""
    known = np.isfinite(heights)
    closed = ndimage.binary_closing(np.pad(known, 2), np.ones((3, 3), bool))[2:-2, 2:-2]
    nearby = ndimage.maximum_filter(np.where(known, heights, -1e3), 3)
    filled = np.where(known, heights, np.where(closed & (nearby > -1e2), nearby, _NOTHING))
    # What hardly rises above the support is the support.
    return np.where(filled > support_height + 0.003, filled, _NOTHING)
