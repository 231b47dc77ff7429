# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Lens distortion by the plumb_bob model of camera_info: makes distorted pictures of drawn ones.

The drawn picture has no distortion and is larger where the lens sees more. Depth stays the
distance along the optical axis, which distortion does not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from roborefer_sim.core.camera import View, pinhole_of
from roborefer_sim.core.cell import CameraPlace
from roborefer_sim.exceptions import SceneError

Array = npt.NDArray[np.float64]
# The drawn picture may be this many times larger than the distorted one.
MOST_LARGER = 2.0
# Depth that changes by a greater share from one pixel to the next has an edge there.
MOST_SLANT = 0.03


def distort(points: Array, coefficients: Sequence[float]) -> Array:
    """Where the lens maps ideal points.

    Args:
        points: Normalised image coordinates x / z and y / z, shape (..., 2).
        coefficients: k1, k2, p1, p2, k3, as in sensor_msgs/CameraInfo.

    Returns:
        Distorted normalised coordinates, same shape.
    """
    k1, k2, p1, p2, k3 = coefficients
    x, y = points[..., 0], points[..., 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    return np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )


def undistort(points: Array, coefficients: Sequence[float]) -> Array:
    """Which ideal points the lens maps to these ones: the inverse of `distort`.

    Raises:
        SceneError: The lens folds the picture, so that there is no inverse.
    """
    ideal = points.copy()
    for _ in range(50):
        error = points - distort(ideal, coefficients)
        ideal = ideal + error
        if np.abs(error).max(initial=0.0) < 1e-10:
            return np.asarray(ideal)
    raise SceneError(
        f"the distortion {list(coefficients)} folds the picture; use smaller coefficients"
    )


class Lens:
    """The distortion of one camera.

    Attributes:
        drawn: The camera whose pictures `refract` takes: that of the lens, or a wider one.
    """

    def __init__(self, place: CameraPlace, coefficients: Sequence[float] = (0.0,) * 5) -> None:
        """Prepare a lens.

        Args:
            place: The camera whose pictures `refract` gives.
            coefficients: k1, k2, p1, p2, k3.

        Raises:
            SceneError: There are not 5 finite coefficients, or the picture would fold or be too
                wide to draw.
        """
        if len(coefficients) != 5 or not np.isfinite(coefficients).all():
            raise SceneError(
                f"the distortion is {list(coefficients)}; 5 finite numbers k1, k2, p1, p2, k3 are"
                " needed"
            )
        self.drawn = place
        self._source: Array | None = None
        if not any(coefficients):
            return
        k = pinhole_of(place)
        u, v = np.meshgrid(np.arange(k.width), np.arange(k.height))
        seen = np.stack([(u - k.cx) / k.fx, (v - k.cy) / k.fy], axis=-1)
        with np.errstate(over="ignore", invalid="ignore"):
            ideal = undistort(seen, coefficients)
        margin = np.abs(ideal).max(axis=(0, 1)) * (k.fx, k.fy) - (k.cx, k.cy)
        extra = np.maximum(np.ceil(margin) + 1, 0).astype(int)
        width, height = int(k.width + 2 * extra[0]), int(k.height + 2 * extra[1])
        if width > MOST_LARGER * k.width or height > MOST_LARGER * k.height:
            raise SceneError(
                f"the distortion {list(coefficients)} needs a picture of {width} x {height};"
                " use smaller coefficients"
            )
        self.drawn = replace(place, width=width, height=height)
        wide = pinhole_of(self.drawn)
        self._source = np.stack(
            [ideal[..., 1] * wide.fy + wide.cy, ideal[..., 0] * wide.fx + wide.cx]
        )

    def refract(self, view: View) -> View:
        """Return the picture that the lens makes of a drawn one."""
        source = self._source
        if source is None:
            return view
        rgb = np.stack(
            [ndimage.map_coordinates(view.rgb[..., c], source, order=1) for c in range(3)],
            axis=-1,
        )
        # Between near and far there is nothing, so masks take the nearest pixel.
        row, column = np.rint(source).astype(int)
        return View(
            rgb,
            _between(view.depth_m, source, view.depth_m[row, column]),
            view.bodies[row, column],
            view.normals[row, column],
        )


def _between(
    depth_m: npt.NDArray[np.float32], source: Array, nearest: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Depth between pixels: the inverse of depth is linear on a plane; nearest at edges."""
    whole = np.floor(source).astype(int)
    down, right = source - whole
    row = np.clip(whole[0], 0, depth_m.shape[0] - 2)
    column = np.clip(whole[1], 0, depth_m.shape[1] - 2)
    corners = np.stack([depth_m[row + i, column + j] for i in (0, 1) for j in (0, 1)])
    near, far = corners.min(axis=0), corners.max(axis=0)
    smooth = (near > 0) & (far < (1 + MOST_SLANT) * near)
    weights = [(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right]
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = sum(weight / corner for weight, corner in zip(weights, corners, strict=True))
        return np.where(smooth, 1 / inverse, nearest).astype(np.float32)
