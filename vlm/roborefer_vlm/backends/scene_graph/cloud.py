# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth as an ordered cloud of points, with what a depth camera is known to get wrong."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.types import BoolArray, FloatArray, Intrinsics, Query

# Half the span that a surface normal is measured over: long enough for the noise of a camera at
# 1 m, short enough for the side of a cup.
NORMAL_RADIUS_M = 0.008
# Holes in depth are filled from this far, so many times.
HOLE_RADIUS_PX = 2
HOLE_ROUNDS = 2
# Fewer measurements than this describe no scene.
FEWEST_MEASUREMENTS = 100
FARTHEST_M = 20.0


def noise_m(depth_m: npt.ArrayLike) -> FloatArray:
    """Return the standard deviation to expect of a measured depth, metres.

    The square law of triangulating cameras (Khoshelham and Elberink, Sensors 2012, equation 10),
    with a floor for quantisation and registration.
    """
    return np.asarray(0.0015 + 0.002 * np.square(np.asarray(depth_m, np.float32)), np.float32)


def clean_depth(depth_m: FloatArray) -> FloatArray:
    """Return depth with 0 wherever nothing believable was measured."""
    with np.errstate(invalid="ignore"):
        good = (depth_m > 0) & (depth_m < FARTHEST_M)
    return np.where(good, depth_m, np.float32(0))


@dataclass(frozen=True, eq=False)
class Cloud:
    """One view as points of the optical frame.

    Attributes:
        depth: Metric depth, 0 where nothing was measured, shape (height, width).
        intrinsics: Of the same size.
    """

    depth: FloatArray
    intrinsics: Intrinsics

    @classmethod
    def from_query(cls, query: Query) -> Cloud:
        """Take depth and intrinsics of a query.

        Raises:
            QueryError: There is no metric depth, no intrinsics, or next to nothing measured.
        """
        if query.depth_m is None:
            raise QueryError("depth_m is missing; this engine reasons in 3D from metric depth")
        if query.intrinsics is None:
            raise QueryError("intrinsics are missing; this engine needs them to use depth_m")
        depth = clean_depth(query.depth_m)
        measured = int(np.count_nonzero(depth))
        if measured < FEWEST_MEASUREMENTS:
            raise QueryError(
                f"depth_m has {measured} measured pixels between 0 and {FARTHEST_M:g} m;"
                f" at least {FEWEST_MEASUREMENTS} are needed"
            )
        return cls(depth, query.intrinsics)

    @cached_property
    def valid(self) -> BoolArray:
        """Where something was measured, shape (height, width)."""
        return self.depth > 0

    @cached_property
    def points(self) -> FloatArray:
        """Points of the optical frame, shape (height, width, 3); zero where not measured."""
        k = self.intrinsics
        columns = ((np.arange(k.width) - k.cx) / k.fx).astype(np.float32)
        rows = ((np.arange(k.height) - k.cy) / k.fy).astype(np.float32)
        z = self.depth
        return np.stack([columns[None, :] * z, rows[:, None] * z, z], axis=-1)

    @cached_property
    def edges(self) -> BoolArray:
        """Pixels next to a jump in depth, on either side of it."""
        nearest, farthest = self._around(1)
        return np.asarray((farthest - nearest > self._jump) & self.valid)

    @cached_property
    def flying(self) -> BoolArray:
        """Pixels just behind a jump, where cameras invent points between two surfaces."""
        nearest, _ = self._around(1)
        return np.asarray((self.depth - nearest > self._jump) & self.valid)

    @property
    def _jump(self) -> FloatArray:
        """Difference between neighbours that no surface has, metres."""
        return np.asarray(0.012 + 0.012 * self.depth, np.float32)

    def _around(self, radius: int) -> tuple[FloatArray, FloatArray]:
        """Return the nearest and the farthest depth around each pixel."""
        kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
        nearest = cv2.erode(np.where(self.valid, self.depth, np.float32(FARTHEST_M)), kernel)
        return np.asarray(nearest, np.float32), np.asarray(cv2.dilate(self.depth, kernel))

    def patched(self) -> Cloud:
        """Return the cloud with small holes filled, where all around them is one surface."""
        cloud = self
        for _ in range(HOLE_ROUNDS):
            nearest, farthest = cloud._around(HOLE_RADIUS_PX)
            window = (2 * HOLE_RADIUS_PX + 1, 2 * HOLE_RADIUS_PX + 1)
            weight = cv2.boxFilter(cloud.valid.astype(np.float32), -1, window)
            mean = cv2.boxFilter(cloud.depth, -1, window) / np.maximum(weight, 1e-6)
            known = (weight > 0.3) & (farthest - nearest < 0.012 + 0.012 * mean)
            filled = np.where(~cloud.valid & known, mean, cloud.depth).astype(np.float32)
            cloud = Cloud(filled, self.intrinsics)
        return cloud

    @cached_property
    def normal_radius(self) -> int:
        """Half the span that normals are measured over, pixels."""
        middle = float(np.median(self.depth[self.valid])) if self.valid.any() else 1.0
        return int(np.clip(round(NORMAL_RADIUS_M * self.intrinsics.fx / middle), 3, 10))

    @cached_property
    def normals(self) -> FloatArray:
        """Unit normals towards the camera, shape (height, width, 3); zero where not known.

        The cross product of the differences between means over small windows on either side.
        """
        radius = self.normal_radius
        window = (radius + 1, radius + 1)
        usable = (self.valid & ~self.edges).astype(np.float32)
        weight = cv2.boxFilter(usable, -1, window)
        total = cv2.boxFilter(self.points * usable[..., None], -1, window)
        mean = np.asarray(total / np.maximum(weight, 1e-6)[..., None], np.float32)
        known = weight > 0.3
        across, known_across = _difference(mean, known, radius, axis=1)
        down, known_down = _difference(mean, known, radius, axis=0)
        normal = np.cross(down, across)
        length = np.linalg.norm(normal, axis=-1)
        # Means from both sides of a jump span no surface.
        limit = (0.02 + 0.02 * self.depth)[..., None]
        smooth = (np.abs(across) < 2 * limit).all(-1) & (np.abs(down) < 2 * limit).all(-1)
        good = known_across & known_down & smooth & (length > 1e-12) & self.valid
        normal = np.where(good[..., None], normal / np.maximum(length, 1e-12)[..., None], 0)
        facing = np.sum(normal * self.points, axis=-1) > 0
        normal[facing] *= -1
        return np.asarray(normal, np.float32)

    def reduced(self, step: int) -> Cloud:
        """Return every step-th row and column, with intrinsics to match."""
        if step == 1:
            return self
        depth = np.ascontiguousarray(self.depth[::step, ::step])
        k = self.intrinsics
        height, width = depth.shape
        return Cloud(
            depth,
            Intrinsics(width, height, k.fx / step, k.fy / step, k.cx / step, k.cy / step),
        )


def _difference(
    values: FloatArray, known: BoolArray, radius: int, axis: int
) -> tuple[FloatArray, BoolArray]:
    """Return values[i + radius] - values[i - radius] and where both are known."""
    span = 2 * radius
    result = np.zeros_like(values)
    both = np.zeros_like(known)
    if values.shape[axis] > span:
        ahead = [slice(None), slice(None)]
        behind = [slice(None), slice(None)]
        middle = [slice(None), slice(None)]
        ahead[axis], behind[axis] = slice(span, None), slice(None, -span)
        middle[axis] = slice(radius, -radius)
        a, b, m = tuple(ahead), tuple(behind), tuple(middle)
        result[m] = values[a] - values[b]
        both[m] = known[a] & known[b]
    return result, both
