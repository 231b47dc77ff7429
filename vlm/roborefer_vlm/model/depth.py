# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From metric depth, or from a depth network, to the picture that the depth tower was trained on.

That picture is relative inverse depth in 8 bits: bright is near, dark is far, scaled per picture
(docs/conventions.md, "The two depths"). Needs numpy and OpenCV only.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from roborefer_vlm.exceptions import PictureError
from roborefer_vlm.types import FloatArray, UInt8Array

# Side of the blocks whose medians decide what black and white mean, in pixels.
BLOCK_PX = 8
# Share of these blocks beyond black, and beyond white.
TAIL = 0.01
# Share of the picture below which measured pixels that stand alone do not fill holes.
ISLAND = 0.0005
# Least span of inverse depth from black to white, as a share of the nearest. Below it a depth
# camera mostly measures its own noise, which must not be stretched over all greys.
LEAST_SPAN = 0.05


def to_metres(depth: npt.NDArray[Any], unit_m: float = 0.001) -> FloatArray:
    """Bring metric depth of a sensor to float32 metres.

    Args:
        depth: uint16 in units of the sensor (0: none), or floats that are metres already.
        unit_m: Metres per unit of uint16 depth; not used for floats.

    Returns:
        float32, same shape; NaN where there is no finite positive measurement.

    Raises:
        PictureError: Neither uint16 nor float, or the unit is not positive and finite.
    """
    if depth.dtype == np.uint16:
        if not (np.isfinite(unit_m) and unit_m > 0):
            raise PictureError(f"depth unit is {unit_m} m; 0.001 (millimetres) is usual")
        metres = depth.astype(np.float32) * np.float32(unit_m)
    elif depth.dtype.kind == "f":
        with np.errstate(over="ignore"):
            metres = depth.astype(np.float32)
    else:
        raise PictureError(f"metric depth has dtype {depth.dtype}; uint16 or float32 is needed")
    metres[~(np.isfinite(metres) & (metres > 0))] = np.nan
    return metres


def relative_depth(depth_m: FloatArray) -> UInt8Array:
    """Render metric depth as the depth network would see the scene.

    1. Invert what is measured (finite and positive).
    2. Black and white are the lower and upper 1 % among the medians of 8 x 8 pixel blocks, so
       that flying pixels do not count, but at least 5 % of the nearest apart, so that a flat
       wall stays grey.
    3. Fill the holes smoothly from what surrounds them; a hole is not "far".
    4. Scale, clip, and truncate to 8 bits.

    The result depends on ratios of depths only, not on the unit, and of two measured pixels the
    nearer one is never darker.

    Args:
        depth_m: Float, shape (height, width); 0, negative, NaN and infinity are no measurement.

    Returns:
        uint8, shape (height, width), bright is near. All of one depth gives 127.

    Raises:
        PictureError: No pixel is measured, or this is no float map.
    """
    if depth_m.ndim != 2 or depth_m.dtype.kind != "f":
        raise PictureError(
            f"depth is {depth_m.dtype} {depth_m.shape}; float32 (height, width) is needed"
        )
    valid = np.isfinite(depth_m) & (depth_m > 0)
    if not valid.any():
        raise PictureError("depth has no measured pixel: all are 0, negative, NaN or infinite")
    # Relative to the median, so that every unit fits; holes are 0 and stay out of all sums.
    inverse = np.zeros(depth_m.shape, np.float32)
    with np.errstate(over="ignore"):
        np.divide(
            np.median(depth_m[valid]), depth_m, out=inverse, where=valid, casting="same_kind"
        )
    np.clip(inverse, 1e-30, 1e30, out=inverse, where=valid)
    black, white = _limits(inverse, valid)
    filled = inverse if valid.all() else np.where(valid, inverse, _surroundings(inverse, valid))
    share = (np.clip(filled, black, white) - np.float32(black)) / np.float32(white - black)
    return np.asarray(np.minimum(share, 1) * 255).astype(np.uint8)


def render_inverse_depth(inverse: npt.NDArray[np.floating[Any]]) -> UInt8Array:
    """Render the output of a depth network as the original server does.

    Minimum to maximum becomes 0 to 255, truncated. A constant map, at which the original divides
    by zero, becomes all 0.

    Args:
        inverse: Relative inverse depth, larger is nearer, float, shape (height, width).

    Returns:
        uint8, same shape, bright is near.

    Raises:
        PictureError: The map is empty or holds NaN or infinity.
    """
    if inverse.ndim != 2 or not inverse.size or not np.isfinite(inverse).all():
        raise PictureError(f"inverse depth of shape {inverse.shape} is not a map of finite values")
    low, high = inverse.min(), inverse.max()
    if low == high:
        return np.zeros(inverse.shape, np.uint8)
    return np.asarray((inverse - low) / (high - low) * 255.0).astype(np.uint8)


def _limits(inverse: FloatArray, valid: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return the inverse depths that become black and white."""
    medians = _block_medians(inverse, valid)
    black, white = np.quantile(medians, (TAIL, 1 - TAIL))
    missing = LEAST_SPAN * white - (white - black)
    if missing > 0:
        black, white = black - missing / 2, white + missing / 2
    return float(black), float(white)


def _block_medians(inverse: FloatArray, valid: npt.NDArray[np.bool_]) -> FloatArray:
    """Return the median of the measured pixels per block, of those blocks that have enough."""
    height, width = inverse.shape
    rows, cols = -(-height // BLOCK_PX), -(-width // BLOCK_PX)
    padded = np.full((rows * BLOCK_PX, cols * BLOCK_PX), np.inf, np.float32)
    np.copyto(padded[:height, :width], inverse, where=valid)
    blocks = padded.reshape(rows, BLOCK_PX, cols, BLOCK_PX).swapaxes(1, 2)
    blocks = np.sort(blocks.reshape(-1, BLOCK_PX * BLOCK_PX), axis=1)
    counts = np.isfinite(blocks).sum(axis=1)
    # A block with a handful of pixels may have flying ones for its majority.
    enough = counts >= min(BLOCK_PX * BLOCK_PX // 4, counts.max())
    medians = np.take_along_axis(blocks[enough], (counts[enough, None] - 1) // 2, axis=1)
    return np.asarray(medians[:, 0], dtype=np.float32)


def _surroundings(inverse: FloatArray, valid: npt.NDArray[np.bool_]) -> FloatArray:
    """Average measured pixels over ever larger areas until no hole is left (pull and push)."""
    # A small island amid a hole is mostly wrong, and would colour all of it.
    _, labels = cv2.connectedComponents(valid.astype(np.uint8))
    large = np.bincount(labels.ravel()) >= ISLAND * valid.size
    large[0] = False
    trusted = large[labels] if large.any() else valid
    weight = trusted.astype(np.float32)
    levels = [(inverse, weight)]
    while (levels[-1][1] == 0).any():
        value, weight = levels[-1]
        size = (-(-value.shape[1] // 2), -(-value.shape[0] // 2))
        total = cv2.resize(value * weight, size, interpolation=cv2.INTER_AREA)
        share = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
        mean = np.divide(total, share, out=np.zeros_like(total), where=share > 0)
        # Every level counts what it knows in full: a thin line fills its area like a wide one.
        levels.append((mean, (share > 0).astype(np.float32)))
    filled = levels.pop()[0]
    while levels:
        value, weight = levels.pop()
        size = (value.shape[1], value.shape[0])
        coarse = cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR)
        filled = np.where(weight > 0, value, coarse)
    return np.asarray(filled, dtype=np.float32)
