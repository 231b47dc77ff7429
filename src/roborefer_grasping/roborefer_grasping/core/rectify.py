# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth images of a lens with distortion, as a pinhole with the same matrix would have seen them.

Everything behind this knows only pinholes. Depth is along the optical axis, so undistorting moves
pixels and changes no value.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from roborefer_grasping.core.robot import Array
from roborefer_grasping.exceptions import SceneError

# Coefficients of each model of sensor_msgs/CameraInfo, at most.
_MODELS = {"plumb_bob": 5, "rational_polynomial": 8}
# Distortion below this moves no pixel by a tenth, at any focal length in use.
_NONE = 1e-6
_ROUNDS = 12


def is_distorted(coefficients: Sequence[float]) -> bool:
    """Whether the coefficients do anything."""
    return bool(np.abs(np.asarray(coefficients, float)).max(initial=0.0) > _NONE)


def distorted(
    x: Array, y: Array, model: str, coefficients: Sequence[float]
) -> tuple[Array, Array]:
    """Where a lens shows the direction (x, y, 1): normalised image coordinates.

    Raises:
        SceneError: The model is not known or has too many coefficients.
    """
    if model not in _MODELS or len(coefficients) > _MODELS[model]:
        known = " or ".join(f"{name} with at most {n} numbers" for name, n in _MODELS.items())
        raise SceneError(
            f"distortion model '{model}' with {len(coefficients)} numbers is not supported; use"
            f" {known}, or rectify the images"
        )
    k1, k2, p1, p2, k3, k4, k5, k6 = (*map(float, coefficients), *[0.0] * 8)[:8]
    r2 = x * x + y * y
    radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    return (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
    )


def undistorted_pixel(
    u: float, v: float, k: Sequence[float], model: str, coefficients: Sequence[float]
) -> tuple[float, float]:
    """Where a pixel of the distorted image lies in the rectified one.

    Args:
        u: Column.
        v: Row.
        k: Row-major 3 x 3 matrix of the camera.
        model: Name of the distortion model.
        coefficients: Of the model.
    """
    fx, cx, fy, cy = k[0], k[2], k[4], k[5]
    wanted = np.array([(u - cx) / fx, (v - cy) / fy])
    guess = wanted.copy()
    for _ in range(_ROUNDS):
        x, y = distorted(guess[:1], guess[1:], model, coefficients)
        guess += wanted - np.array([x[0], y[0]])
    return float(guess[0] * fx + cx), float(guess[1] * fy + cy)


def rectified(
    depth_m: npt.NDArray[np.float32], k: Sequence[float], model: str, coefficients: Sequence[float]
) -> npt.NDArray[np.float32]:
    """Depth as the pinhole would have it; 0 where the lens did not look.

    Each pixel takes the nearest measurement: a mean of near and far would be neither.

    Args:
        depth_m: Metres, shape (height, width).
        k: Row-major 3 x 3 matrix of the camera.
        model: Name of the distortion model.
        coefficients: Of the model.

    Raises:
        SceneError: As `distorted`.
    """
    height, width = depth_m.shape
    fx, cx, fy, cy = k[0], k[2], k[4], k[5]
    u, v = np.meshgrid(np.arange(width, dtype=float), np.arange(height, dtype=float))
    x, y = distorted((u - cx) / fx, (v - cy) / fy, model, coefficients)
    column, row = np.rint(x * fx + cx), np.rint(y * fy + cy)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    result = np.zeros_like(depth_m)
    result[inside] = depth_m[row[inside].astype(int), column[inside].astype(int)]
    return result
