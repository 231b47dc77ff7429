# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures as sensor_msgs/Image has them, to the two kinds that everything else works with.

Colour is uint8 RGB, depth float32 metres. The unit of depth comes from the encoding (REP 118).
What a message says of itself must hold, or the picture is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from roborefer_common.exceptions import PictureError

Rgb = npt.NDArray[np.uint8]
Depth = npt.NDArray[np.float32]
_Array = TypeVar("_Array", bound=npt.NDArray[Any])

# Encoding to type and number of the values of a pixel, and what makes RGB of them. OpenCV names
# a mosaic by its second row and column.
_COLOR: dict[str, tuple[str, int, int | None]] = {
    "rgb8": ("u1", 3, None),
    "bgr8": ("u1", 3, cv2.COLOR_BGR2RGB),
    "rgba8": ("u1", 4, cv2.COLOR_RGBA2RGB),
    "bgra8": ("u1", 4, cv2.COLOR_BGRA2RGB),
    "mono8": ("u1", 1, cv2.COLOR_GRAY2RGB),
    "rgb16": ("u2", 3, None),
    "bgr16": ("u2", 3, cv2.COLOR_BGR2RGB),
    "mono16": ("u2", 1, cv2.COLOR_GRAY2RGB),
    "yuv422": ("u1", 2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": ("u1", 2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": ("u1", 2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": ("u1", 2, cv2.COLOR_YUV2RGB_YUY2),
    "bayer_rggb8": ("u1", 1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": ("u1", 1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": ("u1", 1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": ("u1", 1, cv2.COLOR_BayerGB2RGB),
}
# Encoding to type and metres of one unit.
_DEPTH = {"16UC1": ("u2", 1e-3), "mono16": ("u2", 1e-3), "32FC1": ("f4", 1.0)}


@dataclass(frozen=True, eq=False)
class RawPicture:
    """A picture as it came.

    Attributes:
        width: Columns.
        height: Rows.
        encoding: As in sensor_msgs/image_encodings.hpp.
        step: Bytes from one row to the next.
        big_endian: Order of the bytes of values of more than one byte.
        data: step * height bytes.
        stamp_ns: When it was taken.
    """

    width: int
    height: int
    encoding: str
    step: int
    big_endian: bool
    data: bytes | memoryview
    stamp_ns: int = 0


def decode_color(picture: RawPicture) -> Rgb:
    """Make RGB of a picture.

    Args:
        picture: In one of the encodings of colour or brightness.

    Returns:
        Shape (height, width, 3), read-only. It shares the memory of rgb8 without padding.

    Raises:
        PictureError: The encoding is not known, or it does not hold what it says.
    """
    if picture.encoding not in _COLOR:
        raise PictureError(
            f"the colour image has the encoding '{picture.encoding}'; supported are"
            f" {', '.join(_COLOR)}"
        )
    kind, channels, conversion = _COLOR[picture.encoding]
    if channels == 2 and picture.width % 2:
        raise PictureError(
            f"the colour image is {picture.width} pixels wide; '{picture.encoding}' has colour for"
            " pairs of pixels, so the width must be even"
        )
    pixels = _pixels(picture, "colour", kind, channels)
    if kind == "u2":
        # 65535 is as bright as 255.
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if conversion is None:
        return read_only(np.ascontiguousarray(pixels))
    try:
        rgb = cv2.cvtColor(np.ascontiguousarray(pixels), conversion)
    except cv2.error as error:
        raise PictureError(
            f"the colour image of {picture.width} x {picture.height} with the encoding"
            f" '{picture.encoding}' cannot be converted: {error.err}"
        ) from error
    return read_only(np.asarray(rgb, np.uint8))


def decode_depth(picture: RawPicture) -> Depth:
    """Make metres of a picture.

    Args:
        picture: 16UC1 or mono16 in millimetres, or 32FC1 in metres.

    Returns:
        Shape (height, width), read-only; 0 where nothing was measured: for 0, NaN, infinite and
        negative values.

    Raises:
        PictureError: The encoding is not known, or it does not hold what it says.
    """
    if picture.encoding not in _DEPTH:
        raise PictureError(
            f"the depth image has the encoding '{picture.encoding}'; 16UC1 (millimetres) or 32FC1"
            " (metres) is needed"
        )
    kind, unit = _DEPTH[picture.encoding]
    values = _pixels(picture, "depth", kind, 1)[:, :, 0]
    return metres(values) if unit == 1.0 else millimetres(values)


def millimetres(values: npt.NDArray[Any]) -> Depth:
    """Metres of whole millimetres; 0 stays 0."""
    return read_only(np.multiply(values, np.float32(1e-3), dtype=np.float32))


def metres(values: npt.NDArray[Any]) -> Depth:
    """Metres with 0 for everything that is no distance."""
    with np.errstate(invalid="ignore"):
        good = (values > 0) & (values < np.inf)
    return read_only(np.where(good, values, 0).astype(np.float32))


def read_only(pixels: _Array) -> _Array:
    """Protect a picture that several hold."""
    pixels.flags.writeable = False
    return pixels


def _pixels(picture: RawPicture, name: str, kind: str, channels: int) -> npt.NDArray[Any]:
    """View the data as values, shape (height, width, channels).

    Raises:
        PictureError: size, step and length of the data do not fit.
    """
    width, height, step = picture.width, picture.height, picture.step
    if width < 1 or height < 1:
        raise PictureError(
            f"the {name} image is {width} x {height}: it has no pixels; look at the camera"
        )
    dtype = np.dtype((">" if picture.big_endian else "<") + kind)
    row = width * channels * dtype.itemsize
    if step < row:
        raise PictureError(
            f"the {name} image has a step of {step} bytes; {width} pixels of"
            f" '{picture.encoding}' take {row}"
        )
    data = np.frombuffer(picture.data, np.uint8)
    if len(data) != step * height:
        raise PictureError(
            f"the {name} image of {width} x {height} with a step of {step} has {len(data)} bytes;"
            f" {step * height} are needed"
        )
    rows = data.reshape(height, step)[:, :row]
    return rows.view(dtype).reshape(height, width, channels)
