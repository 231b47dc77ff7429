# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Compressed pictures as image_transport has them in sensor_msgs/CompressedImage.

The size is read from the head of the file first, so that a few bytes cannot ask for gigabytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from roborefer_common.core.pictures import Depth, Rgb, metres, millimetres, read_only

from roborefer_perception.core.rvl import decode_rvl
from roborefer_perception.exceptions import Reason, ReferFailure

# Larger pictures are not unpacked.
MOST_PIXELS = 1 << 25

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
# Where a JPEG file may say its size: all "start of frame" but the three that are none.
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# The head of compressedDepth: a format that nobody uses, then the two numbers of 32FC1.
_DEPTH_HEAD = struct.Struct("<iff")


@dataclass(frozen=True, eq=False)
class PackedPicture:
    """A compressed picture as it came.

    Attributes:
        format: As image_transport writes it, such as "rgb8; jpeg compressed bgr8", or just "jpeg".
        data: The file.
    """

    format: str
    data: bytes | memoryview


def unpack_color(picture: PackedPicture) -> Rgb:
    """Make RGB of a JPEG or PNG file.

    Returns:
        Shape (height, width, 3), read-only.

    Raises:
        ReferFailure: UNSUPPORTED_IMAGE.
    """
    bgr = _unpacked(picture.data, "colour", cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    # Some publishers put RGB into the file unchanged, and say so.
    swapped = "compressed rgb" in picture.format
    return read_only(np.asarray(bgr if swapped else cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)))


def unpack_depth(picture: PackedPicture) -> Depth:
    """Make metres of what compressed_depth_image_transport sends.

    Args:
        picture: Of the format "16UC1; compressedDepth png" or with 32FC1 or rvl in their places;
            older publishers leave the last word or all behind the semicolon out and mean png.

    Returns:
        Shape (height, width), read-only; 0 where nothing was measured.

    Raises:
        ReferFailure: UNSUPPORTED_IMAGE.
    """
    encoding, _, transport = (part.strip() for part in picture.format.partition(";"))
    name, _, codec = (transport or "compressedDepth png").partition(" ")
    codec = codec.strip() or "png"
    if encoding not in ("16UC1", "mono16", "32FC1") or name != "compressedDepth":
        raise _refused(
            f"the depth image has the format '{picture.format}'; '16UC1; compressedDepth png' is"
            " right, or with 32FC1 or rvl in their places"
        )
    data = memoryview(picture.data)
    if len(data) <= _DEPTH_HEAD.size:
        raise _refused(f"the depth image has only {len(data)} bytes; look at the camera")
    _, near, far = _DEPTH_HEAD.unpack_from(data)
    body = data[_DEPTH_HEAD.size :]
    if codec == "rvl":
        values = _from_rvl(body)
    elif codec == "png":
        values = np.asarray(_unpacked(body, "depth", cv2.IMREAD_UNCHANGED), np.uint16)
    else:
        raise _refused(f"the depth image is packed by '{codec}'; png or rvl is needed")
    if encoding != "32FC1":
        return millimetres(values)
    if not (np.isfinite([near, far]).all() and near > 0):
        raise _refused(
            f"the depth image is quantised with {near} and {far}; finite numbers are needed, the"
            " first above 0"
        )
    # What was sent is near / depth + far, which has fine steps nearby and coarse ones far away.
    with np.errstate(divide="ignore"):
        return metres(np.where(values > 0, near / (values - np.float32(far)), 0))


def _from_rvl(data: memoryview) -> npt.NDArray[np.uint16]:
    if len(data) < 8:
        raise _refused(f"the depth image has only {len(data)} bytes of rvl; look at the camera")
    width, height = struct.unpack_from("<II", data)
    _check_size((width, height), "depth")
    try:
        return decode_rvl(data[8:], width * height).reshape(height, width)
    except ValueError as error:
        raise _refused(f"the depth image cannot be unpacked by rvl: {error}") from error


def _unpacked(data: bytes | memoryview, name: str, how: int) -> npt.NDArray[Any]:
    """Unpack a file, after a look at its head and its end.

    Raises:
        ReferFailure: UNSUPPORTED_IMAGE.
    """
    head = memoryview(data)
    size = _check_size(_size_of(head, name), name)
    tail = bytes(head[-4096:])
    whole = tail.rfind(b"\xff\xd9" if bytes(head[:3]) == _JPEG else b"IEND") >= 0
    try:
        pixels = cv2.imdecode(np.frombuffer(head, np.uint8), how) if whole else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise _refused(
            f"the compressed {name} image of {len(head)} bytes is damaged or cut off; look at the"
            " network and the camera"
        )
    if how == cv2.IMREAD_UNCHANGED and (pixels.dtype != np.uint16 or pixels.ndim != 2):
        raise _refused(
            f"the compressed {name} image has pixels of type {pixels.dtype} and shape"
            f" {pixels.shape}; one channel of 16 bits is needed"
        )
    if pixels.shape[1::-1] != size:
        raise _refused(f"the compressed {name} image is not of the size {size} that it says")
    return pixels


def _size_of(data: memoryview, name: str) -> tuple[int, int]:
    """Width and height that a PNG or JPEG file says of itself."""
    if bytes(data[:8]) == _PNG and len(data) >= 24:
        return struct.unpack_from(">II", data, 16)
    at = 2
    while bytes(data[:3]) == _JPEG and at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        if marker in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        # A byte 0xFF may be repeated to fill up.
        at += 1 if marker == 0xFF else 2 + length
    raise _refused(
        f"the compressed {name} image of {len(data)} bytes begins with"
        f" {bytes(data[:8])!r}; JPEG or PNG is needed"
    )


def _check_size(size: tuple[int, int], name: str) -> tuple[int, int]:
    width, height = size
    if width < 1 or height < 1 or width * height > MOST_PIXELS:
        raise _refused(
            f"the compressed {name} image says to be {width} x {height}; 1 to {MOST_PIXELS}"
            " pixels are unpacked"
        )
    return width, height


def _refused(message: str) -> ReferFailure:
    return ReferFailure(Reason.UNSUPPORTED_IMAGE, message)
