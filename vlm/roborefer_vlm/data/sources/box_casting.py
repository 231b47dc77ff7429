# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Rays cast at oriented boxes: what a camera would see if all things were boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from roborefer_vlm.scenes.graph import Array, Camera, OrientedBox
from roborefer_vlm.types import FloatArray


@dataclass(frozen=True, eq=False)
class BoxPicture:
    """Boxes as a camera sees them.

    Attributes:
        owners: Index of the nearest box in each pixel, -1 for none, shape (height, width).
        depth_m: Depth of its nearest face along the optical axis, infinite where there is no
            box, shape (height, width).
    """

    owners: npt.NDArray[np.int32]
    depth_m: FloatArray


def cast(camera: Camera, boxes: Sequence[OrientedBox]) -> BoxPicture:
    """Cast a ray through every pixel at all boxes; boxes around the camera are seen through."""
    k = camera.intrinsics
    owners = np.full((k.height, k.width), -1, np.int32)
    nearest = np.full((k.height, k.width), np.inf, np.float32)
    for index, box in enumerate(boxes):
        frame = picture_frame(camera, box.corners)
        if frame is None:
            continue
        left, top, right, bottom = frame
        enter, _ = depth_range(camera, box, frame)
        part = nearest[top:bottom, left:right]
        nearer = (enter > 0) & (enter < part)
        part[nearer] = enter[nearer]
        owners[top:bottom, left:right][nearer] = index
    return BoxPicture(owners, nearest)


def picture_frame(camera: Camera, corners: Array) -> tuple[int, int, int, int] | None:
    """Return the pixels that a box may cover: left, top, and right, bottom exclusive.

    A box that reaches behind the camera may cover all of them; None: it is out of view.
    """
    k = camera.intrinsics
    pixels, depths = camera.project(corners)
    if not (depths > 1e-6).any():
        return None
    if not (depths > 1e-6).all():
        return 0, 0, k.width, k.height
    low = np.clip(np.floor(pixels.min(axis=0)), 0, (k.width, k.height)).astype(int)
    high = np.clip(np.ceil(pixels.max(axis=0)) + 1, 0, (k.width, k.height)).astype(int)
    if (high <= low).any():
        return None
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def depth_range(
    camera: Camera, box: OrientedBox, frame: tuple[int, int, int, int]
) -> tuple[Array, Array]:
    """Return the depths at which the rays of pixels enter and leave a box (slab test).

    Returns:
        Two arrays of the shape of the frame (rows, columns), metres along the optical axis;
        rays that miss enter at infinity and leave at minus infinity.
    """
    left, top, right, bottom = frame
    k = camera.intrinsics
    u = (np.arange(left, right) - k.cx) / k.fx
    v = (np.arange(top, bottom)[:, None] - k.cy) / k.fy
    # Columns of this are the box's axes in the optical frame.
    axes = camera.t_scene_optical[:3, :3].T @ box.rotation
    start = (camera.position - box.center) @ box.rotation
    enter = np.full((bottom - top, right - left), -np.inf)
    leave = -enter
    for axis, half in enumerate(box.size / 2):
        step = u * axes[0, axis] + v * axes[1, axis] + axes[2, axis]
        step[np.abs(step) < 1e-12] = 1e-12
        first, second = (-half - start[axis]) / step, (half - start[axis]) / step
        np.maximum(enter, np.minimum(first, second), out=enter)
        np.minimum(leave, np.maximum(first, second), out=leave)
    hit = (enter <= leave) & (leave > 0)
    return np.where(hit, enter, np.inf), np.where(hit, leave, -np.inf)
