# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Which pixels show which box, and which show a bare surface, decided by depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from roborefer_vlm.data.sources.box_casting import cast, depth_range, picture_frame
from roborefer_vlm.scenes.graph import Array, Camera, OrientedBox
from roborefer_vlm.scenes.polygons import convex_hull, deeper_than
from roborefer_vlm.scenes.relations.thresholds import value
from roborefer_vlm.types import BoolArray, FloatArray

# A thing of which less is seen is taken as hidden: pixels, and share of its box's silhouette.
LEAST_PIXELS = 50
LEAST_SHARE = 0.05
# Boxes may be off by 2.5 cm (RefSpatial's tolerance), but never by more of their own size.
_MOST_GROWTH = 0.2
# What lies less than this above the foot of a box is taken for what carries it.
_FOOT_M = 0.015
# Points of the depth map that a level is found from.
_FEWEST_POINTS = 200
_FURNITURE_M = 0.4
_BIN_M = 0.01


def owners_of(
    camera: Camera, boxes: Sequence[OrientedBox], depth_m: FloatArray | None
) -> npt.NDArray[np.int32]:
    """Return which box each pixel shows, by index, -1 for none, shape (height, width).

    With depth, a pixel shows a box if its measured point lies in it; of boxes in each other it
    is the smallest. Without, it is the box that its ray meets first. Of what is hardly seen no
    pixel is left.

    Args:
        camera: Of the picture.
        boxes: Everything that may be in view.
        depth_m: Metres, 0 where nothing was measured, or None.
    """
    owners = cast(camera, boxes).owners if depth_m is None else _measured(camera, boxes, depth_m)
    for index, box in enumerate(boxes):
        frame = picture_frame(camera, box.corners)
        if frame is None:
            continue
        left, top, right, bottom = frame
        mine = owners[top:bottom, left:right] == index
        silhouette = np.isfinite(depth_range(camera, box, frame)[0]).sum()
        if mine.sum() < max(LEAST_PIXELS, LEAST_SHARE * silhouette):
            owners[top:bottom, left:right][mine] = -1
    return owners


def _measured(
    camera: Camera, boxes: Sequence[OrientedBox], depth_m: FloatArray
) -> npt.NDArray[np.int32]:
    owners = np.full(depth_m.shape, -1, np.int32)
    for index in np.argsort([-box.size.prod() for box in boxes], kind="stable"):
        grown = _grown(boxes[index])
        frame = picture_frame(camera, grown.corners)
        if frame is None:
            continue
        left, top, right, bottom = frame
        enter, leave = depth_range(camera, grown, frame)
        z = depth_m[top:bottom, left:right]
        within = (z > 0) & (z >= enter) & (z <= leave)
        # The floor of a bowl is as low as what carries the bowl, but amid its wall.
        _, down = depth_range(camera, boxes[index], frame)
        within |= _holes(within) & (z > 0) & (z <= down)
        owners[top:bottom, left:right][within] = index
    return owners


def _holes(mask: BoolArray) -> BoolArray:
    """Tell which pixels are outside of a mask, but not connected with its frame."""
    outside = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    _, labels = cv2.connectedComponents(outside, connectivity=4)
    return np.asarray((~mask) & (labels[1:-1, 1:-1] != labels[0, 0]))


def _grown(box: OrientedBox) -> OrientedBox:
    """Return a box with room for errors on all sides but below, where it stands on something."""
    step = np.minimum(value("visibility"), _MOST_GROWTH * box.size)
    foot = _foot(box)
    center = box.center + (step[2] + foot) / 2 * box.rotation[:, 2]
    return replace(box, center=center, size=box.size + 2 * step * (1, 1, 0.5) - (0, 0, foot))


def _foot(box: OrientedBox) -> float:
    return min(_FOOT_M, _MOST_GROWTH * float(box.size[2]))


def points_of(camera: Camera, depth_m: FloatArray) -> FloatArray:
    """Return the point of the scene in each pixel, NaN without depth, (height, width, 3)."""
    k = camera.intrinsics
    z = np.where(depth_m > 0, depth_m, np.nan).astype(np.float32)
    u = ((np.arange(k.width) - k.cx) / k.fx).astype(np.float32)
    v = ((np.arange(k.height) - k.cy) / k.fy).astype(np.float32)
    optical = np.stack([z * u, z * v[:, None], z], axis=-1)
    pose = camera.t_scene_optical.astype(np.float32)
    return np.asarray(optical @ pose[:3, :3].T + pose[:3, 3])


def level_near(points: FloatArray, outline: Array, height: float) -> float | None:
    """Return the height of the surface that the depth shows nearest to an expected one.

    Args:
        points: Shape (N, 3); NaN for none.
        outline: Of the surface, convex, shape (M, 2).
        height: As annotated; the surface is looked for within 5 cm of it.

    Returns:
        z, metres; None: too little of it is seen.
    """
    near = points[np.abs(points[:, 2] - height) <= value("contact")]
    near = near[deeper_than(near[:, :2].astype(float), outline, 0.0)]
    return _densest(near[:, 2].astype(float))


def floor_of(points: FloatArray, boxes: Sequence[OrientedBox]) -> tuple[float, Array] | None:
    """Return height and outline of the floor that the depth shows at the foot of furniture.

    Furniture is what is at least 0.4 m tall; in a room where nothing is, the lowest level may be
    a table.

    Returns:
        z and a convex outline of what is seen of it, shape (M, 2); None: too little is seen.
    """
    feet = [box.bottom for box in boxes if box.top - box.bottom >= _FURNITURE_M]
    if not feet:
        return None
    foot = float(np.quantile(feet, 0.1))
    near = points[np.abs(points[:, 2] - foot) <= 2 * value("contact")].astype(float)
    height = _densest(near[:, 2])
    if height is None:
        return None
    level = near[np.abs(near[:, 2] - height) <= value("visibility")]
    return height, convex_hull(level[:, :2])


def bare_pixels(points: FloatArray, free: BoolArray, outline: Array, height: float) -> BoolArray:
    """Tell which of the pixels that show no thing show a surface, shape (rows, columns)."""
    with np.errstate(invalid="ignore"):
        bare = free & (np.abs(points[..., 2] - height) <= value("visibility"))
    bare[bare] = deeper_than(points[bare][:, :2].astype(float), outline, 0.0)
    return np.asarray(bare)


def off_levels(
    mask: BoolArray,
    points: FloatArray,
    box: OrientedBox,
    levels: Sequence[tuple[float, Array]],
) -> BoolArray:
    """Take from a thing's pixels those that show what it stands on, (height, width).

    The box may begin too low or be too wide. What the rest of the mask surrounds stays, such as
    the floor of a bowl. Where too little is left, nothing is.

    Args:
        mask: Of the thing.
        points: In each pixel, shape (height, width, 3), NaN without depth.
        box: Of the thing; of something flat only what is very low is taken.
        levels: Height and convex outline of each surface that it may stand on.
    """
    own = points[mask].astype(float)
    carried = np.zeros(len(own), bool)
    for height, outline in levels:
        level = np.abs(own[:, 2] - height) < _foot(box)
        level[level] = deeper_than(own[level, :2], outline, 0.0)
        carried |= level
    if not carried.any():
        return mask
    rest = mask.copy()
    rest[mask] = ~carried
    rest |= _holes(rest) & mask
    return rest if rest.sum() >= LEAST_PIXELS else np.zeros_like(mask)


def _densest(heights: Array) -> float | None:
    if len(heights) < _FEWEST_POINTS:
        return None
    low, high = float(heights.min()), float(heights.max())
    counts, edges = np.histogram(heights, max(int((high - low) / _BIN_M), 1))
    peak = float(edges[counts.argmax()] + (edges[1] - edges[0]) / 2)
    return float(np.median(heights[np.abs(heights - peak) <= 1.5 * _BIN_M]))
