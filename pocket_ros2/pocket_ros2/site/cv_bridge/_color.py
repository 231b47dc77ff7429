# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Conversion between image encodings; numpy where that is enough, cv2 for mosaics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class CvBridgeError(TypeError):
    """An image cannot be converted."""


def need_cv2(what: str) -> Any:
    """Return the cv2 module.

    Raises:
        CvBridgeError: It is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise CvBridgeError(f"{what} need OpenCV: pip install 'pocket-ros2[cv]'") from error
    return cv2


def convert(
    image: NDArray[Any], source: tuple[str, int], target: tuple[str, int], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Return an image of one encoding (name, channels) in another.

    Raises:
        CvBridgeError: One of them is not a color format, and their channels differ.
    """
    (have, have_channels), (want, want_channels) = source, target
    colors = have[0] in "mrby", want[0] in "mrby"
    if not all(colors):
        if have_channels != want_channels:
            raise CvBridgeError(
                f"[{have if colors[1] else want}] is not a color format. but "
                f"[{want if colors[1] else have}] is. The conversion does not make sense"
                if any(colors)
                else f"[{have}] has {have_channels} channels and [{want}] {want_channels}"
            )
        return _rescale(image, dtype, scaled=False)
    if want.startswith(("bayer", "yuv")):
        raise CvBridgeError(f"Unsupported conversion from [{have}] to [{want}]")
    if have.startswith(("bayer", "yuv")):
        image, have = _demosaic(image, have)
    order, wanted = have.rstrip("0168"), want.rstrip("0168")
    if order != wanted:
        image = _reorder(image, order, wanted)
    return _rescale(image, dtype, scaled=True)


def _rescale(image: NDArray[Any], dtype: np.dtype[Any], *, scaled: bool) -> NDArray[Any]:
    if image.dtype == dtype:
        return image
    values = image.astype(np.float64)
    if scaled:
        values *= np.iinfo(dtype).max / np.iinfo(image.dtype).max
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return values.astype(dtype)


def _reorder(image: NDArray[Any], order: str, wanted: str) -> NDArray[Any]:
    if wanted == "mono":
        red, green, blue = (image[..., order.index(c)].astype(np.uint32) for c in "rgb")
        gray = (red * 9798 + green * 19235 + blue * 3735 + 16384) >> 15
        return gray.astype(image.dtype)
    if order == "mono":
        image, order = np.stack([image] * 3, axis=-1), "rgb"
    result = np.empty((*image.shape[:2], len(wanted)), image.dtype)
    for index, channel in enumerate(wanted):
        opaque = np.iinfo(image.dtype).max
        result[..., index] = image[..., order.index(channel)] if channel in order else opaque
    return result


def _demosaic(image: NDArray[Any], encoding: str) -> tuple[NDArray[Any], str]:
    cv2 = need_cv2(f"{encoding} images")
    if encoding.startswith("yuv"):
        code = cv2.COLOR_YUV2BGR_YUY2 if encoding.endswith("yuy2") else cv2.COLOR_YUV2BGR_UYVY
        return cv2.cvtColor(np.ascontiguousarray(image), code), "bgr8"
    # OpenCV names a mosaic by the second row and column.
    code = {"rggb": "BG", "bggr": "RG", "gbrg": "GR", "grbg": "GB"}[encoding[6:10]]
    bgr = cv2.cvtColor(np.ascontiguousarray(image), getattr(cv2, f"COLOR_Bayer{code}2BGR"))
    return bgr, f"bgr{encoding[10:]}"
