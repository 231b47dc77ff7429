# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""One look of a depth camera, in the frame of the arm's base."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from roborefer_grasping.core.robot import Array
from roborefer_grasping.exceptions import SceneError

Mask = npt.NDArray[np.bool_]

# A pixel whose neighbours differ by more than this share of its depth lies on an edge, where a
# sensor mixes near and far.
_EDGE_SHARE = 0.02
# A measurement that fewer neighbours share, within this share of its depth, flies between near and
# far: edges make such, surfaces do not.
_ALIKE_SHARE, _LEAST_ALIKE = 0.015, 3
# Of a thing's height, what counts as its top; at least so many metres and so many pixels.
_TOP_SHARE, _TOP_M, _LEAST_TOP_PX = 0.12, 0.007, 15
# Beyond this a stereo sensor's errors exceed what grasping can use, metres.
FARTHEST_M = 3.0


@dataclass(frozen=True, eq=False)
class DepthView:
    """A depth image with what is needed to place it.

    Attributes:
        depth_m: Along the optical axis, float32 metres, shape (height, width); 0 or NaN where
            nothing was measured.
        fx: Pixels, as cx and cy; pixel (0, 0) is the centre of the top left one.
        fy: Pixels.
        cx: Pixels.
        cy: Pixels.
        t_base_optical: Pose of the optical frame in the frame of the base, shape (4, 4).
    """

    depth_m: npt.NDArray[np.float32]
    fx: float
    fy: float
    cx: float
    cy: float
    t_base_optical: Array

    def __post_init__(self) -> None:
        if self.depth_m.ndim != 2 or not self.depth_m.size:
            raise SceneError(f"depth has shape {self.depth_m.shape}; (height, width) is needed")
        numbers = (self.fx, self.fy, self.cx, self.cy)
        if not np.isfinite(numbers).all() or min(self.fx, self.fy) <= 0:
            raise SceneError(f"intrinsics are {numbers}; finite values and fx, fy > 0 are needed")
        if self.t_base_optical.shape != (4, 4) or not np.isfinite(self.t_base_optical).all():
            raise SceneError("the camera's pose must be a finite 4 x 4 matrix")

    @cached_property
    def valid(self) -> Mask:
        """Pixels with a usable measurement that do not lie on a depth edge."""
        measured = self.measured
        depth = np.where(measured, self.depth_m, np.nan)
        with np.errstate(invalid="ignore"):
            near = ndimage.minimum_filter(np.where(measured, depth, np.inf), 3)
            far = ndimage.maximum_filter(np.where(measured, depth, -np.inf), 3)
            return np.asarray(measured & (far - near < _EDGE_SHARE * self.depth_m))

    @cached_property
    def measured(self) -> Mask:
        """Pixels with a measurement within range that does not fly between near and far."""
        depth = self.depth_m
        with np.errstate(invalid="ignore"):
            ranged = (depth > 0) & (depth < FARTHEST_M)
            padded = np.pad(np.where(ranged, depth, np.nan), 1, constant_values=np.nan)
            height, width = depth.shape
            alike = np.zeros(depth.shape, np.int8)
            for down, right in product((0, 1, 2), repeat=2):
                other = padded[down : down + height, right : right + width]
                alike += np.abs(other - depth) < _ALIKE_SHARE * depth
        # Each pixel is like itself.
        return np.asarray(ranged & (alike > _LEAST_ALIKE))

    @cached_property
    def points(self) -> Array:
        """Points in the frame of the base, shape (height, width, 3); NaN where not measured."""
        height, width = self.depth_m.shape
        u, v = np.meshgrid(np.arange(width), np.arange(height))
        depth = np.where(self.measured, self.depth_m, np.nan).astype(float)
        optical = np.stack(
            [(u - self.cx) / self.fx * depth, (v - self.cy) / self.fy * depth, depth], axis=-1
        )
        return np.asarray(optical @ self.t_base_optical[:3, :3].T + self.t_base_optical[:3, 3])

    @cached_property
    def normals(self) -> Array:
        """Surface normals towards the camera in the frame of the base; NaN where not known.

        Differences over smoothed points, so that a millimetre of noise does not turn them.
        """
        points, known = self.points, self.valid
        weight = ndimage.uniform_filter(known.astype(float), 5)
        smooth = np.stack(
            [
                ndimage.uniform_filter(np.where(known, points[..., axis], 0.0), 5)
                for axis in range(3)
            ],
            axis=-1,
        )
        smooth = smooth / np.where(weight > 0.3, weight, np.nan)[..., None]
        step = 2
        across = np.roll(smooth, -step, axis=1) - np.roll(smooth, step, axis=1)
        down = np.roll(smooth, -step, axis=0) - np.roll(smooth, step, axis=0)
        normals = np.cross(across, down)
        length = np.linalg.norm(normals, axis=-1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            normals = normals / length
        away = points - self.t_base_optical[:3, 3]
        normals = np.where((normals * away).sum(-1, keepdims=True) > 0, -normals, normals)
        normals[~known] = np.nan
        border = np.ones(known.shape, bool)
        border[step:-step, step:-step] = False
        normals[border] = np.nan
        return np.asarray(normals)

    def surface(self, mask: Mask) -> Array:
        """Points of a mask that do not lie on a depth edge, shape (N, 3)."""
        return np.asarray(self.points[mask & self.valid])

    def project(self, points: Array) -> tuple[Array, Array]:
        """Pixels (u, v), shape (N, 2), and depths, shape (N,), of points of the base's frame."""
        optical = (points - self.t_base_optical[:3, 3]) @ self.t_base_optical[:3, :3]
        z = optical[:, 2]
        ahead = np.where(z > 1e-6, z, np.nan)
        pixels = np.stack(
            [optical[:, 0] / ahead * self.fx + self.cx, optical[:, 1] / ahead * self.fy + self.cy],
            axis=-1,
        )
        return pixels, z


def middle_of(points: Array, support: float) -> Array:
    """Middle of a thing of which one side was seen, x and y, metres.

    What is highest of a thing mostly lies over its middle and was seen from all sides: a lid, a
    rim, a ridge, the top of a ball.

    Args:
        points: Of its surface, shape (N, 3).
        support: Height of what it stands on, metres.
    """
    top = float(np.percentile(points[:, 2], 99))
    for share in (_TOP_SHARE, 0.5):
        band = max(_TOP_M, share * (top - support))
        upper = points[points[:, 2] > top - band][:, :2]
        if len(upper) >= _LEAST_TOP_PX:
            break
    low, high = np.percentile(upper, [2, 98], axis=0)
    return np.asarray((low + high) / 2)
