# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures as they come from a camera, made into files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from roborefer_operator.exceptions import PictureError

# Encoding to type and number of the values of a pixel, and what makes BGR of them, as files want.
_COLOR: dict[str, tuple[str, int, int | None]] = {
    "bgr8": ("u1", 3, None),
    "rgb8": ("u1", 3, cv2.COLOR_RGB2BGR),
    "bgra8": ("u1", 4, cv2.COLOR_BGRA2BGR),
    "rgba8": ("u1", 4, cv2.COLOR_RGBA2BGR),
    "mono8": ("u1", 1, cv2.COLOR_GRAY2BGR),
    "uyvy": ("u1", 2, cv2.COLOR_YUV2BGR_UYVY),
    "yuv422": ("u1", 2, cv2.COLOR_YUV2BGR_UYVY),
    "yuyv": ("u1", 2, cv2.COLOR_YUV2BGR_YUY2),
    "yuv422_yuy2": ("u1", 2, cv2.COLOR_YUV2BGR_YUY2),
}
_DEPTH = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
_FARTHEST_MM = 65535
_JPEG_QUALITY = 85
# Pictures are kept as they are; packing them tighter would only take time.
_PNG_EFFORT = 1


@dataclass(frozen=True, eq=False)
class RawPicture:
    """A picture as it came; fields as in sensor_msgs/Image.

    Attributes:
        stamp_ns: When it was taken.
    """

    width: int
    height: int
    encoding: str
    step: int
    big_endian: bool
    data: bytes | memoryview
    stamp_ns: int = 0


@dataclass(frozen=True, eq=False)
class Frame:
    """What the camera saw at one time.

    Attributes:
        color: The picture that people and the model see.
        depth: Of the same pixels; None where none came.
    """

    color: RawPicture
    depth: RawPicture | None = None


def color_png(picture: RawPicture) -> bytes:
    """Make a file of a colour picture, without loss.

    Raises:
        PictureError: Its encoding is not known, or it does not hold what it says.
    """
    return _encoded(".png", _bgr(picture), [cv2.IMWRITE_PNG_COMPRESSION, _PNG_EFFORT])


def jpeg(picture: RawPicture) -> bytes:
    """Make a small file of a colour picture.

    Raises:
        PictureError: As `color_png`.
    """
    return _encoded(".jpg", _bgr(picture), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])


def depth_png(picture: RawPicture) -> bytes:
    """Make a 16-bit file of a depth picture: millimetres, 0 where nothing was measured.

    Raises:
        PictureError: As `color_png`.
    """
    if picture.encoding not in _DEPTH:
        raise PictureError(f"depth has the encoding '{picture.encoding}'; 16UC1 or 32FC1 is right")
    values = _pixels(picture, _DEPTH[picture.encoding], 1)[:, :, 0]
    if picture.encoding == "32FC1":
        with np.errstate(invalid="ignore"):
            far = values * 1000.0
            good = (far >= 0.5) & (far < _FARTHEST_MM)
        values = np.where(good, np.round(np.where(good, far, 0.0)), 0)
    return _encoded(".png", values.astype(np.uint16), [cv2.IMWRITE_PNG_COMPRESSION, _PNG_EFFORT])


def _bgr(picture: RawPicture) -> npt.NDArray[np.uint8]:
    if picture.encoding not in _COLOR:
        raise PictureError(
            f"a picture has the encoding '{picture.encoding}'; {', '.join(_COLOR)} are known"
        )
    kind, channels, conversion = _COLOR[picture.encoding]
    pixels = np.ascontiguousarray(_pixels(picture, kind, channels))
    if conversion is None:
        return pixels
    try:
        return np.asarray(cv2.cvtColor(pixels, conversion), np.uint8)
    except cv2.error as error:
        raise PictureError(f"a picture of '{picture.encoding}' is wrong: {error.err}") from error


def _pixels(picture: RawPicture, kind: str, channels: int) -> npt.NDArray[Any]:
    dtype = np.dtype((">" if picture.big_endian else "<") + kind)
    row = picture.width * channels * dtype.itemsize
    data = np.frombuffer(picture.data, np.uint8)
    if picture.step < row or len(data) != picture.step * picture.height or not len(data):
        raise PictureError(
            f"a picture of {picture.width} x {picture.height} with the encoding"
            f" '{picture.encoding}' and a step of {picture.step} has {len(data)} bytes"
        )
    rows = np.ascontiguousarray(data.reshape(picture.height, picture.step)[:, :row])
    return rows.view(dtype).reshape(picture.height, picture.width, channels)


def _encoded(suffix: str, pixels: npt.NDArray[Any], options: list[int]) -> bytes:
    done, data = cv2.imencode(suffix, pixels, options)
    if not done:
        raise PictureError(f"a picture of {pixels.shape[1]} x {pixels.shape[0]} cannot be packed")
    return data.tobytes()
