# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the camera saw free, what it saw filled, and what it did not see, as a collision world.

Space that was not seen is not assumed free: behind and below what was measured, and outside the
picture, an arm may hit what nobody knows of. Two kinds of space are an exception, both declared:
volumes that the operator vouches for, and the shadow that the target itself throws, which fingers
have to enter to take it and which is therefore an obstacle of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from roborefer_grasping.core.robot import Array
from roborefer_grasping.core.view import DepthView, Mask
from roborefer_grasping.core.world import Obstacle, Shape
from roborefer_grasping.exceptions import SceneError

SURROUNDINGS = "surroundings"
UNSEEN = "unseen"
TARGET = "target"
SHADOW = "target_shadow"
SUPPORT = "support"

FREE, FILLED, HIDDEN, ON_TARGET, IN_SHADOW = range(5)
_NAMES = {FILLED: SURROUNDINGS, HIDDEN: UNSEEN, ON_TARGET: TARGET, IN_SHADOW: SHADOW}
# A voxel counts as seen free when it lies this much before the measured surface, in voxels.
_BEFORE_SURFACE = 0.5
# Behind a surface, this much is the thing itself rather than space nobody saw, in voxels.
_THICKNESS = 1.5
# Holes in the depth up to this far from a measurement take over its value, pixels.
_BRIDGE_PX = 6
# The target is kept in voxels this many times as large, but not below the finest, metres.
_FINE, _FINEST_M = 0.5, 0.004
# Hidden space is kept in voxels this many times as large: nobody knows where it ends exactly.
_COARSE = 2


@dataclass(frozen=True)
class OccupancySettings:
    """The volume that is looked at and its resolution.

    Attributes:
        low: Lowest x, y and z in the frame of the base, metres.
        high: Highest x, y and z, metres.
        voxel: Edge of a voxel, metres.
        vouched: Boxes (low, high) that are free as far as anybody knows although no camera sees
            them, such as above the arm's elbow, around its base, and at either side of the
            picture, above what may stand there.
    """

    low: tuple[float, float, float] = (0.15, -0.55, 0.0)
    high: tuple[float, float, float] = (0.95, 0.55, 0.42)
    voxel: float = 0.012
    vouched: Sequence[tuple[tuple[float, float, float], tuple[float, float, float]]] = field(
        default_factory=lambda: (
            ((-1.0, -1.0, 0.30), (1.2, 1.0, 1.5)),
            ((-1.0, -0.30, 0.02), (0.27, 0.30, 1.5)),
            ((-1.0, -1.0, 0.14), (1.2, -0.24, 1.5)),
            ((-1.0, 0.24, 0.14), (1.2, 1.0, 1.5)),
        )
    )

    def __post_init__(self) -> None:
        if not 0.004 <= self.voxel <= 0.1:
            raise SceneError(f"voxel is {self.voxel}; 0.004 to 0.1 m is needed")
        for low, high in ((self.low, self.high), *self.vouched):
            if not (np.isfinite([*low, *high]).all() and np.less(low, high).all()):
                raise SceneError(f"the volume {low} to {high} is empty or not finite")


@dataclass(frozen=True, eq=False)
class Region:
    """Space up to a height that is described by other obstacles, better than by voxels.

    Attributes:
        low: Lowest x and y of the first cell, metres in the frame of the base.
        step: Edge of a cell, metres.
        cells: Which belong to it, shape (nx, ny).
        top: Its greatest z, metres.
    """

    low: Array
    step: float
    cells: Mask
    top: float

    def holds(self, points: Array) -> npt.NDArray[np.bool_]:
        """Which of some points, shape (..., 3), lie in it."""
        index = np.floor((points[..., :2] - self.low) / self.step).astype(int)
        inside = np.asarray(((index >= 0) & (index < self.cells.shape)).all(axis=-1))
        index = np.where(inside[..., None], index, 0)
        found = self.cells[index[..., 0], index[..., 1]]
        return np.asarray(inside & found & (points[..., 2] < self.top))


def obstacles_from_depth(
    view: DepthView,
    support_height: float,
    settings: OccupancySettings,
    target: Mask | None = None,
    robot: Mask | None = None,
    left_out: Region | None = None,
) -> list[Obstacle]:
    """Build boxes around everything that is not known to be free.

    Args:
        view: The look.
        support_height: z of the surface that things stand on, metres.
        settings: Volume and resolution.
        target: Pixels of the thing to be grasped; it and its shadow get names of their own.
        robot: Pixels that show the robot itself, which is no obstacle.
        left_out: What the caller describes itself; one voxel above its top belongs to it.

    Returns:
        Boxes named "surroundings", "unseen", "target", "target_shadow", and "support", a slab
        below the support's height.

    Raises:
        SceneError: Nothing was measured.
    """
    if not view.measured.any():
        raise SceneError("the depth image holds no measurement; look at camera and lens")
    labels, origin = classify(view, support_height, settings, target, robot)
    beside = np.zeros(labels.shape, bool)
    if left_out is not None:
        beside = _leave_out(labels, origin, settings.voxel, left_out)
    boxes = []
    for label, name in _NAMES.items():
        if label == HIDDEN:
            hidden = labels == label
            coarse = _coarsened(hidden & ~beside)
            boxes += merged(coarse, origin, np.full(3, settings.voxel * _COARSE), name)
            boxes += merged(hidden & beside, origin, np.full(3, settings.voxel), name)
        elif label == ON_TARGET and target is not None:
            boxes += _target_boxes(view, support_height, settings, target, robot)
        else:
            boxes += merged(labels == label, origin, np.full(3, settings.voxel), name)
    low, high = np.array(settings.low), np.array(settings.high)
    pose = np.eye(4)
    middle = (low[:2] + high[:2]) / 2
    pose[:3, 3] = (*middle, support_height - 0.05)
    size = np.array([*(high - low)[:2] + 1.0, 0.1])
    boxes.append(Obstacle(SUPPORT, Shape.BOX, size, pose))
    return boxes


def _leave_out(
    labels: npt.NDArray[np.int8], origin: Array, step: float, region: Region
) -> npt.NDArray[np.bool_]:
    """Free the voxels of a region, and return all of the coarse voxels that they share."""
    axes = [origin[i] + step * (np.arange(n) + 0.5) for i, n in enumerate(labels.shape)]
    centers = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    own = replace(region, top=region.top + step).holds(centers)
    labels[own & ((labels == FILLED) | (labels == HIDDEN))] = FREE
    blocks = np.asarray(_blocks(own).any(axis=(1, 3, 5)))
    for axis in range(3):
        blocks = np.repeat(blocks, _COARSE, axis=axis)
    x, y, z = labels.shape
    return np.asarray(blocks[:x, :y, :z])


def _target_boxes(
    view: DepthView,
    support_height: float,
    settings: OccupancySettings,
    target: Mask,
    robot: Mask | None,
) -> list[Obstacle]:
    """The target in fine voxels, since the hand goes as close to it as it can."""
    points = view.surface(target)
    if not len(points):
        return []
    step = max(_FINEST_M, settings.voxel * _FINE)
    low = np.maximum(points.min(axis=0) - 4 * step, settings.low)
    high = np.minimum(points.max(axis=0) + 4 * step, settings.high)
    if not (low < high).all():
        return []
    x, y, z = low.tolist()
    x2, y2, z2 = high.tolist()
    near = OccupancySettings((x, y, z), (x2, y2, z2), step, settings.vouched)
    labels, origin = classify(view, support_height, near, target, robot)
    return merged(labels == ON_TARGET, origin, np.full(3, step), TARGET)


def classify(
    view: DepthView,
    support_height: float,
    settings: OccupancySettings,
    target: Mask | None,
    robot: Mask | None,
) -> tuple[npt.NDArray[np.int8], Array]:
    """Say of each voxel what is known of it.

    Returns:
        Labels, shape (x, y, z), and the lowest corner of the grid in the frame of the base.
    """
    step = settings.voxel
    # What sticks out less than this above the support is noise of the support itself.
    bottom = support_height + 0.008
    origin = np.array([settings.low[0], settings.low[1], bottom])
    counts = np.maximum(1, np.ceil((np.array(settings.high) - origin) / step).astype(int))
    axes = [origin[i] + step * (np.arange(counts[i]) + 0.5) for i in range(3)]
    centers = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    pixels, depth = view.project(centers)
    u, v = (np.round(np.nan_to_num(pixels[:, i], nan=-9e9)).astype(np.int64) for i in (0, 1))
    height, width = view.depth_m.shape
    in_picture = (u >= 0) & (u < width) & (v >= 0) & (v < height) & (depth > 0)
    u, v = np.where(in_picture, u, 0), np.where(in_picture, v, 0)

    surface = _bridged(view, view.measured)[v, u]
    with np.errstate(invalid="ignore"):
        free = in_picture & (depth < surface - _BEFORE_SURFACE * step)
        behind = in_picture & (depth >= surface - _BEFORE_SURFACE * step)
        at_surface = behind & (depth < surface + _THICKNESS * step)
    labels = np.full(len(centers), HIDDEN, np.int8)
    labels[free] = FREE
    labels[at_surface] = FILLED
    if robot is not None:
        # The arm is not in its own way; what it hides is hidden all the same.
        labels[at_surface & robot[v, u]] = FREE
    if target is not None:
        on_target = target[v, u] & in_picture
        labels[behind & on_target] = IN_SHADOW
        labels[at_surface & on_target] = ON_TARGET
    for low, high in settings.vouched:
        vouched = ((centers >= low) & (centers <= high)).all(axis=1)
        labels[vouched & (labels == HIDDEN)] = FREE
    return labels.reshape(counts), origin


def _bridged(view: DepthView, measured: Mask) -> Array:
    """Depth in which small holes have the value of the nearest measurement, others NaN."""
    distance, nearest = ndimage.distance_transform_edt(~measured, return_indices=True)
    depth = view.depth_m[tuple(nearest)].astype(float)
    depth[distance > _BRIDGE_PX] = np.nan
    return np.asarray(depth)


def _coarsened(cells: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Voxels of a coarser grid of which more than half is set."""
    return np.asarray(_blocks(cells).mean(axis=(1, 3, 5)) > 0.5)


def _blocks(cells: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Voxels by the voxel of the coarser grid, shape (x, 2, y, 2, z, 2)."""
    padding = [(0, -size % _COARSE) for size in cells.shape]
    padded = np.pad(cells, padding)
    x, y, z = (size // _COARSE for size in padded.shape)
    return padded.reshape(x, _COARSE, y, _COARSE, z, _COARSE)


def merged(cells: Mask, origin: Array, steps: Array, name: str) -> list[Obstacle]:
    """Cover cells by few boxes: grow along z, then y, then x, and go on with what is left.

    Args:
        cells: Which are filled, shape (x, y, z).
        origin: Lowest corner in the frame of the base, metres, shape (3,).
        steps: Size of a cell, metres, shape (3,).
        name: Of all boxes.
    """
    left = cells.copy()
    boxes = []
    for x, y, z in np.argwhere(cells):
        if not left[x, y, z]:
            continue
        z2 = z + 1
        while z2 < left.shape[2] and left[x, y, z2]:
            z2 += 1
        y2 = y + 1
        while y2 < left.shape[1] and left[x, y2, z:z2].all():
            y2 += 1
        x2 = x + 1
        while x2 < left.shape[0] and left[x2, y:y2, z:z2].all():
            x2 += 1
        left[x:x2, y:y2, z:z2] = False
        low, high = np.array([x, y, z]), np.array([x2, y2, z2])
        pose = np.eye(4)
        pose[:3, 3] = origin + steps * (low + high) / 2
        boxes.append(Obstacle(name, Shape.BOX, (high - low) * steps, pose))
    return boxes
