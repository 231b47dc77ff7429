# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The camera model of `camera_info`: pixels to rays and points to pixels.

Pixel (0, 0) is the centre of the top left pixel; the optical frame is x right, y down, z into the
scene (docs/conventions.md, REP 103).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt
from scipy.interpolate import RectBivariateSpline

from roborefer_perception.exceptions import Reason, ReferFailure

Array = npt.NDArray[np.float64]

# Distortion models of sensor_msgs/distortion_models.hpp that OpenCV's functions take, and the
# numbers of coefficients they may have.
MODELS = {"": (0,), "plumb_bob": (0, 4, 5), "rational_polynomial": (0, 5, 8, 12, 14)}

# Taking distortion out ends when the way back meets the pixel this well, or after so many steps.
_CLOSE_PX = 1e-6
# Where it meets the pixel worse than this, the distortion has no inverse.
_GOOD_PX = 0.01
_MOST_STEPS = 100
# Every so many pixels a ray is worked out when all are wanted.
_KNOT_PX = 16


@dataclass(frozen=True)
class Camera:
    """Intrinsics of the very pictures they come with.

    Attributes:
        width: Columns.
        height: Rows.
        fx: Pixels, as fy, cx and cy.
        fy: Pixels.
        cx: Pixels.
        cy: Pixels.
        model: Distortion model; one of MODELS.
        d: Its coefficients; all zero or none: the pictures are rectified.

    Raises:
        ReferFailure: INVALID_INTRINSICS, or UNSUPPORTED_IMAGE for an unknown distortion model.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    model: str = ""
    d: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        numbers = (self.fx, self.fy, self.cx, self.cy)
        if not np.isfinite(numbers).all() or min(self.fx, self.fy) <= 0:
            raise ReferFailure(
                Reason.INVALID_INTRINSICS,
                f"the intrinsics fx, fy, cx, cy are {numbers}; finite values and fx, fy > 0 are"
                " needed; calibrate the camera",
            )
        if self.width < 1 or self.height < 1:
            raise ReferFailure(
                Reason.INVALID_INTRINSICS,
                f"the intrinsics are for a {self.width} x {self.height} image",
            )
        if self.model not in MODELS:
            raise ReferFailure(
                Reason.UNSUPPORTED_IMAGE,
                f"the distortion model '{self.model}' is not supported; use"
                f" {', '.join(name for name in MODELS if name)}, or rectified images",
            )
        if any(self.d) and len(self.d) not in MODELS[self.model]:
            raise ReferFailure(
                Reason.INVALID_INTRINSICS,
                f"the distortion model '{self.model}' has {len(self.d)} coefficients; it takes"
                f" {' or '.join(map(str, MODELS[self.model]))}",
            )
        if not np.isfinite(self.d).all():
            raise ReferFailure(
                Reason.INVALID_INTRINSICS, f"the distortion coefficients are {self.d}"
            )

    @classmethod
    def from_info(
        cls,
        size: tuple[int, int],
        k: Sequence[float],
        d: Sequence[float],
        model: str,
        binning: tuple[int, int] = (1, 1),
        roi: tuple[int, int, int, int] = (0, 0, 0, 0),
    ) -> Camera:
        """Take the fields of a sensor_msgs/CameraInfo.

        Args:
            size: Width and height of the full sensor, before binning and region of interest.
            k: Nine numbers, row-major, of the full sensor.
            d: Distortion coefficients.
            model: Distortion model.
            binning: Pixels that were joined, horizontally and vertically; 0 means 1.
            roi: x offset, y offset, width and height of what was read out, in pixels of the full
                sensor; width 0 or height 0 means everything.

        Raises:
            ReferFailure: INVALID_INTRINSICS or UNSUPPORTED_IMAGE.
        """
        left, top, width, height = roi
        if not width or not height:
            left, top, (width, height) = 0, 0, size
        across, down = max(1, binning[0]), max(1, binning[1])
        # A joined pixel's centre lies between those of the pixels that it joins.
        cx = (k[2] - left + 0.5) / across - 0.5
        cy = (k[5] - top + 0.5) / down - 0.5
        return cls(
            int(width) // across, int(height) // down, k[0] / across, k[4] / down, cx, cy,
            model if any(d) else "", tuple(float(c) for c in d) if any(d) else (),
        )  # fmt: skip

    @property
    def matrix(self) -> Array:
        """K, shape (3, 3)."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], float)

    def rays(self, pixels: npt.ArrayLike) -> Array:
        """Directions behind pixels, scaled to z = 1.

        Args:
            pixels: u and v, shape (N, 2).

        Returns:
            x / z and y / z in the optical frame, shape (N, 2), distortion taken out; not finite or
            wrong where the distortion cannot be taken out, see ray_image.
        """
        points = np.asarray(pixels, float).reshape(-1, 2)
        focal = np.array([self.fx, self.fy])
        rays = np.asarray((points - [self.cx, self.cy]) / focal)
        # Versions of OpenCV differ in how far they iterate; projecting is the same in all.
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(_MOST_STEPS if any(self.d) else 0):
                error = self.project(np.c_[rays, np.ones(len(rays))]) - points
                rays -= error / focal
                if not len(error) or np.abs(error).max() < _CLOSE_PX:
                    break
        return rays

    @cached_property
    def ray_image(self) -> npt.NDArray[np.float32]:
        """rays() of all pixels, shape (height, width, 2).

        Raises:
            ReferFailure: INVALID_INTRINSICS: the distortion cannot be taken out everywhere.
        """
        columns, rows = np.arange(self.width), np.arange(self.height)
        # Lenses bend gently: splines through a grid of rays are as good, and a thousand times
        # faster than taking distortion out of every pixel.
        sparse = bool(any(self.d)) and min(self.width, self.height) > 4 * _KNOT_PX
        grid_u, grid_v = (
            np.linspace(0, line[-1], len(line) // _KNOT_PX) if sparse else line
            for line in (columns, rows)
        )
        u, v = np.meshgrid(grid_u, grid_v)
        pixels = np.stack([u.ravel(), v.ravel()], axis=-1)
        rays = self.rays(pixels)
        off = np.abs(self.project(np.c_[rays, np.ones(len(rays))]) - pixels).max(axis=1)
        if not (off < _GOOD_PX).all():
            worst = pixels[np.argmax(np.nan_to_num(off, nan=np.inf))]
            raise ReferFailure(
                Reason.INVALID_INTRINSICS,
                f"the distortion coefficients {self.d} cannot be taken out at the pixel"
                f" ({worst[0]:.0f}, {worst[1]:.0f}); calibrate the camera with the board in all"
                " corners of the picture, or use rectified images",
            )
        rays = rays.reshape(*u.shape, 2)
        if sparse:
            splines = (RectBivariateSpline(grid_v, grid_u, rays[..., axis]) for axis in range(2))
            rays = np.stack([spline(rows, columns) for spline in splines], axis=-1)
        return rays.astype(np.float32)

    def project(self, points: npt.ArrayLike) -> Array:
        """Pixels of points of the optical frame.

        Args:
            points: Metres, shape (N, 3).

        Returns:
            u and v, shape (N, 2); NaN for points that are not in front of the camera.
        """
        xyz = np.asarray(points, float).reshape(-1, 3)
        pixels = np.full((len(xyz), 2), np.nan)
        ahead = xyz[:, 2] > 1e-6
        if ahead.any():
            found, _ = cv2.projectPoints(
                xyz[ahead][:, None], np.zeros(3), np.zeros(3), self.matrix, np.array(self.d)
            )
            pixels[ahead] = found[:, 0]
        return pixels

    def contains(self, u: float, v: float) -> bool:
        """Whether the picture covers this place."""
        return bool(-0.5 <= u < self.width - 0.5 and -0.5 <= v < self.height - 0.5)
