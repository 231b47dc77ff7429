# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures as they come from a camera, made into files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from roborefer_common.core.pictures import RawPicture, decode_color, decode_depth

from roborefer_common import exceptions as common
from roborefer_operator.exceptions import PictureError

_FARTHEST_MM = 65535
_JPEG_QUALITY = 85
# Pictures are kept as they are; packing them tighter would only take time.
_PNG_EFFORT = 1


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
    try:
        metres = decode_depth(picture)
    except common.PictureError as error:
        raise PictureError(str(error)) from error
    far = np.round(metres * 1000.0)
    values = np.where(far <= _FARTHEST_MM, far, 0).astype(np.uint16)
    return _encoded(".png", values, [cv2.IMWRITE_PNG_COMPRESSION, _PNG_EFFORT])


def _bgr(picture: RawPicture) -> npt.NDArray[np.uint8]:
    try:
        rgb = decode_color(picture)
    except common.PictureError as error:
        raise PictureError(str(error)) from error
    # Files want blue first.
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), np.uint8)


def _encoded(suffix: str, pixels: npt.NDArray[Any], options: list[int]) -> bytes:
    done, data = cv2.imencode(suffix, pixels, options)
    if not done:
        raise PictureError(f"a picture of {pixels.shape[1]} x {pixels.shape[0]} cannot be packed")
    return data.tobytes()
