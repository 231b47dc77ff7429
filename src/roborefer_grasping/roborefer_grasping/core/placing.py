# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Proposes where to put down what is held: level, supported, clear of everything else."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from roborefer_grasping.core.robot import Array
from roborefer_grasping.core.view import DepthView, Mask, middle_of
from roborefer_grasping.exceptions import SceneError

Cells = npt.NDArray[np.bool_]
# Quality, yaw, offset in x and y, and clearance of a place.
_Entry = tuple[float, float, float, float, float]
CELL_M = 0.005
# How uneven the support may be under the footprint, metres.
UNEVEN_M = 0.012
# Let go this far above the support, metres: measured heights are off by a few millimetres.
RELEASE_M = 0.004
# Share of the footprint under which the support must have been seen.
LEAST_SEEN = 0.92
TURNS = 12


@dataclass(frozen=True, eq=False)
class Placement:
    """A way of putting the thing down.

    Attributes:
        motion: From where the thing stood when it was taken to where it will stand, in the frame
            of the base, shape (4, 4); so the TCP goes to motion @ grasp.
        position: Where the middle of its footprint will be, shape (3,), metres.
        clearance: To the nearest other thing, metres.
        quality: 0 to 1.
    """

    motion: Array
    position: Array
    clearance: float
    quality: float


@dataclass(frozen=True, eq=False)
class Footprint:
    """What a thing covers from above, as seen when it was taken.

    Attributes:
        outline: Points around its middle, shape (N, 2), metres.
        middle: Of the footprint in the frame of the base, x and y, metres.
        support: Height of what it stood on, metres.
        height: Of the thing above that, metres.
    """

    outline: Array
    middle: Array
    support: float
    height: float


def footprint_of(
    view: DepthView, target: Mask, support: float, unmeasured: Array | None = None
) -> Footprint:
    """Measure what the target covers.

    The side that is turned away was not seen. What stands on a level surface mostly has its
    underside mirrored across its middle, so the outline is completed by its point reflection
    about the middle of its top.

    Args:
        view: The look.
        target: Its pixels.
        support: Height of what it stands on, metres.
        unmeasured: Points of its top that showed no depth, shape (N, 3).

    Raises:
        SceneError: Too few pixels of the target have a depth.
    """
    points = view.points[target & view.valid]
    if len(points) < 10:
        raise SceneError(f"only {len(points)} pixels of the target have a depth; 10 are needed")
    if unmeasured is not None:
        points = np.concatenate([points, unmeasured])
    top = float(np.percentile(points[:, 2], 99))
    upper = points[points[:, 2] > (support + top) / 2][:, :2]
    middle = middle_of(points, support)
    around = points[:, :2] - middle
    reach = np.percentile(np.linalg.norm(upper - middle, axis=1), 98)
    # Lower points that stick out beyond the upper half's reach are really there.
    mirrored = -around[np.linalg.norm(around, axis=1) <= reach * 1.05]
    every = np.vstack([around, mirrored])
    headings = np.linspace(0, 2 * pi, 24, endpoint=False)
    directions = np.stack([np.cos(headings), np.sin(headings)], axis=1)
    extent = np.percentile(every @ directions.T, 99, axis=0)
    return Footprint(directions * extent[:, None], middle, support, top - support)


def propose_placements(
    view: DepthView,
    place: Array,
    footprint: Footprint,
    *,
    ignored: Mask | None = None,
    tolerance: float = 0.02,
    margin: float = 0.008,
    yaws: tuple[float, ...] | None = None,
    most: int = 40,
) -> list[Placement]:
    """Find places for a footprint near a point.

    Args:
        view: The look.
        place: The wanted point on the support, shape (3,), metres in the frame of the base.
        footprint: Of the thing.
        ignored: Pixels of the thing itself and of the robot.
        tolerance: Farthest horizontal distance from the wanted point, metres.
        margin: Least distance to anything that rises above the support, metres.
        yaws: Turns about up, relative to how it stood; all around when None.
        most: How many to return.

    Returns:
        Best first: close to the wanted point, clear of other things.
    """
    level, tall, seen, origin = _grid(view, place, footprint, ignored, tolerance + margin)
    if not level.any():
        return []
    # Distance of each cell to the nearest that rises, or whose height nobody knows.
    free = CELL_M * ndimage.distance_transform_edt(~tall)
    offsets = np.arange(-tolerance, tolerance + 1e-9, CELL_M)
    found = []
    for yaw in yaws or tuple(2 * pi * i / TURNS for i in range(TURNS)):
        turn = np.array([[cos(yaw), -sin(yaw)], [sin(yaw), cos(yaw)]])
        outline = footprint.outline @ turn.T
        cells = cells_in(outline)
        border = np.round(outline / CELL_M).astype(int)
        for dx in offsets:
            for dy in offsets:
                aside = float(np.hypot(dx, dy))
                if aside > tolerance:
                    continue
                base = np.round((place[:2] + np.array([dx, dy]) - origin) / CELL_M).astype(int)
                here = base + cells
                rows, columns = here[:, 0], here[:, 1]
                if tall[rows, columns].any() or seen[rows, columns].mean() < LEAST_SEEN:
                    continue
                edge = base + border
                clearance = float(free[edge[:, 0], edge[:, 1]].min())
                if clearance < margin:
                    continue
                quality = 0.6 * (1 - aside / (tolerance + 1e-9)) + 0.4 * min(1.0, clearance / 0.05)
                found.append((quality, yaw, dx, dy, clearance))
    return [_placement(place, footprint, *entry) for entry in _by_turns(found)[:most]]


def _by_turns(found: list[_Entry]) -> list[_Entry]:
    """Best first, but each heading once before any comes again, for those who try only a few."""
    rank: dict[float, int] = {}
    order = []
    for entry in sorted(found, reverse=True):
        rank[entry[1]] = rank.get(entry[1], 0) + 1
        order.append((rank[entry[1]], -entry[0], entry))
    return [entry for _, _, entry in sorted(order)]


def _placement(
    place: Array,
    footprint: Footprint,
    quality: float,
    yaw: float,
    dx: float,
    dy: float,
    clearance: float,
) -> Placement:
    position = np.array([place[0] + dx, place[1] + dy, place[2]])
    motion = motion_to(position, yaw, footprint, RELEASE_M)
    return Placement(motion, position, clearance, quality)


def motion_to(position: Array, yaw: float, footprint: Footprint, above: float) -> Array:
    """From where a thing stood to a position, so far above it and turned by yaw; shape (4, 4)."""
    motion = np.eye(4)
    motion[:2, :2] = [[cos(yaw), -sin(yaw)], [sin(yaw), cos(yaw)]]
    motion[:2, 3] = position[:2] - motion[:2, :2] @ footprint.middle
    motion[2, 3] = position[2] - footprint.support + above
    return motion


def _grid(
    view: DepthView, place: Array, footprint: Footprint, ignored: Mask | None, around: float
) -> tuple[Cells, Cells, Cells, Array]:
    """Level, rising and seen cells around a point, and x and y of the first cell."""
    reach = float(np.linalg.norm(footprint.outline, axis=1).max()) + around + 2 * CELL_M
    count = 2 * int(np.ceil(reach / CELL_M)) + 1
    origin = place[:2] - CELL_M * (count // 2)
    usable = view.measured if ignored is None else view.measured & ~ignored
    points = view.points[usable]
    cells = np.round((points[:, :2] - origin) / CELL_M).astype(int)
    inside = ((cells >= 0) & (cells < count)).all(axis=1)
    cells, heights = cells[inside], points[inside, 2] - place[2]
    lowest, highest = np.full((count, count), np.inf), np.full((count, count), -np.inf)
    index = tuple(cells.T)
    np.maximum.at(highest, index, heights)
    np.minimum.at(lowest, index, heights)
    seen = np.isfinite(highest)
    level = seen & (np.abs(highest) < UNEVEN_M) & (np.abs(lowest) < UNEVEN_M)
    # A single flying pixel is no thing: a cell rises when its neighbours do, too.
    rises = seen & (highest >= UNEVEN_M)
    falls = seen & (lowest <= -UNEVEN_M)
    tall = ndimage.median_filter((rises | falls).astype(np.uint8), 3) > 0
    bridged = ndimage.binary_closing(np.pad(seen, 3), np.ones((5, 5), bool))[3:-3, 3:-3]
    return level, tall, bridged, origin


def cells_in(outline: Array) -> Array:
    """Cells inside a convex outline around the origin, shape (N, 2)."""
    reach = int(np.ceil(np.abs(outline).max() / CELL_M)) + 1
    grid = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2, indexing="ij"), axis=-1)
    cells = grid.reshape(-1, 2)
    edges = np.roll(outline, -1, axis=0) - outline
    away = cells[:, None] * CELL_M - outline[None]
    cross = edges[None, :, 0] * away[..., 1] - edges[None, :, 1] * away[..., 0]
    return np.asarray(cells[(cross >= -1e-9).all(axis=1)])
