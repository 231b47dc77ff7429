# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The inside of an open container, of which the wall towards the camera hides a part.

From the side a camera sees the rim, the far wall from inside and the far part of the floor. The
rest is inferred where the container's own wall hides it or where the floor shows no depth, and
only when a rim of one height was seen around it: what lies point-symmetric about the middle of the
rim is taken for the hidden walls, and between parts of a level floor there is floor. Something low
that lies right behind the near wall, or that shows no depth, is not known of; so places that were
seen are preferred.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import pi

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import ConvexHull, Delaunay, QhullError

from roborefer_grasping.core.occupancy import Region, merged
from roborefer_grasping.core.robot import Array
from roborefer_grasping.core.segment import SMALLEST_PX, things
from roborefer_grasping.core.unmeasured import at_height
from roborefer_grasping.core.view import DepthView, Mask
from roborefer_grasping.core.world import Obstacle
from roborefer_grasping.exceptions import SceneError

Cells = npt.NDArray[np.bool_]
CELL_M = 0.005
# What carries a thing that is put into a container; the walls count as surroundings.
FLOOR = "container_floor"
WALL = "container_wall"
# Shallower things, such as plates, are no containers, metres.
LEAST_DEPTH_M = 0.020
# Heights that differ by less belong to one level floor or one rim, metres.
LEVEL_M = 0.012
# Every wall is at least this thick, as seen from above, metres.
_WALL_M = 0.006
# What the outline is made of stands out of the support by this, metres.
_STANDS_M = 0.015
_LEAST_CELLS = 60
# In so many headings the rim is looked for, this near the outline; so many must show it, and
# of those so many at one height. Where walls shine, only those across the view may be seen.
_HEADINGS, _RIM_SHARE, _RIM_SEEN, _RIM_LEVEL = 24, 0.75, 0.45, 0.8
# Of the outline, at most this share may be seen without a wall: less where what lies between the
# walls is no higher than the support, so that it may be a gap between things, metres.
_MOST_OPEN, _MOST_OPEN_RAISED, _RAISED_M = 0.10, 0.30, 0.004
# Widest band without depth at a rim, pixels; farther from a point its container does not reach.
_RIM_PX, _REACH_M = 12, 0.30
# What hides a cell lies at least this far before it; holes this wide take over what is next to
# them, metres and pixels.
_BEFORE_M, _HOLE_PX = 0.010, 6
# Around every edge a sensor measures nothing for some pixels; of a wider hole so much must lie in
# the opening of a container for it to be its floor.
_FRINGE_PX, _HOLE_INSIDE = 3, 0.8


@dataclass(frozen=True, eq=False)
class Container:
    """An open container from above, in cells of CELL_M.

    Attributes:
        origin: x and y of the middle of the first cell, metres in the frame of the base.
        height: z of the highest surface in each cell, shape (nx, ny); NaN where nobody knows.
        seen: Cells that were measured; the other known ones are inferred.
        within: Cells inside the outline of the container.
        floor: z of its floor, metres.
        rim: z of its rim, metres.
        holes: Pixels of its opening that showed no depth.
    """

    origin: Array
    height: Array
    seen: Cells
    within: Cells
    floor: float
    rim: float
    holes: Mask

    def filled(self, view: DepthView) -> DepthView:
        """The same view with the depth of the rim's plane where the opening showed none.

        So what lies above the opening counts as seen, and what lies in it is for the model.
        """
        depth = view.depth_m.copy()
        _, depth[self.holes] = view.project(at_height(view, self.holes, self.rim))
        return DepthView(depth, view.fx, view.fy, view.cx, view.cy, view.t_base_optical)

    def cell_of(self, point: Array) -> tuple[int, int]:
        """Cell of a point, x and y; it may lie outside of the grid."""
        x, y = np.round((point[:2] - self.origin) / CELL_M).astype(int).tolist()
        return x, y

    def holds(self, point: Array) -> bool:
        """Whether a point, x and y in the frame of the base, lies between the walls."""
        x, y = self.cell_of(point)
        inside = 0 <= x < self.within.shape[0] and 0 <= y < self.within.shape[1]
        return inside and bool(self.within[x, y])

    def beyond(self, point: Array) -> float:
        """How far a point, x and y, lies outside the outline, metres; negative inside."""
        inner = self.origin + CELL_M * np.argwhere(self.within)
        outer = self.origin + CELL_M * (np.argwhere(~np.pad(self.within, 1)) - 1)
        far = [float(np.linalg.norm(cells - point[:2], axis=1).min()) for cells in (inner, outer)]
        return far[0] if far[0] > far[1] else -far[1]

    def region(self) -> Region:
        """What `obstacles` describes, so that other descriptions of it can be left out."""
        low = self.origin - CELL_M / 2
        return Region(low, CELL_M, self.within, self.rim)

    def obstacles(self) -> list[Obstacle]:
        """Walls, contents and floor as boxes; where nobody knows, as high as the rim."""
        known = np.where(np.isfinite(self.height), self.height, self.rim)
        known = np.where(known > self.rim - LEVEL_M, np.maximum(known, self.rim), known)
        level = self.within & (np.abs(known - self.floor) < LEVEL_M)
        bottom = self.floor - LEVEL_M
        corner = np.array([*(self.origin - CELL_M / 2), bottom])
        layers = int(np.ceil((known[self.within].max() - bottom) / CELL_M))
        tops = np.ceil((known - bottom) / CELL_M - 1e-6)
        walls = (np.arange(layers) < tops[..., None]) & (self.within & ~level)[..., None]
        steps = np.full(3, CELL_M)
        flat = np.array([CELL_M, CELL_M, self.floor - bottom])
        boxes = merged(walls, corner, steps, WALL)
        return boxes + merged(level[..., None], corner, flat, FLOOR)


def container_at(
    view: DepthView, point: Array, support: float, ignored: Mask | None = None
) -> Container | None:
    """Look at the container that a point lies on or in; None where none is seen well enough.

    Args:
        view: The look.
        point: On a visible surface, metres in the frame of the base, shape (3,).
        support: Height of what the container stands on, metres.
        ignored: Pixels of the robot and of the thing that shall go into it.
    """
    ignored = np.zeros(view.depth_m.shape, bool) if ignored is None else ignored
    every = view.points[view.measured & ~ignored]
    for mask in _candidates(view, point, support, ignored):
        # Fringes show the support behind.
        points = view.points[mask & (view.points[..., 2] > support + _STANDS_M)]
        try:
            origin, within = _outline(points)
        except (SceneError, QhullError):
            continue
        if not _near(within, origin, point):
            continue
        rim = _rim(points, origin, within)
        if rim is not None:
            found = _container(view, mask, points, every, support, origin, within, rim)
            if found is not None:
                return found
    return None


def _candidates(view: DepthView, point: Array, support: float, ignored: Mask) -> list[Mask]:
    """What may be a container at a point: connected things, several of them first.

    A sensor often measures nothing at a rim, so that the wall towards the camera is one thing and
    the inside another; and nothing of a floor that shines, so that the two may lie far apart.
    """
    labels = things(view, support, ignored)
    pieces, tops = [], []
    with np.errstate(invalid="ignore"):
        nearby = np.linalg.norm(view.points[..., :2] - point[:2], axis=-1) < _REACH_M
    counts = np.bincount(labels[nearby], minlength=1)
    for label in np.flatnonzero(counts >= SMALLEST_PX):
        if label:
            piece = labels == label
            top = float(np.nanpercentile(view.points[piece][:, 2], 98))
            if top > support + LEAST_DEPTH_M:
                pieces.append(piece)
                tops.append(top)
    wide = [ndimage.binary_dilation(piece, iterations=_RIM_PX) for piece in pieces]
    pairs = [
        (i, j) for i, j in combinations(range(len(pieces)), 2) if abs(tops[i] - tops[j]) < LEVEL_M
    ]
    touching = [(i, j) for i, j in pairs if (wide[i] & pieces[j]).any()]
    found = [np.logical_or.reduce([pieces[i] for i in group]) for group in _groups(touching)]
    return [*found, *(pieces[i] | pieces[j] for i, j in pairs), *pieces]


def _groups(pairs: list[tuple[int, int]]) -> list[set[int]]:
    """Join pairs that share a member; only groups of more than two."""
    groups: list[set[int]] = []
    for pair in pairs:
        joined = set(pair).union(*(group for group in groups if group & set(pair)))
        groups = [group for group in groups if not group & joined] + [joined]
    return [group for group in groups if len(group) > 2]


def _near(within: Cells, origin: Array, point: Array) -> bool:
    x, y = np.round((point[:2] - origin) / CELL_M).astype(int)
    # A point on a wall may lie just outside.
    return bool(within[max(0, x - 2) : max(0, x + 3), max(0, y - 2) : max(0, y + 3)].any())


def _container(
    view: DepthView,
    mask: Mask,
    points: Array,
    every: Array,
    support: float,
    origin: Array,
    within: Cells,
    rim: float,
) -> Container | None:
    height = _heights(every, origin, within.shape)
    seen = np.isfinite(height) & within
    depth_of_wall = CELL_M * ndimage.distance_transform_edt(within)
    inner = seen & (depth_of_wall > 3 * _WALL_M)
    floor, is_seen = _floor(view, view.points[mask], height, inner)
    most_open = _MOST_OPEN if floor < support + _RAISED_M else _MOST_OPEN_RAISED
    if rim - floor < LEAST_DEPTH_M or not _is_closed(height, within, rim, most_open):
        return None
    # Specks of noise leave gaps in a mask.
    own = ndimage.binary_dilation(mask, iterations=_HOLE_PX // 2)
    holes = _holes(view, origin, within, floor, rim)
    behind, lost = _unseen(view, own, holes, origin, within.shape, floor)
    hidden, lost = within & ~seen & behind, within & ~seen & lost
    if not is_seen and lost.sum() < _LEAST_CELLS:
        return None
    middle = _middle(points, origin, rim)
    height = _inferred(np.where(within, height, np.nan), hidden, lost, middle, floor)
    # Rows of pixels leave gaps between cells.
    gaps = within & ndimage.binary_closing(np.isfinite(height), np.ones((3, 3), bool))
    nearby = ndimage.maximum_filter(np.where(np.isfinite(height), height, -np.inf), 3)
    height = np.where(gaps & ~np.isfinite(height), nearby, height)
    wall = within & (depth_of_wall <= _WALL_M + CELL_M / 2)
    height = np.where(wall, np.fmax(height, rim), height)
    return Container(origin, height, seen, within, floor, rim, holes)


def _is_closed(height: Array, within: Cells, rim: float, most_open: float) -> bool:
    """Whether a wall of one height goes all around, as far as that was seen."""
    border = within & ~ndimage.binary_erosion(within)
    known = np.where(np.isfinite(height), height, -np.inf)
    wall = ndimage.maximum_filter(known, 5)[border]
    low = np.isfinite(wall) & (wall < rim - LEVEL_M)
    return bool(low.mean() < most_open and (wall > rim - LEVEL_M).mean() > _RIM_SEEN)


def _outline(points: Array) -> tuple[Array, Cells]:
    """Grid around points from above, and its cells within their convex hull."""
    cells, counts = np.unique(np.round(points[:, :2] / CELL_M).astype(int), axis=0,
                              return_counts=True)  # fmt: skip
    # A single flying pixel widens no outline.
    cells = cells[counts > 1]
    if len(cells) < _LEAST_CELLS:
        raise SceneError("too few cells of the container were seen")
    hull = Delaunay(cells[ConvexHull(cells).vertices])
    low = cells.min(axis=0) - 1
    count = cells.max(axis=0) + 2 - low
    grid = np.stack(np.meshgrid(*map(np.arange, count), indexing="ij"), axis=-1) + low
    return low * CELL_M, np.asarray(hull.find_simplex(grid) >= 0)


def _rim(points: Array, origin: Array, within: Cells) -> float | None:
    """Height of the rim; None where it is not seen, or not level, all around."""
    middle = origin + CELL_M * np.argwhere(within).mean(axis=0)
    away = points[:, :2] - middle
    far = np.linalg.norm(away, axis=1)
    sector = np.floor((np.arctan2(away[:, 1], away[:, 0]) + pi) / (2 * pi) * _HEADINGS)
    tops = np.full(_HEADINGS, -np.inf)
    for number in range(_HEADINGS):
        own = sector == number
        if own.sum() < 5:
            continue
        outer = own & (far > _RIM_SHARE * np.percentile(far[own], 98))
        tops[number] = np.percentile(points[outer, 2], 95)
    found = np.isfinite(tops)
    if found.mean() < _RIM_SEEN:
        return None
    rim = float(np.median(tops[found]))
    return rim if (np.abs(tops[found] - rim) < LEVEL_M).mean() > _RIM_LEVEL else None


def _middle(points: Array, origin: Array, rim: float) -> Array:
    """Middle of the rim, in cells."""
    upper = points[np.abs(points[:, 2] - rim) < LEVEL_M][:, :2]
    low, high = np.percentile(upper, [1, 99], axis=0)
    return np.asarray(((low + high) / 2 - origin) / CELL_M)


def _heights(points: Array, origin: Array, shape: tuple[int, ...]) -> Array:
    cells = np.round((points[:, :2] - origin) / CELL_M).astype(int)
    inside = ((cells >= 0) & (cells < shape)).all(axis=1)
    height = np.full(shape, -np.inf)
    np.maximum.at(height, tuple(cells[inside].T), points[inside, 2])
    return np.where(np.isfinite(height), height, np.nan)


def _floor(view: DepthView, points: Array, height: Array, inner: Cells) -> tuple[float, bool]:
    """Height of the floor, and whether that was measured rather than the foot of the far wall."""
    low = float(np.percentile(height[inner], 20)) if inner.any() else np.inf
    level = inner & (np.abs(height - low) < LEVEL_M)
    if level.sum() >= _LEAST_CELLS:
        return float(np.median(height[level])), True
    ahead = view.t_base_optical[:2, 2]
    along = points[:, :2] @ ahead
    far = points[along > (along.min() + along.max()) / 2]
    return float(np.percentile(far[:, 2], 2)), False


def _holes(view: DepthView, origin: Array, within: Cells, floor: float, rim: float) -> Mask:
    """Pixels without depth that lie in the opening, as holes that do not reach beyond it."""
    blind = ~view.measured
    cores, count = ndimage.label(ndimage.binary_erosion(blind, iterations=_FRINGE_PX))
    opening = np.zeros(blind.shape, bool)
    for height in (floor, rim):
        spots = at_height(view, blind, height)[:, :2]
        cells = np.round((spots - origin) / CELL_M).astype(int)
        fits = np.asarray(((cells >= 0) & (cells < within.shape)).all(axis=1))
        cells = np.where(fits[:, None], cells, 0)
        opening[blind] |= fits & within[tuple(cells.T)]
    total = np.bincount(cores.ravel(), minlength=count + 1)
    inside = np.bincount(cores[opening], minlength=count + 1)
    own = inside > _HOLE_INSIDE * np.maximum(total, 1)
    own[0] = False
    return np.asarray(ndimage.binary_dilation(own[cores], iterations=_FRINGE_PX) & blind & opening)


def _unseen(
    view: DepthView, mask: Mask, holes: Mask, origin: Array, shape: tuple[int, ...], floor: float
) -> tuple[Cells, Cells]:
    """Cells whose floor the container itself hides, and those where no depth was measured."""
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 2)
    spots = np.column_stack([origin + CELL_M * grid, np.full(len(grid), floor)])
    pixels, depth = view.project(spots)
    u, v = np.round(np.nan_to_num(pixels, nan=-9e9)).astype(np.int64).T
    rows, columns = view.depth_m.shape
    pictured = (u >= 0) & (u < columns) & (v >= 0) & (v < rows)
    u, v = np.where(pictured, u, 0), np.where(pictured, v, 0)
    far, nearest = ndimage.distance_transform_edt(~view.measured, return_indices=True)
    at = tuple(nearest[:, v, u])
    with np.errstate(invalid="ignore"):
        before = view.depth_m[at] < depth - _BEFORE_M
    behind = pictured & before & mask[at] & (far[v, u] <= _HOLE_PX)
    return behind.reshape(shape), (pictured & ~behind & holes[v, u]).reshape(shape)


def _inferred(height: Array, hidden: Cells, lost: Cells, middle: Array, floor: float) -> Array:
    """Fill in hidden cells: by symmetry, and by floor between parts of the floor.

    A floor that shines shows no depth; what of it was lost is floor, too.
    """
    filled = _mirrored(height, hidden | lost, middle)
    filled[lost & ~np.isfinite(filled)] = floor
    filled = _mirrored(filled, hidden & ~np.isfinite(filled), middle)
    left = np.argwhere(hidden & ~np.isfinite(filled))
    level = np.argwhere(np.abs(filled - floor) < LEVEL_M)
    if len(left) and len(level) > _LEAST_CELLS:
        try:
            between = Delaunay(level[ConvexHull(level).vertices]).find_simplex(left) >= 0
        except QhullError:
            return filled
        filled[tuple(left[between].T)] = floor
    return filled


def _mirrored(height: Array, cells: Cells, middle: Array) -> Array:
    """Heights in which some cells have the value of their point reflection."""
    index = np.argwhere(cells)
    there = np.round(2 * middle - index).astype(int)
    inside = ((there >= 0) & (there < height.shape)).all(axis=1)
    filled = height.copy()
    filled[tuple(index[inside].T)] = height[tuple(there[inside].T)]
    return filled
